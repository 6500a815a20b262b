"""lifecycle: new, returning, resurrecting and dormant visitors, and how often visitors are active."""

from __future__ import annotations

from analytics.cohorts import LIFECYCLE_DEFINITION, LifecycleQuestion, lifecycle_rows
from mcp.report import ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: LifecycleQuestion, context: Context) -> Reading:
    activity, cost = await context.events.lifecycle(context.scope, question)
    rows = lifecycle_rows(question, context.scope.projects, activity)
    return report(question, rows, cost, LIFECYCLE_DEFINITION, unit=question.unit)


LIFECYCLE = Tool(
    name="lifecycle",
    title="Lifecycle and stickiness",
    description=(
        "Per day, week or month: new, returning, resurrecting and dormant visitors. view stickiness: visitors by number of "
        'active intervals. Example: {"from":"2026-05-01","to":"2026-06-01","unit":"week"}.'
    ),
    input=LifecycleQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
