"""Resources: what a client can read by URI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analytics.schema import MAX_EVENT_NAMES, OTHER_NAMES
from analytics.store import Answer, Row
from analytics.window import MS_PER_DAY, Window
from mcp.messages import to_json
from mcp.projects import EVERY_PROJECT, chosen, within
from mcp.size import fitting
from mcp.tool import UNTRUSTED, Context, provenance
from mcp.tools.list_projects import described

#: In `_meta` of a content whose rows were cut.
TRUNCATED: Final = "ai.millimetric/truncated"
RECENT_EVENTS: Final = 100
SCHEMA_DAYS: Final = 30
#: Names are read first and may be written by strangers: however many and long they are, no more is shown of them.
MAX_SCHEMA_BYTES: Final = 60_000


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; `read` gives the rows that its JSON text holds."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Context], Awaitable[Answer]]

    def listing(self) -> dict[str, Any]:
        return {
            "uri": self.uri,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "mimeType": "application/json",
        }

    async def content(self, context: Context) -> dict[str, Any]:
        """The resource as `resources/read` shows it; rows beyond what a model can take in are cut, and it says so."""
        answer = await self.read(context)
        shown = answer.rows[: fitting(answer.rows)]
        cut = {TRUNCATED: True} if len(shown) < len(answer.rows) else {}
        meta = provenance(shown, answer.origins) | cut
        content = {"uri": self.uri, "mimeType": "application/json", "text": to_json(shown)}
        return content | ({"_meta": meta} if meta else {})


async def _recent(context: Context) -> Answer:
    return await context.events.recent(context.scope, RECENT_EVENTS)


async def _schema(context: Context) -> Answer:
    window = Window(context.now_ms - SCHEMA_DAYS * MS_PER_DAY, context.now_ms + 1)
    answer = await context.events.event_names(context.scope, window)
    return replace(answer, rows=braked(answer.rows))


def braked(rows: Sequence[Row]) -> list[Row]:
    """Event names in at most MAX_SCHEMA_BYTES of JSON: those without room are counted with the others of their project."""
    named = [row for row in rows if "names" not in row]
    others = {row.get("project_id"): dict(row) for row in rows if "names" in row}
    left = MAX_SCHEMA_BYTES
    for place, row in enumerate(named):
        left -= len(to_json(row).encode()) + 1
        if left < 0:
            for late in named[place:]:
                other = others.setdefault(
                    late.get("project_id"), {**late, "event_name": OTHER_NAMES, "count": 0, "names": 0}
                )
                other["count"] += late["count"]
                other["names"] += 1
            return [*named[:place], *others.values()]
    return list(rows)


async def _projects(context: Context) -> Answer:
    return Answer(described(chosen(EVERY_PROJECT, context.principal.projects)))


async def _schema_of_projects(context: Context) -> Answer:
    return await within(context, EVERY_PROJECT, _schema)


PROJECT_RESOURCES: Final = (
    Resource(
        uri="events://recent",
        name="recent-events",
        title="Recent events",
        description=f"The last {RECENT_EVENTS} events, newest first, in the columns of query_events.{UNTRUSTED}",
        read=_recent,
    ),
    Resource(
        uri="schema://events",
        name="event-names",
        title="Event names",
        description=(
            f"The event names of the last {SCHEMA_DAYS} days with their counts, the most frequent {MAX_EVENT_NAMES}; the "
            f"others together as {OTHER_NAMES}. Read this first.{UNTRUSTED}"
        ),
        read=_schema,
    ),
)

ACCOUNT_RESOURCES: Final = (
    Resource(
        uri="projects://all",
        name="projects",
        title="Projects",
        description="Every project of the account: project_id, slug and name.",
        read=_projects,
    ),
    Resource(
        uri="schema://events",
        name="event-names",
        title="Event names",
        description=(
            f"The event names of the last {SCHEMA_DAYS} days in each project of the account with their counts, the most "
            f"frequent {MAX_EVENT_NAMES}; the others together as {OTHER_NAMES}. Read this first.{UNTRUSTED}"
        ),
        read=_schema_of_projects,
    ),
)
