"""retention: who comes back after a first event."""

from __future__ import annotations

from analytics.cohorts import RETENTION_DEFINITION, RetentionQuestion, retention_rows
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, TEXT, WHOLE, YES_OR_NO, Rows
from mcp.tool import Context, Reading, Tool


async def _run(question: RetentionQuestion, context: Context) -> Reading:
    returned, cost = await context.events.retention(context.scope, question)
    rows = retention_rows(question, context.scope.projects, returned, context.now_ms)
    return report(
        question, rows, cost, RETENTION_DEFINITION,
        mode=question.mode, unit=question.unit, periods_are="calendar" if question.calendar else "rolling",
    )  # fmt: skip


RETENTION = Tool(
    name="retention",
    title="Retention",
    description=(
        "Of visitors whose first born_event lies in the window, how many return in each period after, per cohort and "
        'over all. Example: {"from":"90d","born_event":"signup"}.'
    ),
    input=RetentionQuestion,
    output=Rows(
        {
            "cohort": TEXT,
            "size": WHOLE,
            "period": WHOLE,
            "retained": WHOLE,
            "rate": NUMBER_OR_NULL,
            "complete": YES_OR_NO,
        },
        {"mean_rate": NUMBER_OR_NULL},
    ),
    requires="read",
    run=_run,
    slow=True,
)
