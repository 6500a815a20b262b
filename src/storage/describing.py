"""The stored schema in SQL: events by name, properties by type, values by frequency, from one reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.filters import PROPERTY_PREFIX
from analytics.schema import MAX_PROPERTIES, TOP_VALUES, Carried, Frequent, Named, SchemaQuestion
from analytics.store import Row
from analytics.window import Window
from storage.counting import Counting, with_clause
from storage.database import Statement
from storage.event_stats import counted
from storage.measuring import plain_value
from storage.sql_parts import Binder
from storage.tiers import NAME_KIND

#: A value as storage/measuring.py tags it, of a property `one` that is not null.
_TAGGED: Final = """CASE one.type WHEN 'true' THEN 'b1' WHEN 'false' THEN 'b0' WHEN 'text' THEN 't' || one.value
         WHEN 'integer' THEN one.value WHEN 'real' THEN one.value ELSE 'j' || one.value END"""

_NAMED: Final = ("project", "event", "count", "visitors", "first_ms", "last_ms")
_TYPES: Final = {
    "texts": "type = 'text'",
    "numbers": "type IN ('integer', 'real')",
    "booleans": "type IN ('true', 'false')",
    "compounds": "type IN ('object', 'array')",
}
_CARRIED: Final = ("project", "event", "property", *_TYPES, "distinct", "lowest", "highest", "mean")
_TOP: Final = range(1, TOP_VALUES + 1)


def describing(numbers: Sequence[int], question: SchemaQuestion) -> Statement:
    """Rows for the functions below: of the `limit` + 1 most frequent events of each project each property, by coverage; an
    event without properties has one row.

    Names are counted from the roll-up where that is exact; when they came first and last is in the events of their first
    and last day. Events are read along the key and only those of the names shown. What they carry is first counted as whole
    texts, because events of one name often carry the same: only different texts are taken apart.
    """
    binder = Binder()
    window = Window(question.from_, question.to)
    found = counted(binder, Counting(numbers, window, ("event_name",), question.event))
    first, last = binder.bind(window.first_day), binder.bind(window.last_day)
    within = f"e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"

    def edge(aggregate: str, day: str) -> str:
        return f"""(SELECT {aggregate}(e.ts) FROM events AS e
           WHERE e.project = s.project AND e.day = {day} AND e.name = s.name AND {within})"""

    parts = (
        *found.parts,
        f"""ranked AS (
  SELECT *, row_number() OVER (PARTITION BY project ORDER BY count DESC, event) AS place FROM (
    SELECT s.project AS project, s.key0 AS name, text.value AS event, s.events AS count, s.uniques AS visitors
      FROM (SELECT project, key0, sum(events) AS events, sum(uniques) AS uniques
              FROM ({found.rows}) GROUP BY project, key0) AS s
      LEFT JOIN dictionary AS text ON text.id = s.key0))""",
        f"named AS MATERIALIZED (SELECT * FROM ranked WHERE place <= {binder.bind(question.limit + 1)})",
        # The days on which a name occurred: those between the window's first and last are wholly inside.
        f"""of_days AS MATERIALIZED (
  SELECT named.project AS project, named.name AS name, r.day AS day
    FROM (SELECT DISTINCT project FROM named) AS p LEFT JOIN retention AS kept ON kept.project = p.project
    CROSS JOIN daily AS r CROSS JOIN named
   WHERE r.project = p.project AND r.kind = {NAME_KIND} AND r.day BETWEEN {first} AND {last}
     AND r.day >= coalesce(kept.first_day, 0) AND named.project = r.project AND named.name = r.a)""",
        f"""inner_days AS MATERIALIZED (
  SELECT project, name, min(CASE WHEN day > {first} THEN day END) AS first_day,
         max(CASE WHEN day < {last} THEN day END) AS last_day FROM of_days GROUP BY project, name)""",
        f"""seen AS MATERIALIZED (
  SELECT s.*, coalesce({edge("min", first)}, {edge("min", "i.first_day")}) AS first_ms,
         coalesce({edge("max", last)}, {edge("max", "i.last_day")}) AS last_ms
    FROM named AS s LEFT JOIN inner_days AS i ON i.project = s.project AND i.name = s.name)""",
        f"""texts AS MATERIALIZED (
  SELECT e.name AS name, e.properties AS properties, count(*) AS times FROM of_days AS d CROSS JOIN events AS e
   WHERE e.project = d.project AND e.day = d.day AND e.name = d.name AND e.properties IS NOT NULL AND {within}
   GROUP BY e.name, e.properties)""",
        f"""valued AS (
  SELECT name, property, value, type, sum(times) AS times FROM (
    SELECT texts.name AS name, one.key AS property, {_TAGGED} AS value, one.type AS type, times
      FROM texts CROSS JOIN json_each(texts.properties) AS one WHERE one.type <> 'null') GROUP BY name, property, value)""",
        """frequent AS (
  SELECT *, row_number() OVER (PARTITION BY name, property ORDER BY times DESC, value) AS nth FROM valued)""",
        f"""carried AS (
  SELECT *, row_number() OVER (PARTITION BY name ORDER BY times DESC, property) AS at FROM (
    SELECT name, property, sum(times) AS times, {_counts()}, count(*) AS "distinct",
           min({_NUMBER}) AS lowest, max({_NUMBER}) AS highest,
           total({_NUMBER} * times) / sum(CASE WHEN {_TYPES["numbers"]} THEN times END) AS mean, {_top()}
      FROM frequent GROUP BY name, property))""",
    )
    top = ", ".join(f"value{nth}, times{nth}" for nth in _TOP)
    return binder.statement(f"""{with_clause(*parts)}SELECT seen.project AS project, seen.event AS event, count, visitors,
       first_ms, last_ms, property, {", ".join(_TYPES)}, "distinct", lowest, highest, mean, {top}
  FROM seen LEFT JOIN carried ON carried.name = seen.name AND carried.at <= {MAX_PROPERTIES}
 ORDER BY seen.project, seen.place, carried.at""")


#: A value as a number, NULL when it is none. Numbers that are equal (1 and 1.0) are one value, so have one type.
_NUMBER: Final = f"CASE WHEN {_TYPES['numbers']} THEN value END"


def _counts() -> str:
    return ", ".join(f"sum(({condition}) * times) AS {name}" for name, condition in _TYPES.items())


def _top() -> str:
    return ", ".join(
        f"max(CASE WHEN nth = {nth} THEN value END) AS value{nth}, max(CASE WHEN nth = {nth} THEN times END) AS times{nth}"
        for nth in _TOP
    )


def named_of(rows: Sequence[Row]) -> list[Named]:
    """Each event once."""
    found = {(row["project"], row["event"]): row for row in rows}
    return [Named(**{column: row[column] for column in _NAMED}) for row in found.values()]


def carried_of(rows: Sequence[Row]) -> list[Carried]:
    return [Carried(**{column: row[column] for column in _CARRIED}) for row in _with_property(rows)]


def frequent_of(rows: Sequence[Row]) -> list[Frequent]:
    return [
        Frequent(
            row["project"], row["event"], row["property"], _as_sent(row[f"value{nth}"]), row[f"times{nth}"]
        )
        for row in _with_property(rows)
        for nth in _TOP
        if row[f"times{nth}"] is not None
    ]


def _with_property(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["property"] is not None]


def _as_sent(value: Any) -> Any:
    """The value a tagged one stands for; objects and arrays as JSON text."""
    return plain_value(PROPERTY_PREFIX, value)
