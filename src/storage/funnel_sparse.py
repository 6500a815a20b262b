"""The ordered funnel for the common case, reading as little as it can: the first step, which most visitors take, is
counted from the roll-ups; only later steps are read, and each of their earliest asks the key for the start it follows.

`rare later steps`: every event of the steps from the second on is read. `rare first step`: only the visitors who took
it are followed. Which is cheaper the statement decides itself, from the days' counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from analytics.questions import FunnelQuestion, FunnelStep
from analytics.window import MS_PER_DAY, Window
from storage.counting import Counted, Counting, with_clause
from storage.database import Statement
from storage.event_stats import counted
from storage.sql_parts import Binder, days_of, holds, named, named_of
from storage.tiers import NAME_KIND

_BEFORE: Final = "ORDER BY ts, event, name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
#: Following a visitor who took the first step costs about as much as reading this many later events.
_FOLLOWING: Final = 3


def answers(question: FunnelQuestion) -> bool:
    """Whether this form can answer: steps in order, of devices, and no value of the first step asked for."""
    return question.order == "ordered" and question.breakdown is None and question.identity == "visitor"


def select_sparse_funnel(numbers: Sequence[int], question: FunnelQuestion) -> Statement:
    """Rows `project, grp, step, visitors, median_ms, mean_ms` for the steps that anyone reached.

    Parts: `starts` the projects and their id of the first step's name; `choice` which way is cheaper; `matched` the events
    of the later steps, those of step 2 with `began2`, the start they follow; `carried2` those of the
    visitors who may have gone on, `carried{k}` the same with `began{k}`; `took` each visitor's first completion of every
    step; `halves` the quicker half of them, whose slowest is the median, and the others.
    """
    binder = Binder()
    span_ms = question.conversion_window_days * MS_PER_DAY
    window = Window(question.from_, question.to + span_ms)
    days, end, span = days_of(binder, window), binder.bind(question.to), binder.bind(span_ms)
    begin = binder.bind(question.from_)
    last = len(question.steps)
    later = list(dict.fromkeys(step.event for step in question.steps[1:]))
    names = binder.bind(json.dumps(later))
    first = binder.bind(question.steps[0].event)
    columns = _columns(binder, question, begin, end, span)
    first_step = _first_step(binder, numbers, question)
    one = "project, visitor" if len(numbers) > 1 else "visitor"
    return binder.statement(f"""
{with_clause(days, *first_step.parts).rstrip()},
starts AS MATERIALIZED (
  SELECT p.value AS value,
         (SELECT id FROM dictionary WHERE project = p.value AND kind = {NAME_KIND} AND value = {first}) AS name
    FROM json_each({binder.bind(json.dumps(list(numbers)))}) AS p),
choice AS ({_choice(first, names)}),
starters AS (
  SELECT DISTINCT e.project, e.visitor
  {_named_if(binder, Window(question.from_, question.to), [question.steps[0].event], "choice.follow")}),
starter_days AS (
  SELECT DISTINCT v.project, v.visitor, v.day FROM starters AS s CROSS JOIN visitor_days AS v
   WHERE v.project = s.project AND v.visitor = s.visitor
     AND v.day BETWEEN {binder.bind(window.first_day)} AND {binder.bind(window.last_day)}),
matched AS MATERIALIZED (
  SELECT {columns}
  {_named_if(binder, window, later, "NOT choice.follow")}
  UNION ALL
  SELECT {columns}
    FROM starter_days AS s CROSS JOIN starts AS p CROSS JOIN dictionary AS n CROSS JOIN events AS e
   WHERE p.value = s.project AND n.project = s.project AND n.kind = {NAME_KIND}
     AND n.value IN (SELECT value FROM json_each({names}))
     AND e.project = s.project AND e.day = s.day AND e.name = n.id AND e.visitor = s.visitor){_carried(last, span, one)},
took AS (
  {_took(binder, last, one)}),
halves AS (SELECT *, ntile(2) OVER (PARTITION BY project, step ORDER BY took) AS half FROM took)
SELECT project, NULL AS grp, 1 AS step, sum(uniques) AS visitors, NULL AS mean_ms, NULL AS median_ms
  FROM ({first_step.rows}) GROUP BY project HAVING sum(uniques) > 0
