"""overview: the numbers of an audience, against the period before."""

from __future__ import annotations

from analytics.audience import OverviewQuestion, overview_measurements, overview_rows
from analytics.measures import DEFINITION
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, TEXT, Rows, each
from mcp.tool import Context, Reading, Tool


async def _run(question: OverviewQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, overview_measurements(question))
    rows = overview_rows(question, context.scope.projects, measured.counted)
    return report(question, rows, measured.cost, DEFINITION, goal=question.goal)


OVERVIEW = Tool(
    name="overview",
    title="Overview",
    description=(
        "Visitors, sessions, pageviews, events, bounce and engaged rate, duration, with goal conversion rate, against the "
        'equal period before. Example: {"from":"7d","goal":"purchase"}.'
    ),
    input=OverviewQuestion,
    output=Rows(
        {"metric": TEXT, "value": NUMBER_OR_NULL, "previous": NUMBER_OR_NULL, "change": NUMBER_OR_NULL},
        {"series": each("bucket", "value")},
    ),
    requires="read",
    run=_run,
)
