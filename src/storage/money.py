"""Revenue, subscriptions and attribution in SQL. Amounts are added up per currency and never across."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from analytics.local_time import Interval
from analytics.money import (
    AD_SPEND,
    SUBSCRIPTION_DAYS,
    AttributionQuestion,
    ChannelRoiQuestion,
    RevenueQuestion,
    lookback,
)
from analytics.window import MS_PER_DAY, Window
from storage.counting import Counting, with_clause
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.event_stats import counted
from storage.ids import text_of
from storage.measuring import bucket_at, let_through
from storage.sql_parts import Binder, days_of, in_window, named, named_in_window, of_visitor_days
from storage.tiers import TOTAL_KIND

STARTED: Final = "subscription_started"
CANCELLED: Final = "subscription_cancelled"

_CUSTOMER: Final = f"coalesce(e.user_id, {text_of('e.visitor', 'e.anonymous_id')})"


def _property(binder: Binder, key: str, types: str) -> str:
    """The value of a property of the event `e`, NULL when it is of another type."""
    return (
        "(SELECT one.value FROM json_each(e.properties) AS one"
        f" WHERE one.key = {binder.bind(key)} AND one.type IN ({types}))"
    )


def amount_of(binder: Binder, key: str) -> str:
    return _property(binder, key, "'integer', 'real'")


def currency_of(binder: Binder) -> str:
    return _property(binder, "currency", "'text'")


def _paid(binder: Binder, numbers: Sequence[int], question: RevenueQuestion) -> str:
    """WITH clauses up to `paid`: the events of the window with an amount."""
    window = Window(question.from_, question.to)
    days, source = named_in_window(binder, numbers, window, [question.event])
    return f"""WITH RECURSIVE {days},
paid AS MATERIALIZED (
  SELECT * FROM (
    SELECT p.value AS project, e.ts AS ts, {amount_of(binder, question.amount)} AS amount,
           {currency_of(binder)} AS currency, {_CUSTOMER} AS customer
      {source}{let_through(binder, question.filters)}) WHERE amount IS NOT NULL)"""


def incomes(numbers: Sequence[int], question: RevenueQuestion, interval: Interval | None) -> Statement:
    """Rows `project, currency, bucket, gross, orders, payers`."""
    binder = Binder()
    paid = _paid(binder, numbers, question)
    window = Window(question.from_, question.to)
    bucket = bucket_at(binder, question.timezone, window, interval, "ts") if interval else "NULL"
    return binder.statement(f"""{paid}
SELECT project, currency, bucket, sum(amount) AS gross, count(*) AS orders, count(DISTINCT customer) AS payers
  FROM (SELECT *, {bucket} AS bucket FROM paid) GROUP BY project, currency, bucket""")


def top_customers(numbers: Sequence[int], question: RevenueQuestion) -> Statement:
    """Rows `project, currency, customer, gross, orders`, those who paid most first."""
    binder = Binder()
    paid = _paid(binder, numbers, question)
    return binder.statement(f"""{paid}
SELECT project, currency, customer, gross, orders FROM (
  SELECT *, row_number() OVER (PARTITION BY project, currency ORDER BY gross DESC, customer) AS place FROM (
    SELECT project, currency, customer, sum(amount) AS gross, count(*) AS orders
      FROM paid GROUP BY project, currency, customer))
 WHERE place <= {binder.bind(question.top_customers)} ORDER BY project, currency, place""")


def subscriptions(numbers: Sequence[int], question: RevenueQuestion) -> Statement:
    """Rows `project, currency, at_start, at_end, lost, monthly, yearly` of the subscriptions known at `to`.

    A subscription is its `subscription_id`, else its customer; its state at an instant is that of its last event before.
    """
    binder = Binder()
    window = Window(max(question.to - SUBSCRIPTION_DAYS * MS_PER_DAY, 0), question.to)
    days, source = named_in_window(binder, numbers, window, [STARTED, CANCELLED])
    start = binder.bind(question.from_)
    return binder.statement(f"""WITH RECURSIVE {days},
