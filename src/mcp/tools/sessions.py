"""sessions: single sessions, newest first."""

from __future__ import annotations

from analytics.visits import SESSIONS_DEFINITION, SessionsQuestion
from mcp.report import STRANGERS, ReportOutput, over_window
from mcp.tool import Context, Reading, Tool


async def _run(question: SessionsQuestion, context: Context) -> Reading:
    answer = await context.events.sessions(context.scope, question)
    return over_window(question.window, answer, SESSIONS_DEFINITION, question.timezone)


SESSIONS = Tool(
    name="sessions",
    title="Sessions",
    description=(
        "Single sessions, newest first: started, duration_seconds, visitor, user, pageviews, source, country, device, "
        'entry and exit page. Example: {"from":"7d","to":"now","filters":[{"field":"event_name","value":"purchase"}]}.'
        + STRANGERS
    ),
    input=SessionsQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
