"""Single events: storing them and reading them back. What one row of `events` holds is defined here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from analytics.event import Event, compact_json, default_session_id
from analytics.questions import EventsQuestion
from analytics.store import Row
from analytics.window import Window, day_of, format_instant
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS, hash63
from storage.guard import MAY_WRITE
from storage.sql_parts import Binder

#: How long an `event_id` that came without a timestamp marks a resend (contract.md §2).
RESEND_WINDOW_MS: Final = 7 * 86_400_000

#: The places of `events.payload`: what is returned or matched, but never grouped by.
#: 0 event_id, 1 anonymous_id, 2 user_id, 3 session_id (null: the default one), 4 url, 5 referrer, 6 properties,
#: 7 ip_hash, 8 origin, 9 received_ms
PAYLOAD_USER_ID: Final = 2

# One event on its way in: [0 day, 1 visitor, 2 ts, 3 event, 4 needs a claim, 5 payload, then one text per kind].
_FIRST_TEXT: Final = 6
_KIND_ORDER: Final = tuple(KINDS)

_STORE_TEXTS: Final = f"""
INSERT INTO dictionary (project, kind, value)
SELECT ?2, one.value ->> 0, one.value ->> 1 FROM json_each(?3) AS one WHERE {MAY_WRITE}
ON CONFLICT DO NOTHING"""

#: The first request to bring an event_id, or the first in 7 days, owns it; a claim says which request that was.
_CLAIM_ARRIVALS: Final = f"""
INSERT INTO arrivals (project, event, ts, claim)
SELECT ?2, one.value ->> 3, one.value ->> 2, ?4 FROM json_each(?3) AS one
 WHERE one.value ->> 4 AND {MAY_WRITE}
ON CONFLICT (project, event) DO UPDATE SET ts = excluded.ts, claim = excluded.claim
 WHERE excluded.ts - arrivals.ts >= {RESEND_WINDOW_MS}"""

_TEXT_IDS: Final = ",\n       ".join(
    f"(SELECT id FROM dictionary WHERE project = ?2 AND kind = {KINDS[kind]} AND value = one.value ->> {place})"
    for place, kind in enumerate(_KIND_ORDER, start=_FIRST_TEXT)
)
_STORE_EVENTS: Final = f"""
INSERT INTO events (project, day, visitor, ts, event, payload, {", ".join(COLUMNS[kind] for kind in _KIND_ORDER)})
SELECT ?2, one.value ->> 0, one.value ->> 1, one.value ->> 2, one.value ->> 3, one.value -> 5,
       {_TEXT_IDS}
  FROM json_each(?3) AS one
 WHERE {MAY_WRITE}
   AND (NOT one.value ->> 4
        OR EXISTS (SELECT 1 FROM arrivals WHERE project = ?2 AND event = one.value ->> 3 AND claim = ?4))
