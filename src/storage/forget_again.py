"""Forgetting a person once more, whom a restore brought back: what had arrived by an instant, found along the same keys.

For a job of the house and no key: unlike forget.py, nothing here asks whether somebody may.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from storage.database import Statement
from storage.tiers import NAME_KIND
from storage.unfold import KEY

#: How many events one round deletes.
EVENTS_PER_ROUND: Final = 1_000

# ?1 is the project's number, ?2 the person: a JSON object, so that the hash stays exact.
_NAMED: Final = "e.user_id IN (SELECT value FROM json_each(?2, '$.user_ids'))"

#: What the events of their devices call anybody: who the person is, is known by a hash alone.
_USER_IDS: Final = f"""
SELECT DISTINCT e.user_id AS user_id
  FROM (SELECT DISTINCT d.visitor, seen.day FROM people AS d CROSS JOIN visitor_days AS seen
         WHERE d.project = ?1 AND d.person = ?2 ->> 'person' AND seen.project = ?1 AND seen.visitor = d.visitor) AS v
       CROSS JOIN daily AS n CROSS JOIN events AS e
 WHERE n.project = ?1 AND n.kind = {NAME_KIND} AND n.day = v.day
   AND e.project = ?1 AND e.day = v.day AND e.name = n.a AND e.visitor = v.visitor AND e.user_id IS NOT NULL"""

#: ?3 is the instant.
_BY_THEN: Final = "e.ts + e.delay_ms <= CAST(?3 AS INTEGER)"

#: ?4 is the number above. Of all devices at once: one on which they came back stays theirs, and would never leave a list of
#: the first few. What nobody is named in goes only where they had been by then, on a device that became theirs later it was
#: never asked for; and it goes first, in the same transaction at the latest, because the named events are what tells.
_FIND: Final = f"""
WITH devices AS MATERIALIZED (
  SELECT d.visitor AS visitor, EXISTS (
           SELECT 1 FROM visitor_days AS seen CROSS JOIN daily AS n CROSS JOIN events AS e
            WHERE seen.project = ?1 AND seen.visitor = d.visitor AND n.project = ?1 AND n.kind = {NAME_KIND}
              AND n.day = seen.day AND e.project = ?1 AND e.day = seen.day AND e.name = n.a AND e.visitor = d.visitor
              AND {_NAMED} AND {_BY_THEN}) AS by_then
    FROM people AS d WHERE d.project = ?1 AND d.person = ?2 ->> 'person')
SELECT {KEY} AS key
  FROM (SELECT DISTINCT theirs.visitor, theirs.by_then, seen.day
          FROM devices AS theirs CROSS JOIN visitor_days AS seen
         WHERE seen.project = ?1 AND seen.visitor = theirs.visitor) AS v
       CROSS JOIN daily AS n CROSS JOIN events AS e
 WHERE n.project = ?1 AND n.kind = {NAME_KIND} AND n.day = v.day
   AND e.project = ?1 AND e.day = v.day AND e.name = n.a AND e.visitor = v.visitor AND {_BY_THEN}
   AND ({_NAMED} OR (?2 ->> 'include_anonymous' AND e.user_id IS NULL AND v.by_then))
 ORDER BY e.user_id IS NOT NULL LIMIT ?4"""

#: A device is theirs only through events that name them: what nobody did there since then is nobody's, as it was before
#: the restore. So devices go last, when no event is found any more.
_RELEASE: Final = f"""
DELETE FROM people
 WHERE project = ?1 AND person = ?2 ->> 'person'
   AND NOT EXISTS (
     SELECT 1 FROM visitor_days AS v CROSS JOIN daily AS n CROSS JOIN events AS e
      WHERE v.project = ?1 AND v.visitor = people.visitor AND n.project = ?1 AND n.kind = {NAME_KIND} AND n.day = v.day
        AND e.project = ?1 AND e.day = v.day AND e.name = n.a AND e.visitor = v.visitor AND {_NAMED})"""


@dataclass(frozen=True, slots=True)
class Returned:
    """Somebody whom a restore brought back: by the hash of `people`, and by what their events call them."""

    number: int
    person: int
    user_ids: Sequence[str]
    include_anonymous: bool

    def find(self, by_ms: int) -> Statement:
        """`key` of events to delete that had arrived by then."""
        return Statement(_FIND, (self.number, self._as_json(), by_ms, EVENTS_PER_ROUND))

    def release(self) -> Statement:
        """Lets go of devices on which no event names them."""
        return Statement(_RELEASE, (self.number, self._as_json()))

    def _as_json(self) -> str:
        return json.dumps(
            {
                "person": self.person,
                "user_ids": list(self.user_ids),
                "include_anonymous": self.include_anonymous,
            }
        )


def select_user_ids(number: int, person: int) -> Statement:
    """`user_id`, once each: the person's is among them, if any event still says it."""
    return Statement(_USER_IDS, (number, json.dumps({"person": person})))
