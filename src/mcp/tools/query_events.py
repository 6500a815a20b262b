"""query_events: single events, newest first."""

from __future__ import annotations

from pydantic import Field

from analytics.questions import EventsQuestion
from mcp.size import fitting
from mcp.tool import UNTRUSTED, Context, ProjectRow, Reading, RowsOutput, Tool, reading


class EventRow(ProjectRow):
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


class EventsOutput(RowsOutput):
    rows: list[EventRow]
    next_cursor: str = Field("", description="There when more events match: `cursor` of the next call.")


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
        "Single events of a window, newest first, with who, where from, which page and the properties. Filters match "
        "exactly. For totals use get_stats: it counts everything, this lists at most `limit` rows. More follow by "
        "repeating the call with cursor = next_cursor and the from and to of window. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","event":"purchase","limit":20}.' + UNTRUSTED
    ),
    input=EventsQuestion,
    output=EventsOutput,
    requires="read",
    run=_run,
)
