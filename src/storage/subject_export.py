"""Everything that is stored about a person's events: those that forgetting would delete, found the same way, and whole."""

from __future__ import annotations

import json
from typing import Final

from analytics.event import default_session_id
from analytics.scope import Scope
from analytics.store import Place, Row
from analytics.window import MS_PER_DAY, day_of, format_instant
from storage.addresses import referrer_of, url_of
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.forget import person_json, theirs
from storage.ids import text_of
from storage.inbox import ORIGINS
from storage.tiers import NAME_KIND

#: How many events of the person's devices one call looks at, whole days at least: of those that are somebody else's
#: nothing is shown, and without an end a call would read all that happened on a device of many.
EVENTS_PER_CALL: Final = 10_000

#: Before every event: no instant is earlier, and no hash is negative.
FIRST_PLACE: Final = Place(-(2**53) + 2, 0, -1, -1, -1)

# ?1 is the project's number, ?2 the person as in storage/forget.py; ?3 the place to go on after: a JSON object, so that the
# hashes stay exact. ?4 is the number above, ?5 the limit and one more.
_DEVICE_DAYS: Final = """
  people AS d CROSS JOIN visitor_days AS v
 WHERE d.project = ?1 AND d.person = ?2 ->> 'person'
   AND v.project = ?1 AND v.visitor = d.visitor AND v.day >= ?3 ->> 'day'"""
_DAYS: Final = f"SELECT v.day AS day, sum(v.events) AS events FROM {_DEVICE_DAYS} GROUP BY v.day"

#: The first day that this call leaves to the next one; NULL when there is none.
_NEXT_DAY: Final = f"""
SELECT min(day) AS next_day
  FROM (SELECT day, sum(events) OVER (ORDER BY day) - events AS before FROM ({_DAYS})) WHERE before >= ?4"""

_ORDER: Final = "ORDER BY {0}.ts, {0}.event, {0}.name, {0}.visitor"
_TEXTS: Final = "\n  ".join(
    f"LEFT JOIN dictionary AS {kind} ON {kind}.id = theirs.{COLUMNS[kind]}" for kind in KINDS
)

_SUBJECT: Final = f"""
SELECT theirs.ts, event_name.value AS event_name, theirs.user_id,
       {text_of("theirs.visitor", "theirs.anonymous_id")} AS anonymous_id,
       source.value AS source, medium.value AS medium, campaign.value AS campaign, rule.value AS at_rule,
       {referrer_of("theirs")} AS referrer, {url_of("theirs", "site.value", "path.value")} AS url, path.value AS path,
       country.value AS country, device_type.value AS device_type, browser.value AS browser, os.value AS os,
       theirs.session_id, {text_of("theirs.event", "theirs.event_id")} AS event_id,
       CASE WHEN theirs.ip_high IS NULL THEN '' ELSE printf('%016x%016x', theirs.ip_high, theirs.ip_low) END AS ip_hash,
       theirs.origin AS at_origin, theirs.delay_ms AS at_delay_ms, coalesce(theirs.properties, '{{}}') AS properties,
       CAST(theirs.event AS TEXT) AS at_event, theirs.name AS at_name, CAST(theirs.visitor AS TEXT) AS at_visitor
  FROM (
    SELECT e.*
      FROM (SELECT DISTINCT v.day, v.visitor FROM {_DEVICE_DAYS} AND v.day < coalesce(({_NEXT_DAY}), 9e18)) AS t
           CROSS JOIN daily AS n CROSS JOIN events AS e
     WHERE n.project = ?1 AND n.kind = {NAME_KIND} AND n.day = t.day
       AND e.project = ?1 AND e.day = t.day AND e.name = n.a AND e.visitor = t.visitor AND e.ts >= ?3 ->> 'ts'
       AND (e.ts, e.event, e.name, e.visitor)
         > (?3 ->> 'ts', ?3 ->> 'event', ?3 ->> 'name', ?3 ->> 'visitor')
       AND {theirs("?2")}
     {_ORDER.format("e")} LIMIT ?5) AS theirs
  {_TEXTS}
 {_ORDER.format("theirs")}"""


def select_subject(
    scope: Scope, user_id: str, include_anonymous: bool, after: Place, limit: int
) -> list[Statement]:
    """Two statements: the events after a place, one more than the limit, to tell whether it cut; and `next_day`."""
    (project,) = scope.numbers
    place = {
        "day": day_of(after.ts_ms),
        "ts": after.ts_ms,
        "event": after.event,
        "name": after.name,
        "visitor": after.visitor,
    }
    parameters = (
        project,
        person_json(user_id, include_anonymous),
        json.dumps(place),
        EVENTS_PER_CALL,
        limit + 1,
    )
    return [Statement(_SUBJECT, parameters), Statement(_NEXT_DAY, parameters[:4])]


def before_day(day: int) -> Place:
    """The place before every event of a day."""
    return Place(day * MS_PER_DAY, 0, -1, -1, -1)


def label_whole(row: Row) -> Row:
    """A row as POST /v1/export shows it: GET /v1/query's columns, and what else there is."""
    confidence, _, rule_id = row["at_rule"].partition(":")
    return {
        "timestamp": format_instant(row["ts"]),
        "event_name": row["event_name"],
        "anonymous_id": row["anonymous_id"],
        "user_id": row["user_id"],
        "source": row["source"],
        "medium": row["medium"],
        "campaign": row["campaign"],
        "source_confidence": confidence,
        "source_rule_id": rule_id,
        "referrer": row["referrer"],
        "url": row["url"],
        "path": row["path"],
        "country": row["country"],
        "device_type": row["device_type"],
        "browser": row["browser"],
        "os": row["os"],
        "session_id": row["session_id"] or default_session_id(row["anonymous_id"], row["ts"]),
        "event_id": row["event_id"],
        "ip_hash": row["ip_hash"],
        "origin": ORIGINS[row["at_origin"]],
        "received_at": format_instant(row["ts"] + row["at_delay_ms"]),
        "properties": row["properties"],
    }
