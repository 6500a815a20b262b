"""The fold: what waits in the inbox becomes events, and every roll-up is corrected by exactly what is new.

All statements of a fold run in one batch, which is one transaction, so a fold happens whole or not at all; two folds at
once are one fold and one that finds the inbox empty. `?1` is always the JSON list of the projects to fold.

Why uniques can be added up, and how a late event repairs its successor: docs/decisions/0010-exact-uniques.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.inbox import DAY, EVENT, PAYLOAD, PERSON, RESEND_WINDOW_MS, TEXT_PLACES, TS, UNTIMED, VISITOR
from storage.tiers import FOREVER, KIND_COLUMNS, NAME_KIND, TAILS

_PROJECTS: Final = "(SELECT value FROM json_each(?1))"

#: Every waiting event `one` of the inbox rows `i`, but those of days that retention has taken already.
_INBOX: Final = """FROM inbox AS i LEFT JOIN retention AS kept ON kept.project = i.project
  CROSS JOIN json_each(i.body) AS one"""
_WANTED: Final = (
    f"i.project IN {_PROJECTS} AND (kept.first_day IS NULL OR one.value ->> {DAY} >= kept.first_day)"
)
_WAITING: Final = f"{_INBOX} WHERE {_WANTED}"


def _text_id(kind: str) -> str:
    return (
        f"(SELECT id FROM dictionary"
        f" WHERE project = i.project AND kind = {KINDS[kind]} AND value = one.value ->> {TEXT_PLACES[kind]})"
    )


# 1. Rows that this fold writes carry its number, so that "new" is a comparison and not a second table.
_NUMBER: Final = f"""
INSERT INTO folds (project, fold, latest_ts)
SELECT i.project, 1, max(one.value ->> {TS})
  FROM inbox AS i CROSS JOIN json_each(i.body) AS one WHERE i.project IN {_PROJECTS} GROUP BY i.project
ON CONFLICT (project) DO UPDATE SET fold = fold + 1, latest_ts = max(latest_ts, excluded.latest_ts)"""

# 2. Texts never seen before get their ids.
_TEXTS: Final = f"""
INSERT INTO dictionary (project, kind, value)
SELECT DISTINCT i.project, text.key + 1, text.value
  {_INBOX} CROSS JOIN json_each(json_array({
    ", ".join(f"one.value ->> {place}" for place in TEXT_PLACES.values())
})) AS text
 WHERE {_WANTED} AND text.value IS NOT NULL
ON CONFLICT DO NOTHING"""

# 3. An event that came without a time belongs to the first request to bring its id, or the first in 7 days.
_ARRIVALS: Final = f"""
INSERT INTO arrivals (project, event, ts, claim)
SELECT i.project, one.value ->> {EVENT}, one.value ->> {TS}, i.identity
{_WAITING} AND one.value ->> {UNTIMED}
 ORDER BY one.value ->> {TS}, i.identity
ON CONFLICT (project, event) DO UPDATE SET ts = excluded.ts, claim = excluded.claim
 WHERE excluded.ts - arrivals.ts >= {RESEND_WINDOW_MS}"""

# 4. The events themselves; the key drops what is there already.
_TEXT_COLUMNS: Final = ", ".join(COLUMNS[kind] for kind in KINDS)
_EVENTS: Final = f"""
INSERT INTO events (project, day, visitor, ts, event, payload, fold, {_TEXT_COLUMNS})
SELECT i.project, one.value ->> {DAY} AS day, one.value ->> {VISITOR}, one.value ->> {TS}, one.value ->> {EVENT},
       one.value -> {PAYLOAD}, (SELECT fold FROM folds WHERE project = i.project),
       {", ".join(_text_id(kind) for kind in KINDS)}
{_WAITING}
   AND (NOT one.value ->> {UNTIMED}
        OR EXISTS (SELECT 1 FROM arrivals AS a
                    WHERE a.project = i.project AND a.event = one.value ->> {EVENT} AND a.claim = i.identity
                      AND a.ts = one.value ->> {TS}))
