"""funnel: how many visitors get from step to step."""

from __future__ import annotations

from analytics.funnel import FUNNEL_DEFINITION, funnel_rows
from analytics.identity import defined
from analytics.questions import FunnelQuestion
from analytics.store import Answer
from mcp.rows import NUMBER_OR_NULL, TEXT, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool, reading


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
        identity=question.identity,
        definition=defined(FUNNEL_DEFINITION, question.identity),
    )


FUNNEL = Tool(
    name="funnel",
    title="Funnel",
    description=(
        "How many visitors go through 2 to 20 steps and where they drop off. Step 1 lies in the window, the others within "
        'conversion_window_days of it. Example: {"from":"7d","to":"now","steps":["$pageview",{"event":"purchase","filters":'
        '[{"field":"os","value":"ios"}]}]}.' + UNTRUSTED
    ),
    input=FunnelQuestion,
    output=Rows(
        {
            "step": WHOLE,
            "event": TEXT,
            "visitors": WHOLE,
            "conversion_from_previous": NUMBER_OR_NULL,
            "conversion_from_first": NUMBER_OR_NULL,
            "dropped": WHOLE,
            "median_seconds": NUMBER_OR_NULL,
            "mean_seconds": NUMBER_OR_NULL,
        },
        named=TEXT_OR_NULL,
        beside={"conversion_window_days": WHOLE},
    ),
    requires="read",
    run=_run,
    slow=True,
)
