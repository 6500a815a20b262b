"""Retention: what is older than a plan keeps goes, in rounds of one transaction each.

First the boundary is set (`retention.first_day`): from then on nothing older comes in, and tier 1 counts only from there,
so windows inside the retention are exact at every moment. Then rows go: events with their visitor-days, then the
counts, the totals last, because the others are found by the days of the totals. What is left to do is only ever read from
the tables themselves: a purge that was killed goes on, and one that is done does nothing. docs/decisions/0013-retention.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from storage.database import Statement
from storage.inbox import RESEND_WINDOW_MS
from storage.paths import FIND_OLD, delete_empty, empty_old, paths_of
from storage.tiers import ALL_KINDS, KIND_COLUMNS, OCTET_DAYS, TOTAL_KIND
from storage.unfold import DELETE_EMPTY_DAYS, FORGET_LATEST, KEY, delete_unused_texts

#: How many rows one round deletes, and how many one looks at where most of them stay.
ROWS_PER_ROUND: Final = 1_000
ROWS_PER_STEP: Final = 5_000
#: An arrival is asked about for the resend window; one more day for requests that are under way.
_ARRIVAL_LIFE_MS: Final = RESEND_WINDOW_MS + 86_400_000

# ?1 is today, ?2 a JSON object: the days that each plan keeps. A boundary never goes back: what is gone is gone.
_SET_BOUNDARIES: Final = """
INSERT INTO retention (project, first_day)
SELECT p.number, ?1 - keeps.value
  FROM projects AS p JOIN accounts AS a ON a.id = p.account_id JOIN json_each(?2) AS keeps ON keeps.key = a.plan
 WHERE true
ON CONFLICT (project) DO UPDATE SET first_day = excluded.first_day WHERE excluded.first_day > first_day"""
_BOUNDARIES: Final = "SELECT project, first_day FROM retention ORDER BY project"


def set_boundaries(today: int, keeps: Mapping[str, int]) -> list[Statement]:
    """Two statements; the second gives `project, first_day` of every project."""
    return [Statement(_SET_BOUNDARIES, (today, json.dumps(dict(keeps)))), Statement(_BOUNDARIES)]


@dataclass(frozen=True, slots=True)
class Stage:
    """Rows of one kind that are all to go.

    Shape: `find` gives their `key` as JSON text (?1 project, ?2 first day kept, ?3 how many); the statements of `delete`
    take them (?1 the JSON list of the project, ?2 that of the keys).
    """

    find: str
    delete: tuple[str, ...]

    def round(self, project: int, first_day: int, keys: Sequence[str]) -> list[Statement]:
        """Deletes the rows that the last round found; its last statement finds the next."""
        parameters = (json.dumps([project]), f"[{','.join(keys)}]")
        gone = [Statement(sql, parameters) for sql in self.delete] if keys else []
        return [*gone, Statement(self.find, (project, first_day, ROWS_PER_ROUND))]


_PROJECT: Final = "project IN (SELECT value FROM json_each(?1))"


def _keys(*places: int) -> str:
    return f"SELECT {', '.join(f'one.value ->> {place}' for place in places)} FROM json_each(?2) AS one"


# A visitor's day stays for as long as one of its events does: forgetting finds them by it.
_EVENTS: Final = Stage(
    f"SELECT {KEY} AS key FROM events AS e WHERE e.project = ?1 AND e.day < ?2 LIMIT ?3",
    (
        f"DELETE FROM events WHERE {_PROJECT} AND (day, name, visitor, ts, event) IN ({_keys(0, 1, 2, 3, 4)})",
        FORGET_LATEST,
        DELETE_EMPTY_DAYS,
    ),
)
_PATHS: Final = Stage(
    FIND_OLD,
    (
        empty_old(f"{_PROJECT} AND (octet, paths, site) IN ({_keys(0, 1, 2)})"),
        delete_empty(f"{_PROJECT} AND (octet, paths, site) IN ({_keys(0, 1, 2)})"),
        delete_unused_texts(f"{paths_of('json_each(?2) AS one', 'one.value ->> 1')} UNION {_keys(2)}"),
    ),
)


def _counts(kinds: Sequence[int]) -> Stage:
    listed = ", ".join(map(str, kinds))
    return Stage(
        f"""
SELECT json_array(kind, day, a, b) AS key FROM daily
 WHERE project = ?1 AND kind IN ({listed}) AND day < ?2 LIMIT ?3""",
        (
            f"DELETE FROM daily WHERE {_PROJECT} AND (kind, day, a, b) IN ({_keys(0, 1, 2, 3)})",
            delete_unused_texts(_keys(2)),
        ),
    )


#: An octet that reaches across the boundary goes with its first day: nothing reads it any more.
_OCTETS: Final = Stage(
    f"""
SELECT json_array(kind, octet, a, b) AS key FROM eight_days
 WHERE project = ?1 AND kind IN ({ALL_KINDS})
   AND octet < (CAST(?2 AS INTEGER) + {OCTET_DAYS - 1}) / {OCTET_DAYS} LIMIT ?3""",
    (f"DELETE FROM eight_days WHERE {_PROJECT} AND (kind, octet, a, b) IN ({_keys(0, 1, 2, 3)})",),
)

STAGES: Final = (
    _EVENTS,
    _PATHS,
    _OCTETS,
    _counts([kind for kind in KIND_COLUMNS if kind != TOTAL_KIND]),
    _counts([TOTAL_KIND]),
)


@dataclass(frozen=True, slots=True)
class Walk:
    """A table of which some rows go, looked through along its key, a step at a time.

    Shape: of both statements ?1 is the project, ?2 the key up to which it was looked through (a JSON list), ?3 the size
    of the step; where it is `timed`, ?4 is the time. `find` gives the `key` of the step's last row, none at the end.
    """

    find: str
    delete: str
    timed: bool = False

    def step(self, project: int, after: str, now_ms: int) -> list[Statement]:
        """Two statements; the first tells where the next step begins."""
        return [
            Statement(self.find, (project, after, ROWS_PER_STEP - 1)),
            Statement(self.delete, (project, after, ROWS_PER_STEP, *([now_ms] if self.timed else []))),
        ]


#: Before every key: hashes are not negative.
FIRST_KEY: Final = "[-1,-1]"

_NEXT_PEOPLE: Final = (
    "FROM people WHERE project = ?1 AND (person, visitor) > (?2 ->> 0, ?2 ->> 1) ORDER BY person, visitor"
)
_NEXT_ARRIVALS: Final = "FROM arrivals WHERE project = ?1 AND event > ?2 ->> 0 ORDER BY event"

WALKS: Final = (
    Walk(
        f"SELECT json_array(person, visitor) AS key {_NEXT_PEOPLE} LIMIT 1 OFFSET ?3",
        f"""
DELETE FROM people
 WHERE project = ?1 AND (person, visitor) IN (SELECT person, visitor {_NEXT_PEOPLE} LIMIT ?3)
   AND NOT EXISTS (SELECT 1 FROM visitor_days AS v WHERE v.project = people.project AND v.visitor = people.visitor)""",
    ),
    Walk(
        f"SELECT json_array(event) AS key {_NEXT_ARRIVALS} LIMIT 1 OFFSET ?3",
        f"""
DELETE FROM arrivals
 WHERE project = ?1 AND event IN (SELECT event {_NEXT_ARRIVALS} LIMIT ?3) AND ts < ?4 - {_ARRIVAL_LIFE_MS}""",
        timed=True,
    ),
)
