"""The unfold: events go, and every roll-up is corrected by exactly what they had added. The fold with its signs turned.

Deleting the events D is the inverse of folding D into what remains, so the statements are those of fold.py: `fresh` are
the events that go, the days in `past` are the days that remain. Only the order differs: tier 2 comes first, because tier 1
must read it without D. All statements run in one batch, which is one transaction, so an unfold happens whole or not at
all; an event that is gone is not found again, so nothing is ever taken away twice. docs/decisions/0012-forgetting.md.

`?1` is the JSON list of the one project, `?2` the JSON list of the events' keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from analytics.scope import Scope
from storage.daily import change_daily
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.fold import FRESH_COLUMNS, change_visitor_days
from storage.guard import MAY_WRITE
from storage.latest import forget
from storage.octets import delete_rest
from storage.paths import change_paths, counts, delete_empty
from storage.tiers import ALL_KINDS, NAME_KIND, OCTET_DAYS, TOTAL_KIND

#: The key of an event `e`, as JSON text: its hashes need all their 63 bits on the way through D1.
KEY: Final = "json_array(e.day, e.name, e.visitor, e.ts, e.event)"
_DAY, _NAME, _VISITOR, _TS, _EVENT = (f"one.value ->> {place}" for place in range(5))

_PROJECT: Final = "(SELECT value FROM json_each(?1))"
_KEYS: Final = "json_each(?2) AS one"

# 1. A number of its own, as every fold has.
_NUMBER: Final = """
INSERT INTO folds (project, fold) SELECT value, 1 FROM json_each(?1) WHERE true
ON CONFLICT (project) DO UPDATE SET fold = fold + 1"""

# 2. The events that go carry it: from here on they are the new ones, and what is older remains.
#    Here alone ?1 is the id of the key that asked, ?2 the project's number, ?3 the keys of the events.
_MARK: Final = f"""
UPDATE events SET fold = (SELECT fold FROM folds WHERE project = ?2)
 WHERE project = ?2 AND {{may}}
   AND (day, name, visitor, ts, event) IN (
     SELECT {_DAY}, {_NAME}, {_VISITOR}, {_TS}, {_EVENT} FROM json_each(?3) AS one)"""
_MARK_FOR_KEY: Final = _MARK.format(may=MAY_WRITE)
#: For a job of the house, which no key asked for.
_MARK_FOR_HOUSE: Final = _MARK.format(may="true")

_FRESH: Final = f"""
fresh AS MATERIALIZED (
  SELECT DISTINCT {FRESH_COLUMNS}
    FROM {_KEYS} CROSS JOIN folds AS f CROSS JOIN events AS e
   WHERE f.project IN {_PROJECT} AND e.project = f.project AND e.day = {_DAY} AND e.name = {_NAME}
     AND e.visitor = {_VISITOR} AND e.ts = {_TS} AND e.event = {_EVENT} AND e.fold = f.fold)"""

# 3. Rows that count nothing any more go.
_DAYS: Final = f"(SELECT DISTINCT {_DAY} FROM {_KEYS})"
_EMPTY_VISITOR_DAYS: Final = f"""
DELETE FROM visitor_days
 WHERE project IN {_PROJECT} AND (visitor, day) IN (SELECT {_VISITOR}, {_DAY} FROM {_KEYS}) AND events = 0"""
_EMPTY_DAILY: Final = f"""
DELETE FROM daily
 WHERE project IN {_PROJECT} AND kind IN ({ALL_KINDS}) AND day IN {_DAYS} AND events = 0"""
#: Sums of days that the events' days or later ones were part of: no number that counts them stays.
_EMPTY_OCTETS: Final = delete_rest(_PROJECT, f"(SELECT min({_DAY}) FROM {_KEYS})")
_EMPTY_PATHS: Final = delete_empty(
    f"project IN {_PROJECT} AND octet IN (SELECT DISTINCT ({_DAY}) / {OCTET_DAYS} FROM {_KEYS})"
)

# 4. An arrival goes with the event it let in; the same event_id at another time is another event.
_ARRIVALS: Final = f"""
DELETE FROM arrivals WHERE project IN {_PROJECT} AND (event, ts) IN (SELECT {_EVENT}, {_TS} FROM {_KEYS})"""


def delete_unused_texts(ids: str) -> str:
    """The statement that deletes those texts among `ids` that tier 1 does not count anything under any more.

    One probe along the key for each day of the project that has events; for a site the first of all paths with it. The
    rules of attribution are a fixed list of ours and stay.
    """
    days = f"daily AS d CROSS JOIN {{}} AS r WHERE d.project = t.project AND d.kind = {TOTAL_KIND} AND r.project = t.project"
    return f"""
