"""The fold: what waits in the inbox becomes events, and every roll-up is corrected by exactly what is new.

All statements of a fold run in one batch, which is one transaction, so a fold happens whole or not at all; two folds at
once are one fold and one that finds the inbox empty. `?1` is always the JSON list of the projects to fold.

Why uniques can be added up, and how a late event repairs its successor: docs/decisions/0010-exact-uniques.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from storage.daily import change_daily
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.inbox import DAY, EVENT, KEPT_PLACES, NAMES, RESEND_WINDOW_MS, TEXT_PLACES, TS, UNTIMED, VISITOR
from storage.latest import remember
from storage.paths import change_paths

_PROJECTS: Final = "(SELECT value FROM json_each(?1))"

#: What waits, request by request, but for what belongs to days that retention has taken already: `kept.first_day`.
_REQUESTS: Final = """
  FROM inbox AS i CROSS JOIN folds AS f ON f.project = i.project LEFT JOIN retention AS kept ON kept.project = i.project"""
_OF_PROJECTS: Final = f"WHERE i.project IN {_PROJECTS}"


def _is_kept(day: str, first_day: str = "kept.first_day") -> str:
    return f"({first_day} IS NULL OR {day} >= {first_day})"


def _waiting(ids: str = "NULL", condition: str = "true") -> str:
    """Every waiting event `w.event` of the requests that meet a condition. `ids` is worked out once for each request.

    LIMIT -1 keeps a subquery whole: without it SQLite would work `ids` out again for every event, and write each event
    out as JSON again for every place that is read of it.
    """
    return f"""(
  SELECT r.project, r.identity, r.fold, r.first_day, r.ids, one.value AS event
    FROM (SELECT i.project, i.identity, f.fold, kept.first_day, {ids} AS ids, i.body {_REQUESTS}
          {_OF_PROJECTS} AND {condition} LIMIT -1) AS r
         CROSS JOIN json_each(r.body) AS one LIMIT -1) AS w"""


#: Whether an event of `_waiting` is of a day that is kept.
_WANTED: Final = _is_kept(f"w.event ->> {DAY}", "w.first_day")

#: The ids of a request's texts as one JSON list, in which an event finds its own by their places.
_TEXT_IDS: Final = """(
            SELECT json_group_array((SELECT d.id FROM dictionary AS d
                     WHERE d.project = i.project AND d.kind = CAST(kind.key AS INTEGER) AND d.value = text.value ->> 0))
              FROM json_each(i.texts) AS kind CROSS JOIN json_each(kind.value) AS text)"""

#: The same of the events' names alone, which are the first.
_NAME_IDS: Final = f"""(
            SELECT json_group_array((SELECT d.id FROM dictionary AS d
                     WHERE d.project = i.project AND d.kind = {KINDS["event_name"]} AND d.value = text.value ->> 0))
              FROM json_each(i.texts, '{NAMES}') AS text)"""


# 1. Rows that this fold writes carry its number, so that "new" is a comparison and not a second table.
_NUMBER: Final = f"""
INSERT INTO folds (project, fold, latest_ts)
SELECT i.project, 1, max(i.latest_ts) FROM inbox AS i {_OF_PROJECTS} GROUP BY i.project
ON CONFLICT (project) DO UPDATE SET fold = fold + 1, latest_ts = max(latest_ts, excluded.latest_ts)"""

# 2. Texts never seen before get their ids.
_TEXTS: Final = f"""
INSERT INTO dictionary (project, kind, value)
SELECT DISTINCT i.project, CAST(kind.key AS INTEGER), text.value ->> 0
  {_REQUESTS} CROSS JOIN json_each(i.texts) AS kind CROSS JOIN json_each(kind.value) AS text
 {_OF_PROJECTS} AND {_is_kept("text.value ->> 1")}
ON CONFLICT DO NOTHING"""

# 3. An event that came without a time belongs to the first request to bring its id, or the first in 7 days.
_ARRIVALS: Final = f"""
INSERT INTO arrivals (project, event, ts, claim)
SELECT w.project, w.event ->> {EVENT}, w.event ->> {TS}, w.identity
  FROM {_waiting(condition="i.untimed > 0")}
 WHERE w.event ->> {UNTIMED} AND {_WANTED}
 ORDER BY w.event ->> {TS}, w.identity
