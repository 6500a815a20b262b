"""funnel: how many visitors get from step to step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analytics.funnel import funnel_rows
from analytics.questions import FunnelQuestion
from analytics.store import Answer
from mcp.tool import UNTRUSTED, Context, ProjectRow, Reading, RowsOutput, Tool, reading


class FunnelRow(ProjectRow):
    event_name: str = Field(
        "", description="The breakdown column, if it was asked for; so are the next eight."
    )
    source: str = ""
    medium: str = ""
    campaign: str | None = None
    country: str = ""
    device_type: str = ""
    browser: str = ""
    os: str = ""
    path: str | None = None
    step: int
    event: str
    visitors: int
    conversion_from_previous: float | None = Field(description="Fraction, 0 to 1.")
    conversion_from_first: float | None
    dropped: int
    median_seconds: float | None = Field(description="From the chain's first step to this one.")
    mean_seconds: float | None


class FunnelOutput(RowsOutput):
    conversion_window_days: int
    entry: Literal["any", "first"]
    order: Literal["ordered", "any"]
    rows: list[FunnelRow]


async def _run(question: FunnelQuestion, context: Context) -> Reading:
    counts = await context.events.funnel(context.scope, question)
    scope = context.scope
    ids = [project.id for project in scope.projects] if scope.spans_projects else [None]
    answer = Answer(funnel_rows(question, counts.steps, ids), counts.cost)
    return reading(
        answer,
        question.window,
        conversion_window_days=question.conversion_window_days,
        entry=question.entry,
        order=question.order,
    )


FUNNEL = Tool(
    name="funnel",
    title="Conversion funnel",
    description=(
        "How many visitors go through 2 to 20 steps in order, where they drop off and how long it takes. The first step "
        "must lie in the window; each later one within conversion_window_days of it, other events may lie between. "
        'Example: {"from":"2026-05-01","to":"2026-06-01","steps":["$pageview","add_to_cart",{"event":"purchase",'
        '"filters":[{"field":"properties.currency","op":"eq","value":"EUR"}]}],"breakdown":"source"}.'
        + UNTRUSTED
    ),
    input=FunnelQuestion,
    output=FunnelOutput,
    requires="read",
    run=_run,
    slow=True,
)
