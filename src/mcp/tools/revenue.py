"""revenue: what was earned, by currency."""

from __future__ import annotations

from analytics.money import REVENUE_DEFINITION, RevenueQuestion, revenue_rows
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: RevenueQuestion, context: Context) -> Reading:
    takings = await context.events.takings(context.scope, question)
    rows = revenue_rows(question, context.scope.projects, takings)
    return report(question, rows, takings.cost, REVENUE_DEFINITION, event=question.event)


REVENUE = Tool(
    name="revenue",
    title="Revenue",
    description=(
        "Revenue per currency, in the events' unit (cents): gross, orders, payers, average_order, arpu (per visitor), mrr, "
        "subscriptions, churn, top_customers. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","interval":"week"}.' + STRANGERS
    ),
    input=RevenueQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
