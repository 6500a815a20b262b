"""Counting both periods of `diagnose` by every dimension at once: events from the roll-ups, everything else from events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from analytics.diagnosis import DiagnoseQuestion, Moved
from analytics.filters import Dimension
from analytics.store import Tier
from analytics.window import MS_PER_DAY, Window
from storage.counting import Counting, with_clause
from storage.counting_rows import path_rows
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.identity import place_of
from storage.measuring import let_through, names_filtered
from storage.sql_parts import Binder

#: D1 takes so many terms of a compound SELECT.
_TERMS: Final = 5
_UNION: Final = "\n   UNION ALL "


def diagnosing(numbers: Sequence[int], question: DiagnoseQuestion) -> tuple[Statement, Tier]:
    """Rows as `Moved`, with a kind of the dictionary for `by`: the values that moved most, and the rest as one."""
    binder = Binder()
    daily = question.metric == "events" and not question.filters
    daily = daily and all(Counting(numbers, one, ()).whole_days for one in _periods(question))
    counted = (_from_daily if daily else _from_events)(binder, numbers, question)
    # Rates are ranked where all of them are known; here the values with most visitors are kept.
    size = "now + before" if question.metric == "conversion_rate" else "abs(now - before)"
    limit = binder.bind(question.limit)
    statement = binder.statement(f"""{counted},
ranked AS (
  SELECT counted.*, text.value AS value,
         row_number() OVER (PARTITION BY counted.project, counted.kind ORDER BY {size} DESC, text.value) AS place
    FROM counted LEFT JOIN dictionary AS text ON text.id = counted.id)
SELECT project, kind, CASE WHEN place <= {limit} THEN value END AS value, count(*) * (place > {limit}) AS others,
       sum(now) AS now, sum(before) AS before, sum(won_now) AS won_now, sum(won_before) AS won_before
  FROM ranked GROUP BY project, kind, min(place, {limit} + 1)""")
    return statement, "daily" if daily else "events"


def moved_of(row: dict[str, Any]) -> Moved:
    return Moved(**{"by": _DIMENSION[row["kind"]]} | {name: row[name] for name in row if name != "kind"})


_DIMENSION: Final[dict[int, Dimension]] = {kind: name for name, kind in KINDS.items()}  # type: ignore[misc]  # kinds asked for


def _periods(question: DiagnoseQuestion) -> tuple[Window, Window]:
    return question.window, question.earlier


def _days(question: DiagnoseQuestion) -> Iterator[dict[str, int]]:
    """Every UTC day of both periods, and which part of it belongs to one."""
    for now, window in zip((1, 0), _periods(question), strict=True):
        for day in range(window.first_day, window.last_day + 1):
            start, end = max(window.start_ms, day * MS_PER_DAY), min(window.end_ms, (day + 1) * MS_PER_DAY)
            yield {
                "day": day,
                "now": now,
                "start": start,
                "end": end,
                "whole": int(end - start == MS_PER_DAY),
            }


def _each_dimension(dimensions: Sequence[Dimension], base: str) -> tuple[str, str]:
    """Rows `project, kind, id, now, before, won_now, won_before` of the rows `project, now, won, n, <columns>` of `base`,
    `n` events or visitors each; and the part of a WITH clause they need, its comma included.

    The columns of visitor-days have few combinations: those are counted once, and each of these columns from them.
    """
    together = [by for by in dimensions if by not in _APART]
    cube, clause = base, ""
    if len(together) > 1:
        cube, columns = f"{base}_cube", ", ".join(COLUMNS[by] for by in together)
        clause = f"""
{cube} AS MATERIALIZED (
  SELECT project, now, won, {columns}, sum(n) AS n FROM {base} GROUP BY project, now, won, {columns}),"""
    terms = [
        f"SELECT project, {KINDS[by]} AS kind, {COLUMNS[by]} AS id, sum(n * now) AS now, sum(n * NOT now) AS before,"
        " sum(n * (now AND won)) AS won_now, sum(n * (NOT now AND won)) AS won_before"
        f" FROM {base if by in _APART else cube} GROUP BY project, {COLUMNS[by]}"
        for by in dimensions
    ]
    compounds = [_UNION.join(terms[place : place + _TERMS]) for place in range(0, len(terms), _TERMS)]
    return _UNION.join(f"SELECT * FROM ({one})" for one in compounds), clause


#: What has too many values, or differs with each event: counted one by one.
_APART: Final = frozenset({"event_name", "path"})


def _columns(dimensions: Sequence[Dimension]) -> str:
    return ", ".join(f"e.{COLUMNS[by]} AS {COLUMNS[by]}" for by in dimensions)


def _counted_events(dimensions: Sequence[Dimension], source: str) -> str:
    """Rows for `_each_dimension` of the events `e` of a source: each combination once."""
    grouped = ", ".join(f"e.{COLUMNS[by]}" for by in dimensions)
    return f"""
  SELECT p.value AS project, d.value ->> 'now' AS now, 0 AS won, count(*) AS n, {_columns(dimensions)}
    {source}
   GROUP BY p.value, d.value ->> 'now', {grouped}"""


def _from_events(binder: Binder, numbers: Sequence[int], question: DiagnoseQuestion) -> str:
    """Events that pass the filters; or of each visitor the first of a period, and whether the goal was reached in it."""
    projects, days = binder.bind(json.dumps(list(numbers))), binder.bind(json.dumps(list(_days(question))))
    spans = f"FROM json_each({projects}) AS p CROSS JOIN json_each({days}) AS d"
    span = """e.project = p.value AND e.day = d.value ->> 'day' AND e.ts >= d.value ->> 'start'
     AND e.ts < d.value ->> 'end'"""

    def named(names: Sequence[str]) -> tuple[str, str]:
        """A join and a condition: events of these names, sought in the key."""
        return (
            " CROSS JOIN dictionary AS n",
            f"""n.project = p.value AND n.kind = {KINDS["event_name"]}
     AND n.value IN (SELECT value FROM json_each({binder.bind(json.dumps(names))})) AND e.name = n.id AND """,
        )

    names = names_filtered(question.filters)
    join, only = named(names) if names is not None else ("", "")
    source = f"""{spans}{join} CROSS JOIN events AS e
   WHERE {only}{span}{let_through(binder, question.filters)}"""
    if question.metric == "events":
        rows, cube = _each_dimension(question.by, "seen")
        return (
            f"WITH seen AS MATERIALIZED ({_counted_events(question.by, source)}),{cube}\ncounted AS ({rows})"
        )
    won = goals = goal_join = ""
    if question.metric == "conversion_rate":
        join, only = named([question.goal or ""])
        goals = f"""
