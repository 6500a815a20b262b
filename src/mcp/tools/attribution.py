"""attribution: which touches conversions are owed to."""

from __future__ import annotations

from analytics.money import ATTRIBUTION_DEFINITION, AttributionQuestion, attribution_rows
from mcp.report import report
from mcp.rows import NUMBER, TEXT_OR_NULL, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: AttributionQuestion, context: Context) -> Reading:
    credits, _, cost = await context.events.credits(context.scope, question)
    rows = attribution_rows(question, context.scope.projects, credits)
    return report(question, rows, cost, ATTRIBUTION_DEFINITION, event=question.event)


ATTRIBUTION = Tool(
    name="attribution",
    title="Attribution",
    description=(
        "Conversions credited to the first, the last or, in equal shares, each non-direct touch before. Example: "
        '{"event":"signup","by":"campaign"}.' + UNTRUSTED
    ),
    input=AttributionQuestion,
    output=Rows({"first_touch": NUMBER, "last_touch": NUMBER, "linear": NUMBER}, named=TEXT_OR_NULL),
    requires="read",
    run=_run,
    slow=True,
)
