"""Retention and lifecycle in SQL: visitors by the place of their activity on a scale of local days, weeks or months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics.cohorts import (
    HISTORY_DAYS,
    UNIT_MS,
    LifecycleQuestion,
    RetentionQuestion,
    Unit,
    whole_intervals,
)
from analytics.window import MS_PER_DAY, Window
from storage.database import Statement
from storage.identity import joined, last_tie, people, who
from storage.measuring import bucket_at, let_through, local_day
from storage.sql_parts import Binder, days_of, in_window, named

#: The number of the day, week or month that the local day `{day}` lies in; neighbours differ by one.
_NUMBER: Final[dict[Unit, str]] = {
    "day": "({day})",
    "week": "((({day}) + 3) / 7)",
    "month": "(CAST(strftime('%Y', ({day}) * 86400, 'unixepoch') AS INTEGER) * 12"
    " + CAST(strftime('%m', ({day}) * 86400, 'unixepoch') AS INTEGER))",
}


def retention(numbers: Sequence[int], question: RetentionQuestion) -> Statement:
    """Rows `project, cohort, period, visitors`; period NULL gives the sizes of the cohorts."""
    binder = Binder()
    window = Window(question.from_, question.to)
    # "On" needs no events beyond the last period; "on or after" all there can be.
    periods = question.periods + 1
    reach = periods * 31 * MS_PER_DAY if question.mode == "on" else HISTORY_DAYS * MS_PER_DAY
    later = Window(question.from_, question.to + reach)
    cohort = bucket_at(binder, question.timezone, window, question.unit, "e.ts")
    join, whose, tie = joined(question.identity), who(question.identity), last_tie(question.identity)
    source = named(binder, numbers, window, [question.born_event], join)
    returning = (
        in_window(binder, numbers, later, join)
        if question.return_event is None
        else named(binder, numbers, later, [question.return_event], join)
    )
    if question.calendar:
        here, there = (
            _NUMBER[question.unit].format(day=local_day(binder, question.timezone, later, instant))
            for instant in ("r.ts", "b.ts")
        )
        period = f"{here} - {there}"
    else:
        period = f"(r.ts - b.ts) / {UNIT_MS[question.unit]}"
    within = f" WHERE period < {binder.bind(question.periods)}" if question.mode == "on" else ""
    counted = "SELECT DISTINCT project, visitor, cohort, period FROM returned"
    if question.mode == "on_or_after":
        counted = "SELECT project, visitor, cohort, max(period) AS period FROM returned GROUP BY project, visitor, cohort"
    return binder.statement(f"""
WITH RECURSIVE {people(binder, numbers, question.identity)}{days_of(binder, later)},
born AS MATERIALIZED (
  SELECT * FROM (
    SELECT p.value AS project, {whose} AS visitor, e.ts AS ts, e.event AS event, {tie} AS name, {cohort} AS cohort,
           row_number() OVER (PARTITION BY p.value, {whose} ORDER BY e.ts, e.event, {tie}) AS nth
      {source}{let_through(binder, question.filters)}) WHERE nth = 1),
seen AS (SELECT p.value AS project, {whose} AS visitor, e.ts AS ts, e.event AS event, {tie} AS name {returning}),
returned AS (
  SELECT b.project AS project, b.visitor AS visitor, b.cohort AS cohort, {period} AS period
    FROM seen AS r CROSS JOIN born AS b
   WHERE r.project = b.project AND r.visitor = b.visitor AND (r.ts, r.event, r.name) > (b.ts, b.event, b.name))
SELECT project, cohort, NULL AS period, count(*) AS visitors FROM born GROUP BY project, cohort
 UNION ALL
SELECT project, cohort, period, count(*) FROM ({counted}){within} GROUP BY project, cohort, period""")


def lifecycle(numbers: Sequence[int], question: LifecycleQuestion) -> Statement:
    """Rows `project, kind, place, visitors`; see `Activity`. A place is counted from the first interval, 0."""
    binder = Binder()
    intervals = whole_intervals(question)
    history = HISTORY_DAYS * MS_PER_DAY if question.view == "lifecycle" else 0
    window = Window(max(intervals[0].start_ms - history, 0), question.to)
    number = _NUMBER[question.unit]
    zero = number.format(day=f"CAST({binder.bind(intervals[0].key)} AS INTEGER)")
    last = binder.bind(len(intervals) - 1)
    place = number.format(day=local_day(binder, question.timezone, window, "e.ts"))
    active = f"""
WITH {people(binder, numbers, question.identity)}active AS MATERIALIZED (
  SELECT DISTINCT p.value AS project, {who(question.identity)} AS visitor, {place} - {zero} AS place
    {in_window(binder, numbers, window, joined(question.identity))})"""
    if question.view == "stickiness":
        return binder.statement(f"""{active}
SELECT project, 'stickiness' AS kind, times AS place, count(*) AS visitors
  FROM (SELECT project, visitor, count(*) AS times FROM active WHERE place >= 0 GROUP BY project, visitor)
 WHERE {last} >= 0 GROUP BY project, times""")
    return binder.statement(f"""{active},
around AS MATERIALIZED (
  SELECT project, place, lag(place) OVER visits AS before, lead(place) OVER visits AS after
    FROM active WINDOW visits AS (PARTITION BY project, visitor ORDER BY place))
SELECT project, CASE WHEN before IS NULL THEN 'new' WHEN before = place - 1 THEN 'returning' ELSE 'resurrecting' END AS kind,
       place, count(*) AS visitors
  FROM around WHERE place >= 0 GROUP BY project, kind, place
 UNION ALL
SELECT project, 'dormant', place + 1, count(*) FROM around
 WHERE place + 1 BETWEEN 0 AND {last} AND (after IS NULL OR after > place + 1) GROUP BY project, place""")
