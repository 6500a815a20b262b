"""The inbox: one durable row per ingest request. What an event looks like on its way in is defined here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from pydantic_core import from_json

from analytics.event import Event, Origin, compact_json, default_session_id
from analytics.window import day_of
from storage.addresses import shorten, split_url
from storage.database import Statement
from storage.dictionary import KINDS, hash63
from storage.guard import MAY_WRITE
from storage.ids import split
from storage.usage import HAS_ROOM, Demand

#: How long an `event_id` that came without a timestamp marks a resend (contract.md §2).
RESEND_WINDOW_MS: Final = 7 * 86_400_000

#: One event on its way in is a JSON array with these places, then one value for each column that is kept as it is, then one
#: text for each kind of the dictionary: in `body` the place of the text among all `texts` of the request, so that a fold
#: looks each text up once and not for each event.
DAY, VISITOR, TS, EVENT, UNTIMED, PERSON, FIRST_KEPT = range(7)

#: The place of each column of `events` that holds what came, and that no question groups by.
KEPT_PLACES: Final[dict[str, int]] = {
    column: place
    for place, column in enumerate(
        (
            "anonymous_id", "event_id", "user_id", "session_id", "tail", "referrer", "properties",
            "ip_high", "ip_low", "origin", "delay_ms",
        ),
        start=FIRST_KEPT,
    )
}  # fmt: skip

#: The place of each kind's text.
TEXT_PLACES: Final[dict[str, int]] = {
    kind: place for place, kind in enumerate(KINDS, start=FIRST_KEPT + len(KEPT_PLACES))
}

#: The numbers that stand for origins in `events.origin`: never renumber, only add.
ORIGINS: Final[tuple[Origin, ...]] = ("browser", "server", "agent")

#: The order of the kinds in `texts`: paths last, because they are many.
_TEXT_ORDER: Final = sorted(KINDS, key=lambda kind: (kind == "path", KINDS[kind]))

#: Where the names stand in `texts`; `->` would take the digits alone for the place in a list.
NAMES: Final = f'$."{KINDS["event_name"]}"'

# ?1 is the id of the key, ?2 the project, ?3 the identity, ?4 the body, ?5 the months of its events, ?6 the quota; ?7 to
# ?11 what the fold need not look for in the body.
_ABOUT: Final = "events, untimed, latest_ts, texts, people"
_ACCEPT: Final = f"""
INSERT INTO inbox (project, grouped, identity, body, {_ABOUT})
SELECT ?2, 1, ?3, ?4, ?7, ?8, ?9, ?10, ?11 WHERE {MAY_WRITE} AND {HAS_ROOM}
ON CONFLICT DO NOTHING"""

#: A single event that its client named, ?12: refused when it is stored, or waits in the inbox, already.
_ACCEPT_NAMED: Final = f"""
INSERT INTO inbox (project, grouped, identity, body, {_ABOUT})
SELECT ?2, 0, ?3, ?4, ?7, ?8, ?9, ?10, ?11
  FROM (SELECT ?12 ->> {DAY} AS day, ?12 ->> {VISITOR} AS visitor, ?12 ->> {TS} AS ts, ?12 ->> {EVENT} AS event,
               ?12 ->> {TEXT_PLACES["event_name"]} AS name) AS mine
 WHERE {MAY_WRITE} AND {HAS_ROOM}
   AND NOT EXISTS (
     SELECT 1 FROM inbox AS i CROSS JOIN json_each(i.body) AS one
      WHERE i.project = ?2 AND i.grouped = 1 AND one.value ->> {EVENT} = mine.event
        AND {{waiting}})
   AND NOT EXISTS ({{stored}})
