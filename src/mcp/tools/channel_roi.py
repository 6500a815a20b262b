"""channel_roi: what channels earned against what they cost."""

from __future__ import annotations

from analytics.money import ROI_DEFINITION, ChannelRoiQuestion, roi_rows
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: ChannelRoiQuestion, context: Context) -> Reading:
    credits, spent, cost = await context.events.credits(context.scope, question)
    rows = roi_rows(question, context.scope.projects, credits, spent)
    return report(question, rows, cost, ROI_DEFINITION, event=question.event, model=question.model)


CHANNEL_ROI = Tool(
    name="channel_roi",
    title="Channel ROI",
    description=(
        "Which channel pays: spend, revenue, conversions, new_customers, roi and cac per source or campaign and currency. "
        'Example: {"from":"2026-05-01","to":"2026-06-01","model":"last_touch"}.' + STRANGERS
    ),
    input=ChannelRoiQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
