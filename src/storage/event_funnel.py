"""The funnel in one statement. Chains are found by carrying each visitor's latest possible start from step to step:
the latest start that can reach a step dominates every earlier one, so no pair of events is ever joined.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from analytics.questions import FunnelQuestion
from analytics.window import MS_PER_DAY, Window
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.identity import joined, last_tie, people, who
from storage.sql_parts import Binder, holds, named_in_window

_ONE_VISITOR = "PARTITION BY project, visitor ORDER BY ts, event, name"
_BEFORE = f"({_ONE_VISITOR} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
_FROM_HERE_ON = "(PARTITION BY project, visitor ORDER BY ts DESC)"
#: `at` is `ts << 20` plus an event's place among those of its visitor in the same millisecond, which only matters
#: where the event itself is asked for: the one a breakdown takes its value from.
_AT = "(e.ts << 20) + row_number() OVER (PARTITION BY p.value, {who}, e.ts ORDER BY e.event, {tie})"


def select_funnel(numbers: Sequence[int], question: FunnelQuestion) -> Statement:
    """Rows `project, grp, step, visitors, median_ms, mean_ms` for the steps that anyone reached.

    Parts: `matched` the events of any step; `chains` for each of them and each step it completes, from when, until when
    and how long; `reached` the first completion per visitor and step, no step left out, with the step-1 event that the
    visitor's furthest chain starts with; `placed` that event's value of the breakdown column.
    """
    binder = Binder()
    span_ms = question.conversion_window_days * MS_PER_DAY
    window = Window(question.from_, question.to + span_ms)
    names = list(dict.fromkeys(step.event for step in question.steps))
    days, source = named_in_window(binder, numbers, window, names, joined(question.identity))
    end, span = binder.bind(question.to), binder.bind(span_ms)
    matches = [_matches(binder, question, place) for place in range(len(question.steps))]
    flags = ",\n    ".join(f"{match} AS is{place}" for place, match in enumerate(matches, start=1))
    steps = binder.bind(json.dumps(list(range(1, len(matches) + 1))))
    chains = (
        _ordered(question, end, span, steps)
        if question.order == "ordered"
        else _unordered(matches, end, span, steps)
    )
    grouped = question.breakdown is not None
    # Of the completions in one millisecond the first counts, and in order they follow one another as their starts do; in
    # any order a completion has several starts, and the latest counts.
    nearest = "began" if question.order == "ordered" else "began DESC"
    whose, tie = who(question.identity), last_tie(question.identity)
    value, group = _grouping(question, binder, names)
    return binder.statement(f"""
WITH RECURSIVE {people(binder, numbers, question.identity)}{days},
matched AS MATERIALIZED (
  SELECT p.value AS project, {whose} AS visitor, e.ts AS ts, e.event AS event, {tie} AS name,
    {_AT.format(who=whose, tie=tie) if grouped else "e.ts << 20"} AS at{value},
    {flags}
  {source}),
{chains},
reached AS (
  SELECT project, visitor, step, took,
         first_value(entered) OVER (PARTITION BY project, visitor ORDER BY step DESC) AS entered FROM (
    SELECT *, count(*) OVER (PARTITION BY project, visitor ORDER BY step) AS steps_so_far FROM (
      SELECT project, visitor, step, began, took, entered,
             row_number() OVER (PARTITION BY project, visitor, step ORDER BY ended, {nearest}) AS nth
        FROM chains WHERE began IS NOT NULL)
     WHERE nth = 1)
   WHERE steps_so_far = step),
placed AS MATERIALIZED ({group}),
ranked AS (
  SELECT project, grp, step, took,
         row_number() OVER (PARTITION BY project, grp, step ORDER BY took) AS place,
         count(*) OVER (PARTITION BY project, grp, step) AS visitors
    FROM placed)