ON CONFLICT (project, event) DO UPDATE SET ts = excluded.ts, claim = excluded.claim
 WHERE excluded.ts - arrivals.ts >= {RESEND_WINDOW_MS}"""

#: Whether an event of `_waiting` is stored, unless it is there already.
_LET_IN: Final = f"""{_WANTED}
   AND (NOT w.event ->> {UNTIMED}
        OR EXISTS (SELECT 1 FROM arrivals AS a
                    WHERE a.project = w.project AND a.event = w.event ->> {EVENT} AND a.claim = w.identity
                      AND a.ts = w.event ->> {TS}))"""

# 4. The events themselves; the key drops what is there already.
_TEXT_COLUMNS: Final = ", ".join(COLUMNS[kind] for kind in KINDS)
_EVENTS: Final = f"""
INSERT INTO events (project, day, visitor, ts, event, fold, {", ".join(KEPT_PLACES)}, {_TEXT_COLUMNS})
SELECT w.project, w.event ->> {DAY}, w.event ->> {VISITOR}, w.event ->> {TS}, w.event ->> {EVENT}, w.fold,
       {", ".join(f"w.event ->> {place}" for place in KEPT_PLACES.values())},
       {", ".join(f"w.ids ->> (w.event ->> {TEXT_PLACES[kind]})" for kind in KINDS)}
  FROM {_waiting(_TEXT_IDS)}
 WHERE {_LET_IN}
ON CONFLICT DO NOTHING"""

#: What the roll-ups are kept by; `fresh` in every statement below is a list of events with these columns.
FRESH_COLUMNS: Final = """e.project, e.day, e.name, e.visitor, e.ts, e.event, e.source, e.medium,
         coalesce(e.campaign, 0) AS campaign, e.country, e.device_type, e.browser, e.os, coalesce(e.path, 0) AS path,
         coalesce(e.site, 0) AS site"""

_NAME_ID: Final = f"w.ids ->> (w.event ->> {TEXT_PLACES['event_name']})"

#: The events this fold stored, each once.
_FRESH: Final = f"""
fresh AS MATERIALIZED (
  SELECT DISTINCT {FRESH_COLUMNS}
    FROM {_waiting(_NAME_IDS)} CROSS JOIN events AS e
   WHERE e.project = w.project AND e.day = w.event ->> {DAY}
     AND e.name = {_NAME_ID} AND e.visitor = w.event ->> {VISITOR}
     AND e.ts = w.event ->> {TS} AND e.event = w.event ->> {EVENT} AND e.fold = w.fold)"""


# 5. Tier 1: daily.py.
# 6. Paths, and the sites they are of: paths.py.
# 7. Tier 2; after tier 1, which reads it as it was before this fold.
_DAY_COLUMNS: Final = "source, medium, campaign, country, device_type, browser, os"


def change_visitor_days(fresh: str, sign: str = "") -> str:
    """The same for tier 2."""
    return f"""
INSERT INTO visitor_days (project, visitor, day, {_DAY_COLUMNS}, events)
WITH {fresh}
SELECT project, visitor, day, {_DAY_COLUMNS}, {sign}count(*) FROM fresh WHERE true
 GROUP BY project, visitor, day, {_DAY_COLUMNS}
ON CONFLICT (project, visitor, day, {_DAY_COLUMNS}) DO UPDATE SET events = visitor_days.events + excluded.events"""


# 8. Who was seen on which device.
_PEOPLE: Final = f"""
INSERT INTO people (project, person, visitor)
SELECT DISTINCT i.project, one.value ->> 0, one.value ->> 1 {_REQUESTS} CROSS JOIN json_each(i.people) AS one
 {_OF_PROJECTS} AND {_is_kept("one.value ->> 2")}
ON CONFLICT DO NOTHING"""

# 9. Where the newest are: latest.py.
# 10. Nothing waits any more.
_EMPTY: Final = f"DELETE FROM inbox WHERE project IN {_PROJECTS}"

_FOLD: Final = (
    _NUMBER,
    _TEXTS,
    _ARRIVALS,
    _EVENTS,
    change_daily(_FRESH),
    change_paths(_FRESH),
    change_visitor_days(_FRESH),
    _PEOPLE,
    remember(_PROJECTS, f"{_waiting(_NAME_IDS)} CROSS JOIN had WHERE {_LET_IN}", _NAME_ID),
    _EMPTY,
)


def fold(projects: Sequence[int]) -> list[Statement]:
    """The statements that fold what waits for these projects; next to nothing when nothing does."""
    parameter = json.dumps(list(projects))
    return [Statement(sql, (parameter,)) for sql in _FOLD]


#: Projects for which something waits, for the cron.
WAITING_PROJECTS: Final = Statement("SELECT DISTINCT project FROM inbox ORDER BY project")
