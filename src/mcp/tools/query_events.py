"""query_events: single events, newest first."""

from __future__ import annotations

from pydantic import Field

from analytics.questions import EventsQuestion
from mcp.rows import rows_of
from mcp.size import fitting
from mcp.tool import UNTRUSTED, Context, Output, Reading, Tool, reading


class EventRow(Output):
    """One event in the columns of contract.md's GET /v1/query."""

    timestamp: str
    event_name: str
    anonymous_id: str
    user_id: str | None
    source: str
    medium: str
    campaign: str | None
    source_confidence: str
    referrer: str | None
    url: str | None
    path: str | None
    country: str
    device_type: str
    properties: str = Field(description="A JSON object as text.")


async def _run(question: EventsQuestion, context: Context) -> Reading:
    page = await context.pages.read(context.scope, question)
    kept = fitting(page.answer.rows)
    if kept < len(page.answer.rows):  # once more, so that the cursor leads on from the last row that fits
        page = await context.pages.read(context.scope, question.model_copy(update={"limit": kept}))
    more = {} if page.next_cursor is None else {"next_cursor": page.next_cursor}
    return reading(page.answer, page.window, **more)


QUERY_EVENTS = Tool(
    name="query_events",
    title="List events",
    description=(
        "Single events, newest first; for totals use get_stats. Example: "
        '{"from":"7d","to":"now","event":"purchase","limit":20}.' + UNTRUSTED
    ),
    input=EventsQuestion,
    output=rows_of(EventRow),
    requires="read",
    run=_run,
)
