"""breakdown: one measure for each value of a dimension or property."""

from __future__ import annotations

from analytics.audience import BreakdownQuestion, breakdown_measurement, breakdown_rows
from analytics.measures import DEFINITION
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: BreakdownQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, [breakdown_measurement(question)])
    rows, cut = breakdown_rows(question, context.scope.projects, measured.counted[0])
    return report(question, rows, measured.cost, DEFINITION, truncated=cut, tier=measured.tier)


BREAKDOWN = Tool(
    name="breakdown",
    title="Breakdown",
    description=(
        "Top pages, entry pages, countries, sources, devices, events or values of any property: one metric per value, "
        "highest first. Rows: <by>, <metric>, visitors, events. Example, pages by views: "
        '{"from":"2026-05-01","to":"2026-06-01","by":"path","metric":"pageviews"}.' + STRANGERS
    ),
    input=BreakdownQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
