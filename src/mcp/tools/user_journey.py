"""user_journey: what one person did, in order."""

from __future__ import annotations

from analytics.visits import JOURNEY_DEFINITION, JourneyQuestion
from mcp.report import STRANGERS, ReportOutput, over_window
from mcp.tool import Context, Reading, Tool


async def _run(question: JourneyQuestion, context: Context) -> Reading:
    answer = await context.events.journey(context.scope, question)
    return over_window(question.window, answer, JOURNEY_DEFINITION, question.timezone)


USER_JOURNEY = Tool(
    name="user_journey",
    title="User journey",
    description=(
        "Everything one user_id (on all devices) or anonymous_id did, in order, with session numbers. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","user_id":"u_1"}.' + STRANGERS
    ),
    input=JourneyQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
