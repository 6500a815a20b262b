"""attribution: which touches conversions are owed to."""

from __future__ import annotations

from analytics.money import ATTRIBUTION_DEFINITION, AttributionQuestion, attribution_rows
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: AttributionQuestion, context: Context) -> Reading:
    credits, _, cost = await context.events.credits(context.scope, question)
    rows = attribution_rows(question, context.scope.projects, credits)
    return report(question, rows, cost, ATTRIBUTION_DEFINITION, event=question.event)


ATTRIBUTION = Tool(
    name="attribution",
    title="Attribution",
    description=(
        "Conversions credited to the first, the last and, in equal shares, every non-direct touch before them; null = "
        "unattributed. Rows: <by>, first_touch, last_touch, linear. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","event":"signup","by":"source"}.' + STRANGERS
    ),
    input=AttributionQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