SELECT project, grp, step, max(visitors) AS visitors, avg(took) AS mean_ms,
       max(CASE WHEN place = (visitors + 1) / 2 THEN took END) AS median_ms
  FROM ranked GROUP BY project, grp, step""")


def _grouping(question: FunnelQuestion, binder: Binder, names: Sequence[str]) -> tuple[str, str]:
    """A column of `matched`, if one is needed; and the rows `project, step, took, grp` of everyone who reached a step."""
    if question.breakdown is None:
        return "", "SELECT project, step, took, NULL AS grp FROM reached"
    if question.identity == "visitor":
        group = _group(question, binder.bind(json.dumps(names)))
        return "", f"SELECT project, step, took, {group} AS grp FROM reached AS chain"
    # A person's events are not together in the key: the value travels with them.
    return (
        f",\n    e.{COLUMNS[question.breakdown]} AS of",
        """SELECT chain.project AS project, chain.step AS step, chain.took AS took, text.value AS grp
    FROM reached AS chain JOIN matched AS first
      ON first.project = chain.project AND first.visitor = chain.visitor AND first.at = chain.entered
    LEFT JOIN dictionary AS text ON text.id = first.of""",
    )


def _group(question: FunnelQuestion, names: str) -> str:
    """The breakdown value of the event at `chain.entered`, sought in the events' key."""
    column = COLUMNS[question.breakdown or "event_name"]
    return f"""(SELECT value FROM (
      SELECT text.value AS value, row_number() OVER (ORDER BY e.event, e.name) AS place
        FROM events AS e LEFT JOIN dictionary AS text ON text.id = e.{column}
       WHERE e.project = chain.project AND e.day = (chain.entered >> 20) / {MS_PER_DAY}
         AND e.name IN (SELECT id FROM dictionary AS n WHERE n.project = chain.project
                           AND n.kind = {KINDS["event_name"]} AND n.value IN (SELECT value FROM json_each({names})))
         AND e.visitor = chain.visitor AND e.ts = chain.entered >> 20)
     WHERE place = (chain.entered & 1048575))"""


def _matches(binder: Binder, question: FunnelQuestion, place: int) -> str:
    step = question.steps[place]
    conditions = [f"n.value = {binder.bind(step.event)}", *(holds(binder, one) for one in step.filters)]
    return f"({' AND '.join(conditions)})"


def _ordered(question: FunnelQuestion, end: str, span: str, steps: str) -> str:
    """`began{k}`: the latest step-1 event (its `at`) from which an event completes step k, carried on by a running max."""
    count = len(question.steps)
    entry = f"is1 AND ts < {end}"
    if question.entry == "first":
        entry += f" AND row_number() OVER (PARTITION BY project, visitor, is1 AND ts < {end} ORDER BY ts, event, name) = 1"
    carried = [f"carried1 AS (SELECT *, CASE WHEN {entry} THEN at END AS began1 FROM matched)"]
    carried += [
        f"""carried{k} AS (SELECT *, CASE WHEN is{k} AND ts - (before{k} >> 20) <= {span} THEN before{k} END AS began{k}
    FROM (SELECT *, max(began{k - 1}) OVER {_BEFORE} AS before{k} FROM carried{k - 1}))"""
        for k in range(2, count + 1)
    ]
    began = " ".join(f"WHEN {k} THEN began{k}" for k in range(1, count + 1))
    return (
        ",\n".join(carried)
        + f""",
chains AS (
  SELECT project, visitor, step, began, ended, ts - (began >> 20) AS took, began AS entered FROM (
    SELECT project, visitor, k.value AS step, ts, at AS ended, CASE k.value {began} END AS began
      FROM carried{count} CROSS JOIN json_each({steps}) AS k))"""
    )


def _unordered(matches: Sequence[str], end: str, span: str, steps: str) -> str:
    """`next{k}`: the first step-k instant at or after an event; a chain of k steps ends at the latest of next1…next{k}."""
    count = len(matches)
    nexts = ", ".join(
        f"min(CASE WHEN is{k} THEN ts END) OVER {_FROM_HERE_ON} AS next{k}" for k in range(1, count + 1)
    )
    ends = " ".join(
        f"WHEN {k} THEN CASE WHEN {' OR '.join(f'is{j}' for j in range(1, k + 1))} THEN "
        + ("next1" if k == 1 else f"max({', '.join(f'next{j}' for j in range(1, k + 1))})")
        + " END"
        for k in range(1, count + 1)
    )
    entered = f"min(CASE WHEN is1 THEN at END) OVER {_FROM_HERE_ON} AS entered"
    return f"""chains AS (
  SELECT project, visitor, step, CASE WHEN ended - ts <= {span} THEN ts END AS began, ended, ended - ts AS took, entered
    FROM (
    SELECT project, visitor, ts, entered, k.value AS step, CASE k.value {ends} END AS ended
      FROM (SELECT *, {nexts}, {entered} FROM matched) CROSS JOIN json_each({steps}) AS k
     WHERE ts < {end}))"""
