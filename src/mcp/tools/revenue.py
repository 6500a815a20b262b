"""revenue: what was earned, by currency."""

from __future__ import annotations

from typing import Final

from analytics.money import REVENUE_DEFINITION, RevenueQuestion, revenue_rows
from mcp.report import report
from mcp.rows import NUMBER, NUMBER_OR_NULL, TEXT_OR_NULL, WHOLE, Rows, each
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: RevenueQuestion, context: Context) -> Reading:
    takings = await context.events.takings(context.scope, question)
    rows = revenue_rows(question, context.scope.projects, takings)
    return report(question, rows, takings.cost, REVENUE_DEFINITION, event=question.event)


#: "not available" where no event tells of subscriptions.
_RECURRING: Final = {"type": ["number", "string", "null"]}

REVENUE = Tool(
    name="revenue",
    title="Revenue",
    description=(
        "Revenue, orders, payers, arpu, mrr, churn and top customers per currency, in the events' unit (cents). Example: "
        '{"from":"90d","interval":"week"}.' + UNTRUSTED
    ),
    input=RevenueQuestion,
    output=Rows(
        {
            "currency": TEXT_OR_NULL,
            "gross": NUMBER,
            "orders": WHOLE,
            "payers": WHOLE,
            "average_order": NUMBER_OR_NULL,
            "arpu": NUMBER_OR_NULL,
            "mrr": _RECURRING,
            "subscriptions": _RECURRING,
            "churn": _RECURRING,
        },
        {
            "top_customers": each("gross", "orders"),
            "series": each("gross", "orders"),
        },
    ),
    requires="read",
    run=_run,
)