ON CONFLICT DO NOTHING"""


def store_statements(key_id: str, project: int, events: Sequence[Event], claim: str) -> list[Statement]:
    """Statements that store the events of one request; the last one's `changes` is how many were new.

    `claim` is unique to the request, so that running the same statements again stores nothing more.
    """
    rows = [_row(event) for event in _first_of_each(events)]
    texts = {
        (KINDS[kind], row[place]) for row in rows for place, kind in enumerate(_KIND_ORDER, start=_FIRST_TEXT)
    }
    known = sorted((kind, text) for kind, text in texts if text is not None)
    statements = [Statement(_STORE_TEXTS, (key_id, project, compact_json(known)))]
    incoming = compact_json(rows)
    if any(row[4] for row in rows):
        statements.append(Statement(_CLAIM_ARRIVALS, (key_id, project, incoming, claim)))
    return [*statements, Statement(_STORE_EVENTS, (key_id, project, incoming, claim))]


def _first_of_each(events: Sequence[Event]) -> list[Event]:
    """Of the events of one request that share an event_id and left out the time, the first."""
    seen: dict[object, Event] = {}
    for event in events:
        seen.setdefault(id(event) if event.timed_by_client else event.event_id, event)
    return list(seen.values())


def _row(event: Event) -> list[Any]:
    session = (
        None if event.session_id == default_session_id(event.anonymous_id, event.ts_ms) else event.session_id
    )
    payload = [
        event.event_id, event.anonymous_id, event.user_id, session, event.url, event.referrer,
        json.loads(event.properties), event.ip_hash, event.origin, event.received_ms,
    ]  # fmt: skip
    texts = {
        "event_name": event.event_name,
        "rule": f"{event.source_confidence}:{event.source_rule_id}",
        **{kind: getattr(event, kind) for kind in _KIND_ORDER if kind not in ("event_name", "rule")},
    }
    return [
        day_of(event.ts_ms), hash63(event.anonymous_id), event.ts_ms, hash63(event.event_id),
        int(event.named_by_client and not event.timed_by_client), payload,
        *(texts[kind] for kind in _KIND_ORDER),
    ]  # fmt: skip


_COLUMNS: Final = """
SELECT e.ts, name.value AS event_name, e.payload ->> 1 AS anonymous_id, e.payload ->> 2 AS user_id,
       source.value AS source, medium.value AS medium, campaign.value AS campaign,
       substr(rule.value, 1, instr(rule.value, ':') - 1) AS source_confidence,
       e.payload ->> 5 AS referrer, e.payload ->> 4 AS url, path.value AS path, country.value AS country,
       device_type.value AS device_type, e.payload -> 6 AS properties
  FROM events AS e
  LEFT JOIN dictionary AS name ON name.id = e.name
  LEFT JOIN dictionary AS source ON source.id = e.source
  LEFT JOIN dictionary AS medium ON medium.id = e.medium
  LEFT JOIN dictionary AS campaign ON campaign.id = e.campaign
  LEFT JOIN dictionary AS rule ON rule.id = e.rule
  LEFT JOIN dictionary AS path ON path.id = e.path
  LEFT JOIN dictionary AS country ON country.id = e.country
  LEFT JOIN dictionary AS device_type ON device_type.id = e.device_type
 WHERE e.project = ?1"""

#: The key gives the days in order; only the events of the days that are needed get sorted.
_NEWEST_FIRST: Final = " ORDER BY e.project DESC, e.day DESC, e.ts DESC, e.event DESC"

_EXACT: Final = {"event": "event_name", "source": "source", "medium": "medium", "country": "country"}


def select_events(project: int, question: EventsQuestion) -> Statement:
    """The newest events of one project that match; one more than the limit, to tell whether it cut."""
    binder = Binder()
    binder.bind(project)
    conditions = [_within(binder, question.window)]
    for argument, kind in _EXACT.items():
        if (wanted := getattr(question, argument)) is not None:
            text = f"SELECT id FROM dictionary WHERE project = ?1 AND kind = {KINDS[kind]}"
            conditions.append(f"e.{COLUMNS[kind]} = ({text} AND value = {binder.bind(wanted)})")
    if question.anonymous_id is not None:
        conditions.append(f"e.visitor = CAST({binder.bind(str(hash63(question.anonymous_id)))} AS INTEGER)")
    if question.user_id is not None:
        conditions.append(f"e.payload ->> {PAYLOAD_USER_ID} = {binder.bind(question.user_id)}")
    where = "".join(f"\n   AND {condition}" for condition in conditions)
    return binder.statement(f"{_COLUMNS}{where}\n{_NEWEST_FIRST} LIMIT {binder.bind(question.limit + 1)}")


def select_recent(project: int, limit: int) -> Statement:
    """The newest events of one project, whatever their age."""
    return Statement(f"{_COLUMNS}\n{_NEWEST_FIRST} LIMIT ?2", (project, limit))


def _within(binder: Binder, window: Window) -> str:
    return (
        f"e.day BETWEEN {binder.bind(window.first_day)} AND {binder.bind(window.last_day)}"
        f" AND e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"
    )


def label(row: Row, project_id: str | None) -> Row:
    """A row as contract.md's GET /v1/query shows it; `project_id` leads where a question spans projects."""
    named = {"timestamp": format_instant(row["ts"])} | {
        key: value for key, value in row.items() if key != "ts"
    }
    return named if project_id is None else {"project_id": project_id, **named}