changes AS (
  SELECT p.value AS project, e.ts AS ts, e.event AS event, e.name AS name, e.ts < {start} AS early,
         n.value = {binder.bind(STARTED)} AS active,
         coalesce({_property(binder, "subscription_id", "'text'")}, {_CUSTOMER}) AS subscription,
         {amount_of(binder, "amount_cents")} AS amount, {currency_of(binder)} AS currency,
         {_property(binder, "interval", "'text'")} AS interval
    {source}),
states AS (
  SELECT *, row_number() OVER (PARTITION BY project, subscription ORDER BY ts DESC, event DESC, name DESC) AS nth,
         row_number() OVER (PARTITION BY project, subscription, early ORDER BY ts DESC, event DESC, name DESC) AS nth_early
    FROM changes),
ends AS (
  SELECT project, max(CASE WHEN nth = 1 THEN currency END) AS currency, max(nth = 1 AND active) AS at_end,
         max(early AND nth_early = 1 AND active) AS at_start,
         max(CASE WHEN nth = 1 AND interval IS 'year' THEN amount END) AS yearly,
         max(CASE WHEN nth = 1 AND interval IS NOT 'year' THEN amount END) AS monthly
    FROM states GROUP BY project, subscription)
SELECT project, currency, sum(at_start) AS at_start, sum(at_end) AS at_end, sum(at_start AND NOT at_end) AS lost,
       coalesce(sum(CASE WHEN at_end THEN monthly END), 0) AS monthly,
       coalesce(sum(CASE WHEN at_end THEN yearly END), 0) AS yearly
  FROM ends GROUP BY project, currency""")


def visitors(numbers: Sequence[int], window: Window) -> Statement:
    """Rows `project, visitors`, from the roll-ups where they are exact."""
    binder = Binder()
    found = counted(binder, Counting(numbers, window, (), events=False))
    return binder.statement(
        f"{with_clause(*found.parts)}SELECT project, sum(uniques) AS visitors FROM ({found.rows}) GROUP BY project"
    )


def credits(numbers: Sequence[int], question: AttributionQuestion | ChannelRoiQuestion) -> Statement:
    """Rows as `Credit`: conversions by value, currency and how many touches they had.

    Parts: `conversions` of the window; `touches` of the lookback before it; `paths` each conversion with each of its
    touches, or once with none.
    """
    binder = Binder()
    window = Window(question.from_, question.to)
    amount = amount_of(binder, question.amount) if isinstance(question, ChannelRoiQuestion) else "0"
    currency = currency_of(binder) if isinstance(question, ChannelRoiQuestion) else "NULL"
    span = binder.bind(question.lookback_days * MS_PER_DAY)
    ever = Window(max(question.from_ - SUBSCRIPTION_DAYS * MS_PER_DAY, 0), question.to)
    found = f"""
  SELECT p.value AS project, e.visitor AS visitor, e.ts AS ts, e.event AS event, e.name AS name, {_CUSTOMER} AS customer,
         {amount} AS amount, {currency} AS currency, 0 AS is_new
    {named(binder, numbers, window, [question.event])}{let_through(binder, question.filters)}"""
    buyers = ""
    if isinstance(question, ChannelRoiQuestion):
        buyers = f"""
buyers AS MATERIALIZED (
  SELECT p.value AS project, {_CUSTOMER} AS customer, min(e.ts) AS since
    {named(binder, numbers, ever, [question.event])} GROUP BY p.value, customer),"""
        found = f"""
  SELECT c.project, c.visitor, c.ts, c.event, c.name, c.customer, c.amount, c.currency,
         row_number() OVER (PARTITION BY c.project, c.customer ORDER BY c.ts, c.event, c.name) = 1
           AND c.ts = b.since AS is_new
    FROM ({found}) AS c LEFT JOIN buyers AS b ON b.project = c.project AND b.customer = c.customer"""
    return binder.statement(f"""WITH RECURSIVE {days_of(binder, ever)},{buyers}
