"""An answer from one visitor in sixteen, where counting every event would read more than a budget and the caller allows
it. Whole visitors are kept or left out by their hash, so that each event of one is there; the statement itself compares
the days' counts with the budget and counts everything when they fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

from analytics.questions import StatsQuestion
from analytics.store import Row
from storage.counting import Counted, Counting, of_event, packed
from storage.database import Statement
from storage.event_stats import labelled
from storage.sql_parts import Binder, days_of
from storage.tiers import NAME_KIND

#: The share of visitors in a sample, and the hashes it takes: those below a sixteenth of all 63-bit numbers.
FRACTION: Final = 1 / 16
SAMPLED_BELOW: Final = 2**59
_Z_95: Final = 1.96


def select_sample(
    numbers: Sequence[int], question: StatsQuestion, by_project: bool, budget: int
) -> Statement:
    """Rows `bucket?, project_id?, <group texts>, value, squares, sampled`, one more than the limit.

    Shape: `value` and `squares` are the sum, and the sum of squares, of what each counted visitor adds; `sampled` says
    whether only the sample was counted.
    """
    binder = Binder()
    counting = Counting(numbers, question.window, question.dimensions, question.event, question.interval)
    days = days_of(binder, question.window)
    projects = binder.bind(json.dumps(list(numbers)))
    name = "" if question.event is None else f" AND n.value = {binder.bind(question.event)}"
    names = f"""names AS MATERIALIZED (
  SELECT r.project AS project, r.day AS day, r.a AS name, r.events AS events
    FROM json_each({projects}) AS p CROSS JOIN days CROSS JOIN daily AS r JOIN dictionary AS n ON n.id = r.a
   WHERE r.project = p.value AND r.kind = {NAME_KIND} AND r.day = days.day{name})"""
    within = f"budget AS (SELECT coalesce(sum(events), 0) > {binder.bind(budget)} AS sampled FROM names)"
    rows = f"""SELECT names.project AS project, {counting.bucket_of_event()} AS bucket{
        packed(counting.columns, of_event)
    }, e.visitor AS visitor, count(*) AS events
       FROM names CROSS JOIN budget CROSS JOIN events AS e
      WHERE e.project = names.project AND e.day = names.day AND e.name = names.name
        AND e.visitor < CASE WHEN budget.sampled THEN {SAMPLED_BELOW} ELSE {2**63 - 1} END
        AND e.ts >= {binder.bind(question.from_)} AND e.ts < {binder.bind(question.to)}
      GROUP BY {counting.apart("names.project")}, e.visitor"""
    counts = (
        ("count(*)", "count(*)") if question.metric == "uniques" else ("sum(events)", "sum(events * events)")
    )
    measures = {
        "value": f"coalesce({counts[0]}, 0)",
        "squares": f"coalesce({counts[1]}, 0)",
        "sampled": "(SELECT sampled FROM budget)",
    }
    return labelled(binder, question, by_project, Counted("events", rows, (days, names, within)), measures)


def estimated(row: Row) -> Row:
    """A row with its value estimated for all visitors, and `low` and `high`: the 95 % interval; as it is, if not sampled.

    Source: a Bernoulli sample of visitors: the variance of the total is (1 − f) / f² · Σ c² over the sample.
    """
    squares, sampled = row.pop("squares"), row.pop("sampled")
    if not sampled:
        return row
    counted, spread = row["value"], _Z_95 * math.sqrt((1 - FRACTION) * squares) / FRACTION
    value = counted / FRACTION
    return {
        **row,
        "value": round(value),
        "low": max(counted, math.floor(value - spread)),
        "high": math.ceil(value + spread),
    }