goals AS MATERIALIZED (
  SELECT DISTINCT p.value AS project, d.value ->> 'now' AS now, e.visitor AS visitor
    {spans}{join} CROSS JOIN events AS e WHERE {only}{span}),"""
        goal_join = """
    LEFT JOIN goals AS g ON g.project = f.project AND g.now = f.now AND g.visitor = f.visitor"""
        won = "g.visitor IS NOT NULL"
    columns = ", ".join(f"f.{COLUMNS[by]} AS {COLUMNS[by]}" for by in question.by)
    rows, cube = _each_dimension(question.by, "firsts")
    return f"""WITH{goals}
first AS (
  SELECT p.value AS project, d.value ->> 'now' AS now, e.visitor AS visitor, {_columns(question.by)},
         min({place_of("visitor")}) AS place
    {source}
   GROUP BY p.value, d.value ->> 'now', e.visitor),
firsts AS MATERIALIZED (
  SELECT f.project AS project, f.now AS now, {won or "0"} AS won, 1 AS n, {columns} FROM first AS f{goal_join}),{cube}
counted AS ({rows})"""


def _from_daily(binder: Binder, numbers: Sequence[int], question: DiagnoseQuestion) -> str:
    """Whole days from the roll-ups, the days that a period cuts from their events."""
    projects, days = binder.bind(json.dumps(list(numbers))), binder.bind(json.dumps(list(_days(question))))
    spans = f"FROM json_each({projects}) AS p CROSS JOIN json_each({days}) AS d"
    terms = _path_terms(binder, numbers, question) if "path" in question.by else []
    others = [by for by in question.by if by != "path"]
    edges = ""
    if others:
        kinds = ", ".join(str(KINDS[by]) for by in others)
        kept = "coalesce((SELECT first_day FROM retention WHERE project = p.value), 0)"
        terms.append(f"""SELECT p.value AS project, r.kind AS kind, nullif(r.a, 0) AS id,
           r.events * (d.value ->> 'now') AS now, r.events * NOT (d.value ->> 'now') AS before
      {spans} CROSS JOIN daily AS r
     WHERE d.value ->> 'whole' AND r.project = p.value AND r.kind IN ({kinds}) AND r.day = d.value ->> 'day'
       AND r.day >= {kept}""")
        terms.append("SELECT project, kind, id, now, before FROM cut")
        source = f"""{spans} CROSS JOIN events AS e
   WHERE NOT d.value ->> 'whole' AND e.project = p.value AND e.day = d.value ->> 'day'
     AND e.ts >= d.value ->> 'start' AND e.ts < d.value ->> 'end'"""
        rows, cube = _each_dimension(others, "edges")
        edges = f"""
edges AS MATERIALIZED ({_counted_events(others, source)}),{cube}
cut AS ({rows}),"""
    return f"""WITH{edges}
counted AS (
  SELECT project, kind, id, sum(now) AS now, sum(before) AS before, 0 AS won_now, 0 AS won_before
    FROM ({_UNION.join(terms)}) GROUP BY project, kind, id)"""


def _path_terms(binder: Binder, numbers: Sequence[int], question: DiagnoseQuestion) -> list[str]:
    """The counts by path of each period, whole days and cut ones."""
    terms = []
    for window, columns in zip(_periods(question), ("events AS now, 0 AS before", "0, events"), strict=True):
        found = path_rows(binder, Counting(numbers, window, ("path",), visitors=False))
        terms.append(f"""SELECT project, {KINDS["path"]} AS kind, nullif(key0, 0) AS id, {columns} FROM (
{with_clause(*found.parts)}{found.rows})""")
    return terms
