"""The stored schema in SQL: events by name, properties by type, values by frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.filters import PROPERTY_PREFIX
from analytics.schema import MAX_PROPERTIES, TOP_VALUES, SchemaQuestion
from analytics.window import Window
from storage.database import Statement
from storage.measuring import plain_value
from storage.sql_parts import Binder, in_window, named_in_window

#: A value as storage/measuring.py tags it, of a property `one` that is not null.
_TAGGED: Final = """CASE one.type WHEN 'true' THEN 'b1' WHEN 'false' THEN 'b0' WHEN 'text' THEN 't' || one.value
         WHEN 'integer' THEN one.value WHEN 'real' THEN one.value ELSE 'j' || one.value END"""


def _events(binder: Binder, numbers: Sequence[int], question: SchemaQuestion) -> str:
    """WITH clauses up to `named`: the `limit` + 1 most frequent events of each project, and `held`: every event."""
    window = Window(question.from_, question.to)
    days = ""
    source = in_window(binder, numbers, window)
    if question.event is not None:
        days, source = named_in_window(binder, numbers, window, [question.event])
        days += ","
    return f"""WITH RECURSIVE {days}
held AS MATERIALIZED (
  SELECT p.value AS project, e.name AS name, e.visitor AS visitor, e.ts AS ts, e.properties AS properties {source}),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY project ORDER BY count DESC, event) AS place FROM (
    SELECT held.project AS project, name, text.value AS event, count(*) AS count, count(DISTINCT visitor) AS visitors,
           min(ts) AS first_ms, max(ts) AS last_ms
      FROM held LEFT JOIN dictionary AS text ON text.id = held.name GROUP BY held.project, name)),
named AS MATERIALIZED (SELECT * FROM ranked WHERE place <= {binder.bind(question.limit + 1)})"""


def _carried(binder: Binder, numbers: Sequence[int], question: SchemaQuestion) -> str:
    """The clauses above and `carried`: one row for each property of each of those events."""
    return f"""{_events(binder, numbers, question)},
carried AS MATERIALIZED (
  SELECT top.project AS project, top.event AS event, one.key AS property, one.type AS type, {_TAGGED} AS value
    FROM held AS h JOIN named AS top ON top.project = h.project AND top.name = h.name
    CROSS JOIN json_each(h.properties) AS one
   WHERE one.type <> 'null')"""


def events(numbers: Sequence[int], question: SchemaQuestion) -> Statement:
    """Rows as `Named`."""
    binder = Binder()
    return binder.statement(f"""{_events(binder, numbers, question)}
SELECT project, event, count, visitors, first_ms, last_ms FROM named ORDER BY project, place""")


def properties(numbers: Sequence[int], question: SchemaQuestion) -> Statement:
    """Rows as `Carried`, by coverage."""
    binder = Binder()
    number = "CASE WHEN type IN ('integer', 'real') THEN value END"
    return binder.statement(f"""{_carried(binder, numbers, question)}
SELECT project, event, property, texts, numbers, booleans, compounds, "distinct", lowest, highest, mean FROM (
  SELECT *, row_number() OVER (PARTITION BY project, event ORDER BY count DESC, property) AS place FROM (
    SELECT project, event, property, count(*) AS count, sum(type = 'text') AS texts,
           sum(type IN ('integer', 'real')) AS numbers, sum(type IN ('true', 'false')) AS booleans,
           sum(type IN ('object', 'array')) AS compounds, count(DISTINCT value) AS "distinct",
           min({number}) AS lowest, max({number}) AS highest, avg({number}) AS mean
      FROM carried GROUP BY project, event, property))
 WHERE place <= {MAX_PROPERTIES} ORDER BY project, event, place""")


def values(numbers: Sequence[int], question: SchemaQuestion) -> Statement:
    """Rows as `Frequent`, by count."""
    binder = Binder()
    return binder.statement(f"""{_carried(binder, numbers, question)}
SELECT project, event, property, value, count FROM (
  SELECT *, row_number() OVER (PARTITION BY project, event, property ORDER BY count DESC, value) AS place FROM (
    SELECT project, event, property, value, count(*) AS count FROM carried GROUP BY project, event, property, value))
 WHERE place <= {TOP_VALUES} ORDER BY project, event, property, place""")


def as_sent(value: Any) -> Any:
    """The value a tagged one stands for; objects and arrays as JSON text."""
    return plain_value(PROPERTY_PREFIX, value)