DELETE FROM dictionary AS t
 WHERE t.id IN ({ids}) AND t.project IN {_PROJECT} AND t.kind <> {KINDS["rule"]}
   AND NOT EXISTS (SELECT 1 FROM {days.format("daily")} AND r.day = d.day AND r.kind = t.kind AND r.a = t.id)
   AND NOT EXISTS (SELECT 1 FROM {days.format("path_counts")} AND r.octet = d.day / {OCTET_DAYS} AND {counts("t.id", "r")})
   AND (t.kind <> {KINDS["site"]}
        OR NOT EXISTS (SELECT 1 FROM path_counts AS r WHERE r.project = t.project AND r.site = t.id))"""


# 5. Texts that only the events that go had used.
_TEXT_IDS: Final = ", ".join(f"fresh.{COLUMNS[kind]}" for kind in KINDS if kind != "rule")
_TEXTS: Final = delete_unused_texts(f"""
   WITH {_FRESH}
   SELECT text.value FROM fresh CROSS JOIN json_each(json_array({_TEXT_IDS})) AS text""")

# 6. The events themselves.
_EVENTS: Final = f"""
DELETE FROM events
 WHERE project IN {_PROJECT} AND fold = (SELECT fold FROM folds WHERE project = events.project)
   AND (day, name, visitor, ts, event) IN (SELECT {_DAY}, {_NAME}, {_VISITOR}, {_TS}, {_EVENT} FROM {_KEYS})"""

# 7. Where the newest are; for purge.py too.
FORGET_LATEST: Final = forget(_PROJECT, f"SELECT {_TS}, {_EVENT}, {_NAME}, {_VISITOR} FROM {_KEYS}")

#: 8. Of the days of these events those on which the visitor has none any more, whatever they still count: a purge that
#: is under way (purge.py) deletes events first and their days last.
DELETE_EMPTY_DAYS: Final = f"""
DELETE FROM visitor_days
 WHERE project IN {_PROJECT} AND (visitor, day) IN (SELECT {_VISITOR}, {_DAY} FROM {_KEYS})
   AND NOT EXISTS (
     SELECT 1 FROM daily AS n CROSS JOIN events AS e
      WHERE n.project = visitor_days.project AND n.kind = {NAME_KIND} AND n.day = visitor_days.day
        AND e.project = n.project AND e.day = n.day AND e.name = n.a AND e.visitor = visitor_days.visitor)"""

_UNFOLD: Final = (
    change_visitor_days(_FRESH, "-"),
    _EMPTY_VISITOR_DAYS,
    change_daily(_FRESH, "-"),
    _EMPTY_DAILY,
    _EMPTY_OCTETS,
    change_paths(_FRESH, "-"),
    _EMPTY_PATHS,
    _ARRIVALS,
    _TEXTS,
    _EVENTS,
    FORGET_LATEST,
    DELETE_EMPTY_DAYS,
)


def unfold(scope: Scope, keys: Sequence[str]) -> list[Statement]:
    """The statements that delete these events of the scope's project; the second marks them, and so counts them."""
    (project,) = scope.numbers
    return _unfold(_MARK_FOR_KEY, scope.key_id, project, keys)


def unfold_again(project: int, keys: Sequence[str]) -> list[Statement]:
    """The same for a job of the house."""
    return _unfold(_MARK_FOR_HOUSE, None, project, keys)


def _unfold(mark: str, key_id: str | None, project: int, keys: Sequence[str]) -> list[Statement]:
    projects, listed = json.dumps([project]), f"[{','.join(keys)}]"
    return [
        Statement(_NUMBER, (projects,)),
        Statement(mark, (key_id, project, listed)),
        *(Statement(sql, (projects, listed)) for sql in _UNFOLD),
    ]
