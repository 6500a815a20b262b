"""top_sources: where visitors come from, paid apart from unpaid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analytics.questions import SourcesQuestion
from mcp.tool import UNTRUSTED, Context, ProjectRow, Reading, RowsOutput, Tool, reading


class SourceRow(ProjectRow):
    source: str
    medium: str = Field("", description="Only with breakdown source_medium.")
    events: int
    uniques: int
    paid_share: float = Field(description="Events with medium paid / events, 0 to 1.")


class SourcesOutput(RowsOutput):
    breakdown: Literal["source_medium", "source"]
    rows: list[SourceRow]


async def _run(question: SourcesQuestion, context: Context) -> Reading:
    answer = await context.events.sources(context.scope, question)
    return reading(answer, question.window, breakdown=question.breakdown)


TOP_SOURCES = Tool(
    name="top_sources",
    title="Top traffic sources",
    description=(
        "Where events and visitors come from, most events first. breakdown source_medium tells paid from unpaid traffic "
        "of one network (facebook/paid is ads, facebook/social is posts and shares); source adds them up and gives "
        'paid_share. Example: {"from":"2026-05-01","to":"2026-06-01","breakdown":"source_medium","limit":20}.'
        + UNTRUSTED
    ),
    input=SourcesQuestion,
    output=SourcesOutput,
    requires="read",
    run=_run,
)
