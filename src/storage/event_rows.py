"""Single events, newest first, in the columns of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics.questions import EventsQuestion
from analytics.store import Place, Row
from analytics.window import Window, format_instant
from storage.addresses import referrer_of, url_of
from storage.bundle import row_bundle
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.ids import key_of, text_of
from storage.latest import LISTED, SINCE
from storage.sql_parts import Binder

#: The rows are chosen first: a day has thousands, and only those shown are worth looking up their texts. `rest` is the
#: project, whose days have to be read, or no row, where the newest suffice: a comparison with nothing reads nothing.
_LABELLED: Final = """
WITH latest AS MATERIALIZED (
  SELECT e.* {listed}{conditions}
   {newest_first} LIMIT {limit}),
rest AS MATERIALIZED (
  SELECT ?1 AS project
   WHERE (SELECT count(*) FROM latest) < {limit} AND coalesce({since} > {start}, true))
SELECT {bundle} AS bundle
  FROM (SELECT * FROM latest WHERE NOT EXISTS (SELECT 1 FROM rest)
         UNION ALL
        SELECT * FROM (SELECT e.* FROM events AS e WHERE e.project = (SELECT project FROM rest){conditions}
                        {newest_first} LIMIT {limit})) AS newest
  LEFT JOIN dictionary AS name ON name.id = newest.name
  LEFT JOIN dictionary AS source ON source.id = newest.source
  LEFT JOIN dictionary AS medium ON medium.id = newest.medium
  LEFT JOIN dictionary AS campaign ON campaign.id = newest.campaign
  LEFT JOIN dictionary AS rule ON rule.id = newest.rule
  LEFT JOIN dictionary AS path ON path.id = newest.path
  LEFT JOIN dictionary AS site ON site.id = newest.site
  LEFT JOIN dictionary AS country ON country.id = newest.country
  LEFT JOIN dictionary AS device_type ON device_type.id = newest.device_type
 {newest_first_again}"""

#: The columns of a row, and what they are.
_COLUMNS: Final = {
    "ts": "newest.ts",
    "event_name": "name.value",
    "anonymous_id": text_of("newest.visitor", "newest.anonymous_id"),
    "user_id": "newest.user_id",
    "source": "source.value",
    "medium": "medium.value",
    "campaign": "campaign.value",
    "source_confidence": "substr(rule.value, 1, instr(rule.value, ':') - 1)",
    "referrer": referrer_of("newest"),
    "url": url_of("newest", "site.value", "path.value"),
    "path": "path.value",
    "country": "country.value",
    "device_type": "device_type.value",
    "properties": "coalesce(newest.properties, '{}')",
    "at_event": "newest.event",
    "at_name": "newest.name",
    "at_visitor": "newest.visitor",
    "at_origin": "newest.origin",
}

#: The key gives the days in order; only the events of the days that are needed get sorted. No two events are equal.
_NEWEST_FIRST: Final = (
    "ORDER BY {0}.project DESC, {0}.day DESC, {0}.ts DESC, {0}.event DESC, {0}.name DESC, {0}.visitor DESC"
)

#: Columns that place a row, which no answer shows.
_UNSHOWN: Final = frozenset({"ts", "at_event", "at_name", "at_visitor", "at_origin"})

_EXACT: Final = {"event": "event_name", "source": "source", "medium": "medium", "country": "country"}


@dataclass(frozen=True, slots=True)
class Beyond:
    """What is left of one project after a place: events before `end_ms`, and of its last instant those after `tie`."""

    end_ms: int
    tie: Place | None = None


def beyond(after: Place | None, position: int) -> Beyond | None:
    """What is left of the project at a position of the scope: at one instant, projects follow in that order."""
    if after is None:
        return None
    if position == after.project:
        return Beyond(after.ts_ms + 1, after)
    return Beyond(after.ts_ms + 1 if position > after.project else after.ts_ms)


def place_of(row: Row, position: int) -> Place:
    """The place of a row of `select_events`."""
    return Place(row["ts"], position, int(row["at_event"]), row["at_name"], int(row["at_visitor"]))


def select_events(project: int, question: EventsQuestion, rest: Beyond | None = None) -> Statement:
    """The newest events of one project that match; one more than the limit, to tell whether it cut."""
    binder = Binder()
    binder.bind(project)
    end = question.to if rest is None else min(question.to, rest.end_ms)
    conditions = [_within(binder, Window(question.from_, end))]
    if rest is not None and rest.tie is not None:
        conditions.append(_after(binder, rest.tie))
    for argument, kind in _EXACT.items():
        if (wanted := getattr(question, argument)) is not None:
            text = f"SELECT id FROM dictionary WHERE project = ?1 AND kind = {KINDS[kind]}"
            conditions.append(f"e.{COLUMNS[kind]} = ({text} AND value = {binder.bind(wanted)})")
    if question.anonymous_id is not None:
        conditions.append(f"e.visitor = CAST({binder.bind(str(key_of(question.anonymous_id)))} AS INTEGER)")
    if question.user_id is not None:
        conditions.append(f"e.user_id = {binder.bind(question.user_id)}")
    where = "".join(f"\n   AND {condition}" for condition in conditions)
    sql = _newest(where, binder.bind(question.limit + 1), binder.bind(question.from_))
    return binder.statement(sql, _COLUMNS)


def select_recent(project: int, limit: int) -> Statement:
    """The newest events of one project, whatever their age."""
    return Statement(_newest("", "?2", "0"), (project, limit), tuple(_COLUMNS))


def _newest(conditions: str, limit: str, start: str) -> str:
    first, again = _NEWEST_FIRST.format("e"), _NEWEST_FIRST.format("newest")
    return _LABELLED.format(
        bundle=row_bundle(_COLUMNS.values()),
        conditions=conditions,
        newest_first=first,
        limit=limit,
        start=start,
        listed=LISTED,
        since=SINCE,
        newest_first_again=again,
    )


def _after(binder: Binder, place: Place) -> str:
    """The hashes travel as text: as numbers they would not survive the way (workers-platform.md §2.3)."""
    event = f"CAST({binder.bind(str(place.event))} AS INTEGER)"
    name = binder.bind(place.name)
    visitor = f"CAST({binder.bind(str(place.visitor))} AS INTEGER)"
    earlier = f"e.ts < {binder.bind(place.ts_ms)}"
    return f"({earlier} OR (e.event, e.name, e.visitor) < ({event}, {name}, {visitor}))"


def _within(binder: Binder, window: Window) -> str:
    return (
        f"e.day BETWEEN {binder.bind(window.first_day)} AND {binder.bind(window.last_day)}"
        f" AND e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"
    )


def label(row: Row, project_id: str | None) -> Row:
    """A row as contract.md's GET /v1/query shows it; `project_id` leads where a question spans projects."""
    named = {"timestamp": format_instant(row["ts"])} | {
        key: value for key, value in row.items() if key not in _UNSHOWN
    }
    return named if project_id is None else {"project_id": project_id, **named}