UNION ALL
SELECT project, NULL, step, count(*), avg(took), max(CASE half WHEN 1 THEN took END) FROM halves GROUP BY project, step""")


def _choice(first: str, names: str) -> str:
    """Whether to follow the visitors of the first step, by how often each name occurred on the days."""
    counts = f"""SELECT r.events AS events, n.value AS name
      FROM starts AS p CROSS JOIN dictionary AS n CROSS JOIN days CROSS JOIN daily AS r
     WHERE n.project = p.value AND n.kind = {NAME_KIND}
       AND (n.value = {first} OR n.value IN (SELECT value FROM json_each({names})))
       AND r.project = p.value AND r.kind = {NAME_KIND} AND r.day = days.day AND r.a = n.id"""
    return f"""SELECT coalesce(sum(CASE WHEN name = {first} THEN events END), 0) * {_FOLLOWING}
       < coalesce(sum(CASE WHEN name IN (SELECT value FROM json_each({names})) THEN events END), 0) AS follow
    FROM ({counts})"""


def _named_if(binder: Binder, window: Window, names: Sequence[str], condition: str) -> str:
    """FROM and WHERE of the named events, nothing at all when the choice is another."""
    return f"FROM choice CROSS JOIN {named_of(binder, 'starts', window, names)} AND {condition}"


def _columns(binder: Binder, question: FunnelQuestion, begin: str, end: str, span: str) -> str:
    flags = [f"{_matches(binder, step)} AS is{k}" for k, step in enumerate(question.steps[1:], start=2)]
    start = _start(binder, question, begin, end, span)
    return f"""e.project AS project, e.visitor AS visitor, e.ts AS ts, e.event AS event, e.name AS name,
    {", ".join(flags)},
    CASE WHEN {_matches(binder, question.steps[1])} THEN {start} END AS began2"""


def _matches(binder: Binder, step: FunnelStep) -> str:
    conditions = [f"n.value = {binder.bind(step.event)}", *(holds(binder, one) for one in step.filters)]
    return f"({' AND '.join(conditions)})"


def _start(binder: Binder, question: FunnelQuestion, begin: str, end: str, span: str) -> str:
    """The instant of the step-1 event that the event `e` follows: the latest that can, or the visitor's very first.

    Only the days on which the visitor did anything are asked, nearest first; the first that has one ends the search.
    """
    step = question.steps[0]
    nearest = "DESC" if question.entry == "any" else "ASC"
    earliest = f"max({begin}, e.ts - {span})" if question.entry == "any" else begin
    filters = "".join(f" AND {holds(binder, one, 'x')}" for one in step.filters)

    def on(day: str) -> str:
        return f"""(SELECT x.ts FROM events AS x
         WHERE x.project = e.project AND x.day = {day} AND x.name = p.name AND x.visitor = e.visitor
           AND x.ts >= {earliest} AND x.ts < {end} AND x.ts <= e.ts
           AND (x.ts, x.event, x.name) < (e.ts, e.event, e.name){filters}
         ORDER BY x.ts {nearest}, x.event {nearest} LIMIT 1)"""

    def within(last_day: str) -> str:
        return f"""(SELECT found FROM (SELECT {on("v.day")} AS found FROM visitor_days AS v
        WHERE v.project = e.project AND v.visitor = e.visitor
          AND v.day BETWEEN CAST({earliest} AS INTEGER) / {MS_PER_DAY} AND {last_day}
        ORDER BY v.day {nearest} LIMIT -1) WHERE found IS NOT NULL LIMIT 1)"""

    if question.entry == "any":
        return f"coalesce({on('e.day')}, {within('e.day - 1')})"
    return f"(SELECT found FROM (SELECT {within('e.day')} AS found) WHERE e.ts - found <= {span})"


def _carried(last: int, span: str, visitor: str) -> str:
    """From step 3 on: the latest start that reached the step before, if the event still lies within its window. Only of
    visitors who have an event of step 3, and only their events that can still matter."""
    if last == 2:
        return ""
    ahead = " OR ".join(f"is{k}" for k in range(3, last + 1))
    followed = f"""SELECT * FROM matched
     WHERE (began2 IS NOT NULL OR {ahead}) AND ({visitor}) IN (SELECT {visitor} FROM matched WHERE is3)"""
    carried = "".join(
        f""",
carried{k} AS (
  SELECT *, CASE WHEN is{k} AND ts - before{k} <= {span} THEN before{k} END AS began{k}
    FROM (SELECT *, max(began{k - 1}) OVER (PARTITION BY {visitor} {_BEFORE}) AS before{k} FROM carried{k - 1}))"""
        for k in range(3, last + 1)
    )
    return f",\ncarried2 AS (\n  {followed}){carried}"


def _took(binder: Binder, last: int, visitor: str) -> str:
    """Completions follow one another as their starts do, so the first one has the earliest of both."""

    def first(k: int) -> str:
        return f"min(CASE WHEN began{k} IS NOT NULL THEN ts END) - min(began{k})"

    of_step_2 = f"SELECT project, 2 AS step, {first(2)} AS took FROM matched GROUP BY {visitor}"
    if last == 2:
        return f"SELECT * FROM ({of_step_2}) WHERE took IS NOT NULL"
    steps = range(3, last + 1)
    numbered = binder.bind(json.dumps(list(steps)))
    return f"""SELECT * FROM ({of_step_2}
    UNION ALL
    SELECT project, k.value, CASE k.value {" ".join(f"WHEN {k} THEN took{k}" for k in steps)} END
      FROM (SELECT project, {", ".join(f"{first(k)} AS took{k}" for k in steps)}
              FROM carried{last} GROUP BY {visitor}) CROSS JOIN json_each({numbered}) AS k)
   WHERE took IS NOT NULL"""


def _first_step(binder: Binder, numbers: Sequence[int], question: FunnelQuestion) -> Counted:
    """Rows `project, uniques` of the visitors who took the first step: from the roll-ups where they can tell."""
    step, window = question.steps[0], Window(question.from_, question.to)
    counting = Counting(numbers, window, (), step.event, events=False)
    if not step.filters and len(counting.whole_days) > 0 and counting.within_tails:
        return counted(binder, counting)
    filters = "".join(f" AND {holds(binder, one)}" for one in step.filters)
    source = named(binder, numbers, window, [step.event])
    rows = (
        f"SELECT p.value AS project, count(DISTINCT e.visitor) AS uniques {source}{filters} GROUP BY p.value"
    )
    return Counted("events", rows)
