"""channel_roi: what channels earned against what they cost."""

from __future__ import annotations

from analytics.money import ROI_DEFINITION, ChannelRoiQuestion, roi_rows
from mcp.report import report
from mcp.rows import NUMBER, NUMBER_OR_NULL, TEXT_OR_NULL, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: ChannelRoiQuestion, context: Context) -> Reading:
    credits, spent, cost = await context.events.credits(context.scope, question)
    rows = roi_rows(question, context.scope.projects, credits, spent)
    return report(question, rows, cost, ROI_DEFINITION, event=question.event, model=question.model)


CHANNEL_ROI = Tool(
    name="channel_roi",
    title="Channel ROI",
    description=(
        'Which channel pays: cost against revenue, per currency. Example: {"by":"campaign","model":"linear"}.'
        + UNTRUSTED
    ),
    input=ChannelRoiQuestion,
    output=Rows(
        {
            "currency": TEXT_OR_NULL,
            "spend": NUMBER,
            "revenue": NUMBER,
            "conversions": NUMBER,
            "new_customers": NUMBER,
            "roi": NUMBER_OR_NULL,
            "cac": NUMBER_OR_NULL,
        },
        named=TEXT_OR_NULL,
    ),
    requires="read",
    run=_run,
    slow=True,
)