ON CONFLICT DO NOTHING"""

_ACCEPT_TIMED: Final = _ACCEPT_NAMED.format(
    waiting=f"one.value ->> {TS} = mine.ts AND one.value ->> {VISITOR} = mine.visitor"
    f" AND i.texts -> '{NAMES}' -> (one.value ->> {TEXT_PLACES['event_name']}) ->> 0 = mine.name",
    stored=f"""
     SELECT 1 FROM events AS e
      WHERE e.project = ?2 AND e.day = mine.day AND e.visitor = mine.visitor AND e.ts = mine.ts AND e.event = mine.event
        AND e.name = (SELECT id FROM dictionary
                       WHERE project = ?2 AND kind = {KINDS["event_name"]} AND value = mine.name)""",
)
_ACCEPT_UNTIMED: Final = _ACCEPT_NAMED.format(
    waiting=f"one.value ->> {UNTIMED}",
    stored=f"""
     SELECT 1 FROM arrivals AS a
      WHERE a.project = ?2 AND a.event = mine.event AND mine.ts - a.ts < {RESEND_WINDOW_MS}""",
)


def accept(key_id: str, project: int, events: Sequence[Event], claim: str, wanted: Demand) -> Statement:
    """The statement that acknowledges a request: it changes one row, or none when its one event is a duplicate or the
    quota has no room for all.

    `claim` is unique to the request, so that running the same statement again stores nothing more.
    """
    rows = [_row(event) for event in _first_of_each(events)]
    texts = _texts(rows)
    about = (
        len(rows),
        sum(row[UNTIMED] for row in rows),
        max(row[TS] for row in rows),
        compact_json({kind: list(days.items()) for kind, days in texts.items()}),
        compact_json([(*seen, day) for seen, day in _people(rows).items()]),
    )
    request = (key_id, project, claim, _body(rows, texts), wanted.as_json, wanted.quota, *about)
    if len(events) > 1 or not events[0].named_by_client:
        return Statement(_ACCEPT, request)
    (row,) = rows
    sql = _ACCEPT_UNTIMED if row[UNTIMED] else _ACCEPT_TIMED
    return Statement(sql, (key_id, project, _identity(row), *request[3:], compact_json(row)))


def _texts(rows: Sequence[Sequence[Any]]) -> dict[int, dict[str, int]]:
    """Every text of a request once, by the number of its kind, and the last day that uses it."""
    columns = _columns(sorted(rows, key=itemgetter(DAY)))
    found = {}
    for kind in _TEXT_ORDER:
        last_days = dict(zip(columns[TEXT_PLACES[kind]], columns[DAY], strict=True))
        last_days.pop(None, None)
        found[KINDS[kind]] = last_days
    return found


def _people(rows: Sequence[Sequence[Any]]) -> dict[tuple[int, int], int]:
    """Every person of a request once with each of their devices, and the last day they were seen there."""
    by_day = sorted((row for row in rows if row[PERSON] is not None), key=itemgetter(DAY))
    return {(row[PERSON], row[VISITOR]): row[DAY] for row in by_day}


def _body(rows: Sequence[Sequence[Any]], texts: Mapping[int, Mapping[str, int]]) -> str:
    """The events, with the places of their texts, which are counted over all kinds."""
    columns, count = _columns(rows), 0
    for kind in _TEXT_ORDER:
        found = {text: place for place, text in enumerate(texts[KINDS[kind]], start=count)}
        columns[TEXT_PLACES[kind]] = [found.get(text) for text in columns[TEXT_PLACES[kind]]]
        count += len(found)
    return compact_json(list(zip(*columns, strict=True)))


def _columns(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def _first_of_each(events: Sequence[Event]) -> list[Event]:
    """Of the events of one request that share an event_id and left out the time, the first."""
    seen: dict[object, Event] = {}
    for event in events:
        seen.setdefault(id(event) if event.timed_by_client else event.event_id, event)
    return list(seen.values())


def _identity(row: Sequence[Any]) -> str:
    """What makes two single events of the inbox the same one."""
    if row[UNTIMED]:
        return f"{row[EVENT]}"
    return f"{row[EVENT]} {row[VISITOR]} {row[TS]} {row[TEXT_PLACES['event_name']]}"


def _row(event: Event) -> list[Any]:
    visitor, anonymous_id = split(event.anonymous_id)
    number, event_id = split(event.event_id)
    site, tail = split_url(event.url, event.path)
    own_session = event.session_id != default_session_id(event.anonymous_id, event.ts_ms)
    kept = {
        "anonymous_id": anonymous_id,
        "event_id": event_id,
        "user_id": event.user_id,
        "session_id": event.session_id if own_session else None,
        "tail": tail,
        "referrer": shorten(event.referrer, site),
        "properties": None if event.properties == "{}" else from_json(event.properties),
        "ip_high": _half(event.ip_hash[:16]),
        "ip_low": _half(event.ip_hash[16:]),
        "origin": ORIGINS.index(event.origin),
        "delay_ms": event.received_ms - event.ts_ms,
    }
    return [
        day_of(event.ts_ms), visitor, event.ts_ms, number,
        int(event.named_by_client and not event.timed_by_client),
        None if event.user_id is None else hash63(event.user_id),
        *(kept[column] for column in KEPT_PLACES),
        *(site if kind == "site" else _text(event, kind) for kind in KINDS),
    ]  # fmt: skip


def _half(digits: str) -> int | None:
    """Sixteen hex digits as SQLite keeps 64 bits: signed."""
    return int.from_bytes(bytes.fromhex(digits), signed=True) if digits else None


def _text(event: Event, kind: str) -> str | None:
    if kind == "rule":
        return f"{event.source_confidence}:{event.source_rule_id}"
    text: str | None = getattr(event, kind)
    return text
