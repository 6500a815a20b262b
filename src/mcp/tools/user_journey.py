"""user_journey: what one person did, in order."""

from __future__ import annotations

from analytics.visits import JOURNEY_DEFINITION, JourneyQuestion
from mcp.report import over_window
from mcp.rows import NUMBER_OR_NULL, TEXT, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: JourneyQuestion, context: Context) -> Reading:
    answer = await context.events.journey(context.scope, question)
    return over_window(question.window, answer, JOURNEY_DEFINITION)


USER_JOURNEY = Tool(
    name="user_journey",
    title="User journey",
    description=(
        "What one user_id (on all devices) or anonymous_id did, in order. Example: "
        '{"user_id":"u_1"}.' + UNTRUSTED
    ),
    input=JourneyQuestion,
    output=Rows(
        {
            "timestamp": TEXT,
            "session": WHOLE,
            "seconds_since_previous": NUMBER_OR_NULL,
            "event_name": TEXT,
            "path": TEXT_OR_NULL,
            "source": TEXT_OR_NULL,
            "medium": TEXT_OR_NULL,
            "anonymous_id": TEXT,
            "user_id": TEXT_OR_NULL,
            "properties": TEXT,
        }
    ),
    requires="read",
    run=_run,
)
