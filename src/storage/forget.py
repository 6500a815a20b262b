"""Forgetting a person: which events are theirs, found along the keys of the tables and never by reading all events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from analytics.scope import Scope
from storage.database import Statement
from storage.dictionary import hash63
from storage.guard import MAY_WRITE
from storage.tiers import NAME_KIND
from storage.unfold import KEY, delete_unused_texts

#: What one round takes on: the devices it looks at, and the events it deletes.
DEVICES_PER_ROUND: Final = 50
EVENTS_PER_ROUND: Final = 1_000

# ?1 is the id of the key that asks, ?2 the project's number, ?3 the person: a JSON object, so that the hash stays exact;
# ?4 and ?5 are the two numbers above.
_DEVICES: Final = """
SELECT visitor FROM people WHERE project = ?2 AND person = ?3 ->> 'person' ORDER BY visitor LIMIT ?4"""


def theirs(person: str) -> str:
    """SQL: whether `e`, of a device of theirs, goes: their own, and those of nobody when they say so; never somebody else's.

    `person` is the parameter that says who.
    """
    return f"""(e.user_id = {person} ->> 'user_id'
     OR ({person} ->> 'include_anonymous' AND e.user_id IS NULL))"""


#: Every event `e` of the visitor-day `v`, sought under each name `n` that occurred on the day.
_OF_THE_DAY: Final = f"""n.project = ?2 AND n.kind = {NAME_KIND} AND n.day = v.day
   AND e.project = ?2 AND e.day = v.day AND e.name = n.a AND e.visitor = v.visitor AND {theirs("?3")}"""

_RELEASE: Final = f"""
DELETE FROM people
 WHERE project = ?2 AND person = ?3 ->> 'person' AND visitor IN ({_DEVICES}) AND {MAY_WRITE}
   AND NOT EXISTS (
     SELECT 1 FROM visitor_days AS v CROSS JOIN daily AS n CROSS JOIN events AS e
      WHERE v.project = ?2 AND v.visitor = people.visitor AND {_OF_THE_DAY})"""

_FIND: Final = f"""
SELECT {KEY} AS key
  FROM (SELECT DISTINCT d.visitor, seen.day FROM ({_DEVICES}) AS d CROSS JOIN visitor_days AS seen
         WHERE seen.project = ?2 AND seen.visitor = d.visitor) AS v CROSS JOIN daily AS n CROSS JOIN events AS e
 WHERE {_OF_THE_DAY} LIMIT ?5"""

_KNOWN: Final = (
    "SELECT EXISTS (SELECT 1 FROM people WHERE project = ?2 AND person = ?3 ->> 'person') AS known"
)


def look_for(scope: Scope, user_id: str, include_anonymous: bool) -> list[Statement]:
    """Three statements: devices without events of the person are let go; `key` of events to delete; `known`, whether any
    device is left."""
    (project,) = scope.numbers
    person = person_json(user_id, include_anonymous)
    parameters = (scope.key_id, project, person, DEVICES_PER_ROUND, EVENTS_PER_ROUND)
    return [
        Statement(_RELEASE, parameters[:4]),
        Statement(_FIND, parameters),
        Statement(_KNOWN, parameters[:3]),
    ]


#: Texts with the id in them that nothing refers to: a resend whose texts differed from the first left them.
_SWEEP: Final = delete_unused_texts("""
   SELECT id FROM dictionary
    WHERE project IN (SELECT value FROM json_each(?1)) AND instr(value, ?2) > 0 ORDER BY id DESC LIMIT 1000""")


def sweep(scope: Scope, user_id: str) -> Statement:
    """The statement to run last, when no event of the person is left."""
    return sweep_numbers(scope.numbers, user_id)


def sweep_numbers(numbers: Sequence[int], user_id: str) -> Statement:
    """The same for a job of the house."""
    return Statement(_SWEEP, (json.dumps(list(numbers)), user_id))


#: The days of the person's devices, and of each what is theirs or nobody's; ?3 as above.
_SUBJECT: Final = f"""
SELECT coalesce(sum(going), 0) AS events, count(nullif(going, 0)) AS visitor_days,
       coalesce(sum(unnamed), 0) AS anonymous_events, min(first_ms) AS first_ms, max(last_ms) AS last_ms,
       (SELECT count(*) FROM people WHERE project = ?2 AND person = ?3 ->> 'person') AS devices
  FROM (
    SELECT sum(goes) AS going, sum(nobodys) AS unnamed, min(CASE WHEN goes THEN ts END) AS first_ms,
           max(CASE WHEN goes THEN ts END) AS last_ms
      FROM (
        SELECT e.visitor, e.day, e.ts, e.user_id IS NULL AS nobodys,
               ?3 ->> 'include_anonymous' OR e.user_id IS NOT NULL AS goes
          FROM (SELECT DISTINCT d.visitor, v.day FROM people AS d CROSS JOIN visitor_days AS v
                 WHERE d.project = ?2 AND d.person = ?3 ->> 'person' AND v.project = ?2 AND v.visitor = d.visitor) AS theirs
               CROSS JOIN daily AS n CROSS JOIN events AS e
         WHERE n.project = ?2 AND n.kind = {NAME_KIND} AND n.day = theirs.day
           AND e.project = ?2 AND e.day = theirs.day AND e.name = n.a AND e.visitor = theirs.visitor
           AND coalesce(e.user_id, ?3 ->> 'user_id') = ?3 ->> 'user_id')
     GROUP BY visitor, day)"""


def count_subject(scope: Scope, user_id: str, include_anonymous: bool) -> Statement:
    """One row: the columns of `Subject`."""
    (project,) = scope.numbers
    return Statement(_SUBJECT, (scope.key_id, project, person_json(user_id, include_anonymous)))


def person_json(user_id: str, include_anonymous: bool) -> str:
    return json.dumps({"person": hash63(user_id), "user_id": user_id, "include_anonymous": include_anonymous})
