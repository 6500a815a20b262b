"""Tier 1 and how it changes: a fold adds what is fresh to `daily`, an unfold takes it away, by the same statement.

What a tail is, and why only a visitor's nearest days matter: docs/decisions/0010-exact-uniques.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from storage.tiers import FOREVER, KIND_COLUMNS, NAME_KIND, TAILS

_TAIL_COLUMNS: Final = ", ".join(f"t{k}" for k in range(TAILS))
_ADDED_UP: Final = ", ".join(
    f"{column} = daily.{column} + excluded.{column}"
    for column in ("events", *(f"t{k}" for k in range(TAILS)))
)

#: The kinds whose values stand in tier 2: all but the event's name.
_DAY_KINDS: Final = {kind: columns for kind, columns in KIND_COLUMNS.items() if kind != NAME_KIND}
_KINDS: Final = f"json_each('{json.dumps(list(_DAY_KINDS))}') AS k"


def _of_kind(expressions: Sequence[tuple[int, str]], otherwise: str) -> str:
    return (
        f"CASE kind {' '.join(f'WHEN {kind} THEN {sql}' for kind, sql in expressions)} ELSE {otherwise} END"
    )


def _place(place: int) -> str:
    """The expression of `a` (0) or `b` (1) of the kind `kind`."""
    found = [(kind, columns[place]) for kind, columns in _DAY_KINDS.items() if len(columns) > place]
    return _of_kind(found, "0")


#: Whether the visitor-day `v` has the value `a`, `b` of the kind.
_HAS_VALUE: Final = _of_kind(
    [
        (kind, " AND ".join(f"v.{column} = {place}" for column, place in zip(columns, "ab", strict=False)))
        for kind, columns in _DAY_KINDS.items()
        if columns
    ],
    "true",
)
#: Whether the visitor has the name `a` on the day of `v`; events of this fold, or that go, carry its number.
_HAS_NAME: Final = """EXISTS (
    SELECT 1 FROM events AS e WHERE e.project = v.project AND e.day = v.day AND e.name = a AND e.visitor = v.visitor
       AND e.fold < (SELECT fold FROM folds WHERE folds.project = v.project))"""

#: The days `v` of the visitor of `mine` that are not `fresh` and within the reach of a tail: up to this day, and after it.
_OTHER: Final = "FROM visitor_days AS v WHERE v.project = mine.project AND v.visitor = mine.visitor"
_UP_TO: Final = f"{_OTHER} AND v.day BETWEEN mine.day - {TAILS} AND mine.day"
_AFTER: Final = f"{_OTHER} AND v.day BETWEEN mine.day + 1 AND mine.day + {TAILS}"


def _last(has: str) -> str:
    return f"(SELECT v.day {_UP_TO} AND {has} ORDER BY v.day DESC LIMIT 1)"


def _next(has: str) -> str:
    return f"(SELECT v.day {_AFTER} AND {has} ORDER BY v.day LIMIT 1)"


# What is fresh, by what tells visitor-days apart and by name.
_GROUPED: Final = """
grouped AS MATERIALIZED (
  SELECT project, visitor, day, source, medium, campaign, country, device_type, browser, os, name, count(*) AS events
    FROM fresh GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)"""

# The visitor's days, by kind and value. `last` is the nearest other day up to this one, and this day itself when the
# visitor had it already; `next` is the nearest later one. Most visitors have neither: two probes spare them the rest.
_DAYS: Final = f"""
tuples AS (
  SELECT project, visitor, day, source, medium, campaign, country, device_type, browser, os, sum(events) AS events,
         EXISTS (SELECT 1 {_UP_TO}) AS has_last, EXISTS (SELECT 1 {_AFTER}) AS has_next
    FROM grouped AS mine GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
days AS MATERIALIZED (
  SELECT project, kind, a, b, visitor, day, events,
         CASE WHEN has_last THEN {_last(_HAS_VALUE)} END AS last, CASE WHEN has_next THEN {_next(_HAS_VALUE)} END AS next
    FROM (SELECT project, kind, {_place(0)} AS a, {_place(1)} AS b, visitor, day, sum(events) AS events, has_last, has_next
            FROM (SELECT tuples.*, k.value AS kind FROM tuples CROSS JOIN {_KINDS}) GROUP BY 1, 2, 3, 4, 5, 6) AS mine
  UNION ALL
  SELECT project, {NAME_KIND}, a, 0, visitor, day, events, {_last(_HAS_NAME)}, {_next(_HAS_NAME)}
    FROM (SELECT project, name AS a, visitor, day, sum(events) AS events FROM grouped GROUP BY 1, 2, 3, 4) AS mine)"""

# `before` and `after`: the same among the fresh days themselves, for the few visitors who have several.
_STEPS: Final = """
several AS MATERIALIZED (
  SELECT project, visitor FROM grouped GROUP BY project, visitor HAVING min(day) < max(day)),
steps AS (
  SELECT *, NULL AS before, NULL AS after FROM days WHERE (project, visitor) NOT IN several
  UNION ALL
  SELECT days.*, lag(day) OVER one, lead(day) OVER one
    FROM several CROSS JOIN days ON days.project = several.project AND days.visitor = several.visitor
  WINDOW one AS (PARTITION BY days.project, kind, a, b, days.visitor ORDER BY day))"""

# How many visitors there are more (or fewer) of each gap. Change 0: the day itself, whose gap counts unless the visitor
# had the day. Changes 1 and -1: a day that lands right before `next` gives it a shorter gap for the one that it had.
_GAPS: Final = f"""
gaps AS (
  SELECT project, kind, CASE change.value WHEN 0 THEN day ELSE next END AS day, a, b,
         CASE change.value WHEN 0 THEN min(coalesce(day - last, {FOREVER}), coalesce(day - before, {FOREVER}))
                           WHEN 1 THEN next - day ELSE coalesce(next - last, {FOREVER}) END AS gap,
         sum(CASE change.value WHEN 0 THEN last IS NOT day ELSE change.value END) AS visitors,
         sum(CASE change.value WHEN 0 THEN events ELSE 0 END) AS events
    FROM steps CROSS JOIN json_each(
           CASE WHEN last IS NOT day AND next <= coalesce(after, next) THEN '[0, 1, -1]' ELSE '[0]' END) AS change
   GROUP BY 1, 2, 3, 4, 5, 6)"""


def change_daily(fresh: str, sign: str = "") -> str:
    """The statement that adds what is `fresh` to tier 1; with the sign "-" it takes it away (unfold.py).

    Shape: `fresh` is a CTE of that name with the columns fold.FRESH_COLUMNS; tier 2 does not count its events.
    """
    changes = ", ".join(f"{sign}coalesce(sum(visitors) FILTER (WHERE gap > {k}), 0)" for k in range(TAILS))
    return f"""
INSERT INTO daily (project, kind, day, a, b, events, {_TAIL_COLUMNS})
WITH {fresh}, {_GROUPED}, {_DAYS}, {_STEPS}, {_GAPS}
SELECT project, kind, day, a, b, {sign}sum(events), {changes}
  FROM gaps GROUP BY project, kind, day, a, b
ON CONFLICT (project, kind, day, a, b) DO UPDATE SET {_ADDED_UP}"""
