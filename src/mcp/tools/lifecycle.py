"""lifecycle: new, returning, resurrecting and dormant visitors, and how often visitors are active."""

from __future__ import annotations

from analytics.cohorts import LIFECYCLE_DEFINITION, LifecycleQuestion, lifecycle_rows
from mcp.report import report
from mcp.rows import TEXT, WHOLE, Rows
from mcp.tool import Context, Reading, Tool


async def _run(question: LifecycleQuestion, context: Context) -> Reading:
    activity, cost = await context.events.lifecycle(context.scope, question)
    rows = lifecycle_rows(question, context.scope.projects, activity)
    return report(question, rows, cost, LIFECYCLE_DEFINITION, unit=question.unit)


LIFECYCLE = Tool(
    name="lifecycle",
    title="Lifecycle",
    description=(
        "New, returning, resurrecting and dormant visitors per unit; view stickiness: visitors by number of active units. "
        'Example: {"from":"90d","unit":"week"}.'
    ),
    input=LifecycleQuestion,
    output=Rows({}, {"bucket": TEXT}, named=WHOLE),
    requires="read",
    run=_run,
)
