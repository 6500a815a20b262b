"""retention: who comes back after a first event."""

from __future__ import annotations

from analytics.cohorts import RETENTION_DEFINITION, RetentionQuestion, retention_rows
from mcp.report import ReportOutput, report
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
        "Of the visitors whose first born_event lies in the window, how many return in each period after it, by cohort and "
        "over all complete ones (cohort 'all'). Rows: cohort, size, period, retained, rate, complete. Example: "
        '{"from":"2026-03-01","to":"2026-05-01","born_event":"signup","unit":"week"}.'
    ),
    input=RetentionQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
