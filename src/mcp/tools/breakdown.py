"""breakdown: one measure for each value of a dimension or property."""

from __future__ import annotations

from analytics.audience import BreakdownQuestion, breakdown_measurement, breakdown_rows
from analytics.measures import DEFINITION
from mcp.report import report
from mcp.rows import SCALAR, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: BreakdownQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, [breakdown_measurement(question)])
    rows, cut = breakdown_rows(question, context.scope.projects, measured.counted[0])
    return report(question, rows, measured.cost, DEFINITION, truncated=cut, tier=measured.tier)


BREAKDOWN = Tool(
    name="breakdown",
    title="Breakdown",
    description=(
        "Top pages, countries, sources, devices, events or values of any property, by one metric. Example: "
        '{"by":"path","metric":"pageviews"}.' + UNTRUSTED
    ),
    input=BreakdownQuestion,
    output=Rows({"visitors": WHOLE, "events": WHOLE}, named=SCALAR),
    requires="read",
    run=_run,
)