ON CONFLICT DO NOTHING"""

#: What the roll-ups are kept by; `fresh` in every statement below is a list of events with these columns.
FRESH_COLUMNS: Final = """e.project, e.day, e.name, e.visitor, e.ts, e.event, e.source, e.medium,
         coalesce(e.campaign, 0) AS campaign, e.country, e.device_type, e.browser, e.os, coalesce(e.path, 0) AS path"""

#: The events this fold stored, each once.
_FRESH: Final = f"""
fresh AS MATERIALIZED (
  SELECT DISTINCT {FRESH_COLUMNS}
    FROM inbox AS i CROSS JOIN json_each(i.body) AS one CROSS JOIN folds AS f CROSS JOIN events AS e
   WHERE i.project IN {_PROJECTS} AND f.project = i.project AND e.project = i.project
     AND e.day = one.value ->> {DAY} AND e.name = {_text_id("event_name")} AND e.visitor = one.value ->> {VISITOR}
     AND e.ts = one.value ->> {TS} AND e.event = one.value ->> {EVENT} AND e.fold = f.fold)"""


def _places(kinds: Sequence[int], alias: str) -> tuple[str, str, str]:
    """The kinds to spread a row over, as a JSON list, and the expressions of `a` and `b` for the kind `k.value`."""
    columns = {kind: KIND_COLUMNS[kind] for kind in kinds}
    first = " ".join(f"WHEN {kind} THEN {alias}.{names[0]}" for kind, names in columns.items() if names)
    second = " ".join(
        f"WHEN {kind} THEN {alias}.{names[1]}" for kind, names in columns.items() if len(names) > 1
    )
    return (
        f"json_each('{json.dumps(list(kinds))}') AS k",
        f"CASE k.value {first} ELSE 0 END",
        f"CASE k.value {second} ELSE 0 END",
    )


_ALL_KINDS, _ALL_A, _ALL_B = _places(tuple(KIND_COLUMNS), "fresh")
_DAY_KINDS, _DAY_A, _DAY_B = _places(tuple(kind for kind in KIND_COLUMNS if kind != NAME_KIND), "v")

# 5. Tier 1. `added`: what is new, per visitor and day, of each kind. `past`: the days on which the same visitors had been
#    seen before this fold, as far as a tail can reach. `days`: both together, `is_new` = 1 where this fold adds the day.
#    `gaps`: for each day its distance to the visitor's previous day, now (`gap`) and before this fold (`was`; 0 = the day
#    was not there). A day counts in t<k> when its gap exceeds k, so each day changes t<k> by [gap > k] − [was > k].
_TAIL_COLUMNS: Final = ", ".join(f"t{k}" for k in range(TAILS))
_ADDED_UP: Final = ", ".join(
    f"{column} = daily.{column} + excluded.{column}"
    for column in ("events", *(f"t{k}" for k in range(TAILS)))
)


def change_daily(fresh: str, sign: str = "") -> str:
    """The statement that adds what is `fresh` to tier 1; with the sign "-" it takes it away (unfold.py)."""
    changes = ", ".join(f"{sign}sum((gap > {k}) - (was > {k}))" for k in range(TAILS))
    return f"""
INSERT INTO daily (project, kind, day, a, b, events, {_TAIL_COLUMNS})
WITH {fresh},
added AS (
  SELECT project, k.value AS kind, {_ALL_A} AS a, {_ALL_B} AS b, visitor, day, count(*) AS events
    FROM fresh CROSS JOIN {_ALL_KINDS} GROUP BY 1, 2, 3, 4, 5, 6),
reach AS (
  SELECT project, visitor, min(day) - {TAILS} AS earliest, max(day) + {TAILS} AS latest
    FROM fresh GROUP BY project, visitor),
past AS (
  SELECT DISTINCT v.project, k.value AS kind, {_DAY_A} AS a, {_DAY_B} AS b, v.visitor, v.day
    FROM reach CROSS JOIN visitor_days AS v CROSS JOIN {_DAY_KINDS}
   WHERE v.project = reach.project AND v.visitor = reach.visitor AND v.day BETWEEN reach.earliest AND reach.latest
  UNION ALL
  SELECT DISTINCT n.project, {NAME_KIND}, n.name, 0, n.visitor, v.day
    FROM (SELECT project, visitor, name, min(day) - {TAILS} AS earliest, max(day) + {TAILS} AS latest
            FROM fresh GROUP BY project, visitor, name) AS n CROSS JOIN visitor_days AS v
   WHERE v.project = n.project AND v.visitor = n.visitor AND v.day BETWEEN n.earliest AND n.latest
     AND EXISTS (SELECT 1 FROM events AS e
                  WHERE e.project = n.project AND e.day = v.day AND e.name = n.name AND e.visitor = n.visitor
                    AND e.fold < (SELECT fold FROM folds WHERE project = n.project))),
days AS (
  SELECT project, kind, a, b, visitor, day, sum(events) AS events, min(is_new) AS is_new FROM (
    SELECT *, 1 AS is_new FROM added UNION ALL SELECT *, 0 AS events, 0 AS is_new FROM past)
   GROUP BY project, kind, a, b, visitor, day),
gaps AS (
  SELECT project, kind, day, a, b, events, coalesce(day - lag(day) OVER one, {FOREVER}) AS gap,
         CASE WHEN is_new THEN 0 ELSE coalesce(day - max(CASE WHEN is_new = 0 THEN day END)
           OVER (one ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), {FOREVER}) END AS was
    FROM days WINDOW one AS (PARTITION BY project, kind, a, b, visitor ORDER BY day))
SELECT project, kind, day, a, b, {sign}sum(events), {changes}
  FROM gaps WHERE events > 0 OR gap <> was GROUP BY project, kind, day, a, b
ON CONFLICT (project, kind, day, a, b) DO UPDATE SET {_ADDED_UP}"""


# 6. Paths: counts only.
def change_paths(fresh: str, sign: str = "") -> str:
    """The same for the counts by path."""
    return f"""
INSERT INTO daily_paths (project, day, path, events)
WITH {fresh}
SELECT project, day, path, {sign}count(*) FROM fresh WHERE true GROUP BY project, day, path
ON CONFLICT (project, day, path) DO UPDATE SET events = daily_paths.events + excluded.events"""


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
SELECT DISTINCT i.project, one.value ->> {PERSON}, one.value ->> {VISITOR}
{_WAITING} AND one.value ->> {PERSON} IS NOT NULL
ON CONFLICT DO NOTHING"""

# 9. Nothing waits any more.
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
    _EMPTY,
)


def fold(projects: Sequence[int]) -> list[Statement]:
    """The statements that fold what waits for these projects; next to nothing when nothing does."""
    parameter = json.dumps(list(projects))
    return [Statement(sql, (parameter,)) for sql in _FOLD]


#: Projects for which something waits, for the cron.
WAITING_PROJECTS: Final = Statement("SELECT DISTINCT project FROM inbox ORDER BY project")