conversions AS MATERIALIZED ({found}),
{_touches(binder, numbers, question)},
paths AS (
  SELECT c.project AS project, c.currency AS currency, coalesce(c.amount, 0) AS amount, c.is_new AS is_new, t.value AS value,
         count(t.ts) OVER one AS touches, row_number() OVER (one ORDER BY t.ts, t.event, t.name) AS place
    FROM conversions AS c LEFT JOIN touches AS t
      ON t.project = c.project AND t.visitor = c.visitor AND t.ts >= c.ts - {span}
     AND (t.ts, t.event, t.name) <= (c.ts, c.event, c.name)
  WINDOW one AS (PARTITION BY c.project, c.visitor, c.ts, c.event, c.name))
SELECT paths.project AS project, text.value AS value, currency, touches, sum(place = 1) AS first,
       sum(place = max(touches, 1)) AS last, count(*) AS times, sum(amount * (place = 1)) AS paid_first,
       sum(amount * (place = max(touches, 1))) AS paid_last, sum(amount) AS paid_times,
       sum(is_new AND place = 1) AS new_first, sum(is_new AND place = max(touches, 1)) AS new_last, sum(is_new) AS new_times
  FROM paths LEFT JOIN dictionary AS text ON text.id = paths.value
 GROUP BY paths.project, text.value, currency, touches""")


def _touches(
    binder: Binder, numbers: Sequence[int], question: AttributionQuestion | ChannelRoiQuestion
) -> str:
    """Parts of a WITH clause, the last of them `touches`: the events of the lookback, of visitors with a conversion, that
    have another medium than `direct`.

    Visitor-days tell on which days those visitors had one. Their events are sought there; but where that would take more
    than half of what reading all events takes, because nearly everybody converts, all are read.
    """
    reach = lookback(question)
    first, last = binder.bind(reach.first_day), binder.bind(reach.last_day)
    projects = f"json_each({binder.bind(json.dumps(list(numbers)))}) AS p"

    # Asked once: an id belongs to one project, and a list that depends on no row is not looked up for each.
    direct = f"""(SELECT text.id FROM {projects} CROSS JOIN dictionary AS text
         WHERE text.project = p.value AND text.kind = {KINDS["medium"]} AND text.value = 'direct')"""
    columns = f"e.visitor AS visitor, e.ts AS ts, e.event AS event, e.name AS name, e.{COLUMNS[question.by]} AS value"
    return f"""touched_days AS MATERIALIZED (
  SELECT DISTINCT c.project AS project, c.visitor AS visitor, v.day AS day
    FROM (SELECT DISTINCT project, visitor FROM conversions) AS c CROSS JOIN visitor_days AS v
   WHERE v.project = c.project AND v.visitor = c.visitor AND v.day BETWEEN {first} AND {last}
     AND v.medium NOT IN {direct}),
choice AS MATERIALIZED (
  SELECT 2 * (SELECT count(*) FROM touched_days)
           * (SELECT count(*) FROM {projects} CROSS JOIN dictionary AS n
               WHERE n.project = p.value AND n.kind = {KINDS["event_name"]})
         <= (SELECT sum(r.events) FROM {projects} CROSS JOIN daily AS r
              WHERE r.project = p.value AND r.kind = {TOTAL_KIND} AND r.day BETWEEN {first} AND {last}) AS sought),
touches AS MATERIALIZED (
  SELECT was.project AS project, {columns}
    {of_visitor_days(binder, "touched_days", reach)} AND (SELECT sought FROM choice) AND e.medium NOT IN {direct}
   UNION ALL
  SELECT p.value, {columns}
    {in_window(binder, numbers, reach)} AND (SELECT NOT sought FROM choice) AND e.medium NOT IN {direct}
     AND e.visitor IN (SELECT visitor FROM touched_days))"""


def ad_spend(numbers: Sequence[int], question: ChannelRoiQuestion) -> Statement:
    """Rows `project, value, currency, amount`."""
    binder = Binder()
    window = Window(question.from_, question.to)
    days, source = named_in_window(binder, numbers, window, [AD_SPEND])
    return binder.statement(f"""WITH RECURSIVE {days}
SELECT project, value, currency, sum(amount) AS amount FROM (
  SELECT p.value AS project, {_property(binder, question.by, "'text'")} AS value, {currency_of(binder)} AS currency,
         {amount_of(binder, "amount_cents")} AS amount
    {source}) WHERE amount IS NOT NULL GROUP BY project, value, currency""")
