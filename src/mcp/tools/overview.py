"""overview: the numbers of an audience, against the period before."""

from __future__ import annotations

from analytics.audience import OverviewQuestion, overview_measurements, overview_rows
from analytics.measures import DEFINITION
from mcp.report import ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: OverviewQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, overview_measurements(question))
    rows = overview_rows(question, context.scope.projects, measured.counted)
    return report(question, rows, measured.cost, DEFINITION, goal=question.goal)


OVERVIEW = Tool(
    name="overview",
    title="Overview",
    description=(
        "Visitors, sessions, pageviews, events, bounce and engaged rate, average duration and, with goal, conversion "
        "rate; each with the previous equal period and its change (fraction; null if previous is 0). Rows: metric, value, "
        'previous, change. Example: {"from":"2026-05-01","to":"2026-06-01","goal":"purchase"}.'
    ),
    input=OverviewQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
