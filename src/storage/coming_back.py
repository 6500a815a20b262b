"""Retention and lifecycle in SQL: visitors by the place of their activity on a scale of local days, weeks or months."""

from __future__ import annotations

import json
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
from analytics.local_time import Bucket, first_day
from analytics.window import MS_PER_DAY, Window
from storage.database import Statement
from storage.identity import joined, last_tie, people, place_of, who
from storage.measuring import FIRST_DAY, bucket_at, let_through, local_day
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
    cohort = bucket_at(binder, question.timezone, window, question.unit, "ts")
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
  SELECT project, visitor, ts, event, name, {cohort} AS cohort FROM (
    SELECT p.value AS project, {whose} AS visitor, e.ts AS ts, e.event AS event, {tie} AS name,
           min({place_of(question.identity)}) AS place
      {source}{let_through(binder, question.filters)} GROUP BY p.value, {whose})),
seen AS (SELECT p.value AS project, {whose} AS visitor, e.ts AS ts, e.event AS event, {tie} AS name {returning}),
returned AS (
  SELECT b.project AS project, b.visitor AS visitor, b.cohort AS cohort, {period} AS period
    FROM seen AS r CROSS JOIN born AS b
   WHERE r.project = b.project AND r.visitor = b.visitor AND (r.ts, r.event, r.name) > (b.ts, b.event, b.name))
SELECT project, cohort, NULL AS period, count(*) AS visitors FROM born GROUP BY project, cohort
 UNION ALL
SELECT project, cohort, period, count(*) FROM ({counted}){within} GROUP BY project, cohort, period""")


def lifecycle(numbers: Sequence[int], question: LifecycleQuestion) -> Statement:
    """Rows `project, kind, place, visitors`; see `Activity`. A place is counted from the first interval, 0.

    Part: `active`: each visitor once for each interval they were there in. Who was there before and is not there again is
    what remains of an interval without those of the next who return.
    """
    binder = Binder()
    intervals = whole_intervals(question)
    last = binder.bind(len(intervals) - 1)
    in_days = question.identity == "visitor" and question.timezone == "UTC"
    active, came = (_from_days if in_days else _from_events)(binder, numbers, question, intervals)
    if question.view == "stickiness":
        return binder.statement(f"""{active}
SELECT project, 'stickiness' AS kind, times AS place, count(*) AS visitors
  FROM (SELECT project, visitor, count(*) AS times FROM active GROUP BY project, visitor)
 WHERE {last} >= 0 GROUP BY project, times""")
    return binder.statement(f"""{active},
around AS MATERIALIZED (
  SELECT project, place, kind, count(*) AS visitors FROM (
    SELECT project, place, CASE WHEN before IS NULL THEN 'new' WHEN before = place - 1 THEN 'returning'
                                ELSE 'resurrecting' END AS kind FROM ({came}))
   GROUP BY project, place, kind)
SELECT project, kind, place, visitors FROM around WHERE place >= 0
 UNION ALL
SELECT there.project, 'dormant', there.place + 1, sum(there.visitors) - coalesce((
    SELECT back.visitors FROM around AS back
     WHERE back.project = there.project AND back.place = there.place + 1 AND back.kind = 'returning'), 0)
  FROM around AS there WHERE there.place + 1 BETWEEN 0 AND {last} GROUP BY there.project, there.place""")


def _history(question: LifecycleQuestion, start_ms: int) -> Window:
    """What is looked at: the intervals, and of a lifecycle the days before them."""
    history = HISTORY_DAYS * MS_PER_DAY if question.view == "lifecycle" else 0
    return Window(max(start_ms - history, 0), question.to)


def _place(binder: Binder, unit: Unit, first: Bucket, day: str) -> str:
    """The place of the interval that the local day lies in."""
    zero = _NUMBER[unit].format(day=f"CAST({binder.bind(first.key)} AS INTEGER)")
    return f"{_NUMBER[unit].format(day=day)} - {zero}"


def _from_days(
    binder: Binder, numbers: Sequence[int], question: LifecycleQuestion, intervals: Sequence[Bucket]
) -> tuple[str, str]:
    """`active` and rows `project, place, before`, from visitor-days; of a day that `to` cuts, from its events.

    Only the interval before the first is read beside those asked for: a visitor's last day before an interval is sought in
    the key.
    """
    window = _history(question, intervals[0].start_ms)
    earliest = binder.bind(window.first_day)
    whole_ms = window.end_ms // MS_PER_DAY * MS_PER_DAY
    last_whole = binder.bind(whole_ms // MS_PER_DAY - 1)
    begins = intervals[0].key
    if question.view == "lifecycle":
        begins = max(first_day(begins - 1, question.unit), window.first_day)
    cut = ""
    if whole_ms < window.end_ms:
        cut = f"""
     UNION ALL
    SELECT p.value, e.visitor, {FIRST_DAY[question.unit].format(day="e.day")}
      {in_window(binder, numbers, Window(whole_ms, window.end_ms))}"""
    active = f"""
WITH active AS MATERIALIZED (
  SELECT DISTINCT project, visitor, first_day FROM (
    SELECT p.value AS project, v.visitor AS visitor, {FIRST_DAY[question.unit].format(day="v.day")} AS first_day
      FROM json_each({binder.bind(json.dumps(list(numbers)))}) AS p CROSS JOIN visitor_days AS v
     WHERE v.project = p.value AND v.day BETWEEN {binder.bind(begins)} AND {last_whole}{cut}))"""
    before = f"""(SELECT max(v.day) FROM visitor_days AS v WHERE v.project = a.project AND v.visitor = a.visitor
            AND v.day >= {earliest} AND v.day < a.first_day)"""
    came = f"""
      SELECT project, {_place(binder, question.unit, intervals[0], "first_day")} AS place,
             {_place(binder, question.unit, intervals[0], "day_before")} AS before
        FROM (SELECT project, first_day, {before} AS day_before FROM active AS a)"""
    return active, came


def _from_events(
    binder: Binder, numbers: Sequence[int], question: LifecycleQuestion, intervals: Sequence[Bucket]
) -> tuple[str, str]:
    """The same from events. Which interval it was that lies before the one before the first, nobody asks."""
    window = _history(question, intervals[0].start_ms)
    local = local_day(binder, question.timezone, window, "e.ts")
    place = f"max({_place(binder, question.unit, intervals[0], local)}, -2)"
    active = f"""
WITH {people(binder, numbers, question.identity)}active AS MATERIALIZED (
  SELECT DISTINCT p.value AS project, {who(question.identity)} AS visitor, {place} AS place
    {in_window(binder, numbers, window, joined(question.identity))})"""
    came = "SELECT project, place, lag(place) OVER (PARTITION BY project, visitor ORDER BY place) AS before FROM active"
    return active, came
