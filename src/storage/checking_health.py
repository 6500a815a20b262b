"""Counting for `health`: who was there in which of three periods, from visitor-days; what they did, from those events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from analytics.health import HealthQuestion, People
from analytics.window import MS_PER_DAY, Window
from storage.database import Statement
from storage.dictionary import KINDS
from storage.money import amount_of, currency_of
from storage.sql_parts import Binder, days_of, named

#: The two periods an answer shows; both look one period back.
_SHOWN = (0, 1)
_COUNTS: Final = tuple(field.name for field in fields(People) if field.name not in ("project", "period"))


def _window(question: HealthQuestion) -> Window:
    """Both periods that are shown."""
    now, before, _ = question.periods
    return Window(before.start_ms, now.end_ms)


class _Periods:
    """The number of the period an instant lies in: 0 the window, 1 and 2 those before, 3 anything earlier."""

    def __init__(self, binder: Binder, question: HealthQuestion) -> None:
        self._starts = [binder.bind(one.start_ms) for one in question.periods]
        self.end = binder.bind(question.to)
        ends = {question.to, *(one.start_ms for one in question.periods)}
        #: The UTC days that a period begins or ends within: of those a visitor-day does not say which period it is.
        self.cut = binder.bind(json.dumps(sorted({at // MS_PER_DAY for at in ends if at % MS_PER_DAY})))

    def of(self, instant: str) -> str:
        cases = "".join(
            f"WHEN {instant} >= {start} THEN {place} " for place, start in enumerate(self._starts)
        )
        return f"CASE {cases}ELSE 3 END"


def people(numbers: Sequence[int], question: HealthQuestion) -> Statement:
    """Rows as `People`, one for each project and shown period in which anybody came."""
    binder = Binder()
    periods = _Periods(binder, question)
    projects = binder.bind(json.dumps(list(numbers)))
    asked = {
        "activated": question.activation_event,
        "payers": question.purchase_event,
        "referrers": question.referral_event,
    }
    window = _window(question)
    wanted = [name for name in asked.values() if name is not None]
    roles = ", ".join(
        f"n.value = {binder.bind(name)} AS {role}" if name is not None else f"0 AS {role}"
        for role, name in asked.items()
    )
    day = f"v.day * {MS_PER_DAY}"
    of_projects = f"""FROM json_each({projects}) AS p LEFT JOIN dictionary AS referral
          ON referral.project = p.value AND referral.kind = {KINDS["medium"]} AND referral.value = 'referral'"""
    flags = ", ".join(
        f"max(came AND period = {one}) AS in_{one}, max(referred AND period = {one}) AS referred_{one},"
        f" max(came AND period > {one}) AS known_{one}, "
        + ", ".join(f"max({role} AND period = {one}) AS {role}_{one}" for role in asked)
        for one in _SHOWN
    )
    sums = ", ".join(
        f"""sum(in_{one}) AS visitors_{one}, sum(in_{one} AND NOT known_{one}) AS new_{one},
         sum(in_{one} AND NOT known_{one} AND activated_{one}) AS activated_{one}, sum(in_{one + 1}) AS came_before_{one},
         sum(in_{one} AND in_{one + 1}) AS back_{one}, sum(payers_{one}) AS payers_{one},
         sum(referred_{one}) AS referred_{one}, sum(referrers_{one}) AS referrers_{one}"""
        for one in _SHOWN
    )
    shown = "\n UNION ALL ".join(
        f"SELECT project, {one} AS period, {', '.join(f'{name}_{one} AS {name}' for name in _COUNTS)} FROM summed"
        for one in _SHOWN
    )
    # DISTINCT, so that as little as possible is sorted by visitor: the same visitor comes many times in a period.
    return binder.statement(f"""WITH RECURSIVE {days_of(binder, window)},
activity AS (
  SELECT project, visitor, {flags}, max(came AND period = 2) AS in_2 FROM (
    SELECT * FROM (
      SELECT DISTINCT p.value AS project, v.visitor AS visitor, {periods.of(day)} AS period,
             v.medium IS referral.id AS referred,
             1 AS came, 0 AS activated, 0 AS payers, 0 AS referrers
        {of_projects} CROSS JOIN visitor_days AS v
       WHERE v.project = p.value AND {day} < {periods.end} AND v.day NOT IN (SELECT value FROM json_each({periods.cut})))
     UNION ALL
    SELECT * FROM (
      SELECT DISTINCT p.value, e.visitor, {periods.of("e.ts")}, e.medium IS referral.id, 1, 0, 0, 0
        {of_projects} CROSS JOIN json_each({periods.cut}) AS cut CROSS JOIN events AS e
       WHERE e.project = p.value AND e.day = cut.value AND e.ts < {periods.end})
     UNION ALL
    SELECT * FROM (
      SELECT DISTINCT p.value, e.visitor, {periods.of("e.ts")}, 0, 0, {roles}
        {named(binder, numbers, window, wanted)}))
   GROUP BY project, visitor),
summed AS MATERIALIZED (SELECT project, {sums} FROM activity GROUP BY project)
{shown}""")


def incomes(numbers: Sequence[int], question: HealthQuestion) -> Statement:
    """Rows as `Income` with the period as `bucket`."""
    binder = Binder()
    window = _window(question)
    period = _Periods(binder, question).of("e.ts")
    return binder.statement(f"""WITH RECURSIVE {days_of(binder, window)}
SELECT project, currency, bucket, sum(amount) AS gross, count(*) AS orders, 0 AS payers FROM (
  SELECT p.value AS project, {period} AS bucket, {amount_of(binder, question.amount)} AS amount,
         {currency_of(binder)} AS currency
    {named(binder, numbers, window, [question.purchase_event])})
 WHERE amount IS NOT NULL GROUP BY project, currency, bucket""")
