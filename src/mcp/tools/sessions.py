"""sessions: single sessions, newest first."""

from __future__ import annotations

from analytics.visits import SESSIONS_DEFINITION, SessionsQuestion
from mcp.report import over_window
from mcp.rows import NUMBER, TEXT, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: SessionsQuestion, context: Context) -> Reading:
    answer = await context.events.sessions(context.scope, question)
    return over_window(question.window, answer, SESSIONS_DEFINITION)


SESSIONS = Tool(
    name="sessions",
    title="Sessions",
    description=(
        "Single sessions, newest first; filters choose those with such an event. Example: "
        '{"filters":[{"field":"event_name","value":"purchase"}]}.' + UNTRUSTED
    ),
    input=SessionsQuestion,
    output=Rows(
        {
            "started": TEXT,
            "duration_seconds": NUMBER,
            "anonymous_id": TEXT,
            "events": WHOLE,
            "pageviews": WHOLE,
            **dict.fromkeys(
                (
                    "user_id",
                    "source",
                    "medium",
                    "campaign",
                    "country",
                    "device_type",
                    "browser",
                    "os",
                    "entry_page",
                    "exit_page",
                ),
                TEXT_OR_NULL,
            ),
        }
    ),
    requires="read",
    run=_run,
)
