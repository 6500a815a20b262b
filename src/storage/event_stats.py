"""Counting events and visitors: the planner that picks the cheapest tier whose answer is exact, and the SQL of each.

Every source of rows below yields `project, bucket, <columns>, events, uniques`; the outer statement labels and sorts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.questions import ComparisonQuestion, Interval, SourcesQuestion, StatsQuestion
from analytics.store import Tier
from analytics.window import MS_PER_DAY, Window
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.sql_parts import Binder, in_window, named_in_window
from storage.tiers import KIND_COLUMNS, NAME_KIND, SOURCE_MEDIUM_KIND, TAILS, TOTAL_KIND

#: The first day of the interval that a day lies in. Day 0 was a Thursday: weeks start at day -3 + 7n.
_FIRST_DAY: Final[dict[Interval, str]] = {
    "day": "{day}",
    "week": "(({day} + 3) / 7 * 7 - 3)",
    "month": "(unixepoch({day} * 86400, 'unixepoch', 'start of month') / 86400)",
}
_HOUR: Final = "e.ts / 3600000 * 3600000"

#: What `visitor_days` keeps apart.
_CUBE: Final = frozenset({"source", "medium", "campaign", "country", "device_type", "browser", "os"})


@dataclass(frozen=True, slots=True)
class Counting:
    """What to count: which columns apart, one name or all, per interval or not, visitors or only events."""

    numbers: Sequence[int]
    window: Window
    columns: tuple[str, ...]
    name: str | None = None
    interval: Interval | None = None
    visitors: bool = True

    @property
    def whole_days(self) -> range:
        """The days that lie in the window from midnight to midnight."""
        return range(-(-self.window.start_ms // MS_PER_DAY), self.window.end_ms // MS_PER_DAY)

    @property
    def ends_at_midnight(self) -> bool:
        return self.window.end_ms % MS_PER_DAY == 0

    @property
    def within_tails(self) -> bool:
        """Whether uniques of the whole days are one sum, also when the last day turns out to be whole."""
        return len(self.whole_days) + (not self.ends_at_midnight) <= TAILS


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement and the tier that answers it."""

    statement: Statement
    tier: Tier


def plan_stats(numbers: Sequence[int], question: StatsQuestion, by_project: bool) -> Planned:
    """Rows `bucket?, project_id?, <group texts>, value`, one more than the limit."""
    binder = Binder()
    counting = Counting(
        numbers,
        question.window,
        question.dimensions,
        question.event,
        question.interval,
        question.metric == "uniques",
    )
    tier, common, rows = counted(binder, counting)
    value = "uniques" if question.metric == "uniques" else "events"
    measures = {"value": f"coalesce(sum({value}), 0)"}
    return Planned(labelled(binder, question, by_project, common, rows, measures), tier)


def labelled(
    binder: Binder,
    question: StatsQuestion,
    by_project: bool,
    common: str,
    rows: str,
    measures: Mapping[str, str],
) -> Statement:
    """Rows `bucket?, project_id?, <group texts>, <measures>` by the first measure, one more than the limit."""
    keys = (["bucket"] if question.interval else []) + (["project"] if by_project else [])
    keys += columns_of(question.dimensions)
    summed = ", ".join([*keys, *(f"{sql} AS {name}" for name, sql in measures.items())])
    grouped = f"GROUP BY {', '.join(keys)}" if keys else ""
    head = (["s.bucket"] if question.interval else []) + (["project.id AS project_id"] if by_project else [])
    texts = [f"{column}.value AS {column}" for column in question.dimensions]
    order = (["s.bucket"] if question.interval else []) + [f"s.{next(iter(measures))} DESC"]
    order += (["project.id"] if by_project else []) + [f"{column}.value" for column in question.dimensions]
    joins = _labels(question.dimensions) + (
        "\n  LEFT JOIN projects AS project ON project.number = s.project" if by_project else ""
    )
    return binder.statement(f"""{common}SELECT {", ".join([*head, *texts, *(f"s.{name}" for name in measures)])}
  FROM (SELECT {summed} FROM ({rows}) {grouped}) AS s{joins}
 ORDER BY {", ".join(order)} LIMIT {binder.bind(question.limit + 1)}""")


def plan_sources(numbers: Sequence[int], question: SourcesQuestion) -> Planned:
    """Rows `project_id, source, medium?, events, uniques, paid`, one more than the limit."""
    binder = Binder()
    by_medium = question.breakdown == "source_medium"
    pairs = Counting(numbers, question.window, ("source", "medium"), visitors=by_medium)
    tier, common, rows = counted(binder, pairs)
    rows = f"""SELECT project, source, medium, events, uniques,
        medium IN (SELECT id FROM dictionary
                    WHERE project = pairs.project AND kind = {KINDS["medium"]} AND value = 'paid') AS is_paid
   FROM (SELECT project, source, medium, sum(events) AS events, sum(uniques) AS uniques
           FROM ({rows}) GROUP BY project, source, medium LIMIT -1) AS pairs"""
    rows = f"SELECT project, source, medium, events, uniques, is_paid * events AS paid FROM ({rows})"
    if not by_medium:
        # Visitors of a source are not the sum over its media; its events and its paid events are.
        tier, common, singles = counted(binder, Counting(numbers, question.window, ("source",)), common)
        rows = f"""SELECT project, source, NULL AS medium, events, 0 AS uniques, paid FROM ({rows})
  UNION ALL SELECT project, source, NULL, 0, uniques, 0 FROM ({singles})"""
    columns = ("source", "medium") if by_medium else ("source",)
    texts = ", ".join(f"{column}.value AS {column}" for column in columns)
    sql = f"""{common}SELECT project.id AS project_id, {texts}, s.events, s.uniques, s.paid
  FROM (SELECT project, {", ".join(columns)}, sum(events) AS events, sum(uniques) AS uniques, sum(paid) AS paid
          FROM ({rows}) GROUP BY project, {", ".join(columns)}) AS s
  LEFT JOIN projects AS project ON project.number = s.project{_labels(columns)}
 ORDER BY s.events DESC, project.id, {", ".join(f"{column}.value" for column in columns)}
 LIMIT {binder.bind(question.limit + 1)}"""
    return Planned(binder.statement(sql), tier)


def plan_event_names(numbers: Sequence[int], window: Window, limit: int) -> Planned:
    """Rows `project_id, event_name, count`, most frequent first."""
    binder = Binder()
    tier, common, rows = counted(binder, Counting(numbers, window, ("event_name",), visitors=False))
    sql = f"""{common}SELECT project.id AS project_id, event_name.value AS event_name, s.events AS count
  FROM (SELECT project, name, sum(events) AS events FROM ({rows}) GROUP BY project, name) AS s
  LEFT JOIN projects AS project ON project.number = s.project{_labels(("event_name",))}
 ORDER BY s.events DESC, project.id, event_name.value LIMIT {binder.bind(limit + 1)}"""
    return Planned(binder.statement(sql), tier)


def plan_comparison(numbers: Sequence[int], question: ComparisonQuestion) -> Planned:
    """Rows `project, value`; a project without events in the window has none."""
    binder = Binder()
    visitors = question.metric == "uniques"
    tier, common, rows = counted(binder, Counting(numbers, question.window, (), visitors=visitors))
    value = "uniques" if visitors else "events"
    sql = f"{common}SELECT project, sum({value}) AS value FROM ({rows}) GROUP BY project"
    return Planned(binder.statement(sql), tier)


def counted(binder: Binder, counting: Counting, common: str = "") -> tuple[Tier, str, str]:
    """The tier that can answer exactly at the lowest cost, WITH clauses it needs after `common`, and its rows."""
    if counting.interval != "hour" and len(counting.whole_days) > 0:
        kind = _kind_of(counting)
        reach = counting.interval is not None or not counting.visitors or counting.within_tails
        if kind is not None and reach:
            return "daily", common, _from_daily(binder, counting, kind)
        if counting.columns == ("path",) and not counting.visitors and counting.name is None:
            return "daily", common, _from_paths(binder, counting)
        if _CUBE.issuperset(counting.columns) and counting.name is None:
            return "visitor_days", common, _from_visitor_days(binder, counting)
    if counting.name is None:
        return "events", common, _from_events(counting, in_window(binder, counting.numbers, counting.window))
    days, source = named_in_window(binder, counting.numbers, counting.window, [counting.name])
    return "events", f"WITH RECURSIVE {days}\n", _from_events(counting, source)


def _kind_of(counting: Counting) -> int | None:
    """The kind of `daily` that keeps these columns apart, if one does."""
    columns = set(counting.columns)
    if counting.name is not None:
        return NAME_KIND if columns <= {"event_name"} else None
    if not columns:
        return TOTAL_KIND
    if columns == {"source", "medium"}:
        return SOURCE_MEDIUM_KIND
    kind = KINDS[counting.columns[0]]
    return kind if len(columns) == 1 and kind in KIND_COLUMNS else None


def columns_of(columns: Sequence[str]) -> list[str]:
    return [COLUMNS[column] for column in columns]


def _labels(columns: Sequence[str]) -> str:
    return "".join(
        f"\n  LEFT JOIN dictionary AS {column} ON {column}.id = s.{COLUMNS[column]}" for column in columns
    )


def bucket_of(counting: Counting, day: str) -> str:
    """The start of the interval that a day lies in, in milliseconds UTC; 0 where there is no interval."""
    return f"{_first_day(counting, day)} * {MS_PER_DAY}" if counting.interval else "0"


def _first_day(counting: Counting, day: str) -> str:
    return _FIRST_DAY[counting.interval or "day"].format(day=day)


# --- tier 1 ----------------------------------------------------------------------------------------------------------


class _End:
    """Where the whole days end. A day that the window cuts short is whole all the same when nothing came after."""

    def __init__(self, binder: Binder, counting: Counting) -> None:
        self._last = binder.bind(counting.whole_days.stop - 1)
        self._end = None if counting.ends_at_midnight else binder.bind(counting.window.end_ms)

    def last_day(self, project: str) -> str:
        """The last whole day of a project, as SQL."""
        if self._end is None:
            return self._last
        return f"{self._last} + ((SELECT latest_ts FROM folds WHERE project = {project}) < {self._end})"


_TAIL: Final = "CASE {distance} " + " ".join(f"WHEN {k} THEN r.t{k}" for k in range(TAILS)) + " END"


def _from_daily(binder: Binder, counting: Counting, kind: int) -> str:
    """Whole days from the roll-up, where uniques add up; the edge days from their events."""
    first, end = binder.bind(counting.whole_days.start), _End(binder, counting)
    # A window begins, at the earliest, where retention has left its project: across that day no gap is known.
    begin = f"max({first}, coalesce(kept.first_day, {first}))"
    start = begin if counting.interval is None else f"max({begin}, {_first_day(counting, 'r.day')})"
    uniques = _TAIL.format(distance=f"CAST(r.day - {start} AS INTEGER)") if counting.visitors else "0"
    projects = binder.bind(json.dumps(list(counting.numbers)))
    named = _named(binder, counting, "r.a", "p.value")
    keys = "".join(
        f", nullif(r.{place}, 0) AS {column}" for place, column in zip("ab", KIND_COLUMNS[kind], strict=False)
    )
    # LIMIT -1 keeps SQLite from merging this into the grouping above it, which would sort all the tails.
    whole = f"""SELECT * FROM (SELECT p.value AS project, {bucket_of(counting, "r.day")} AS bucket{keys},
            r.events AS events, {uniques} AS uniques
       FROM json_each({projects}) AS p LEFT JOIN retention AS kept ON kept.project = p.value CROSS JOIN daily AS r
      WHERE r.project = p.value AND r.kind = {kind}
        AND r.day BETWEEN {begin} AND {end.last_day("p.value")}{named} LIMIT -1)"""
    return "\n  UNION ALL ".join([whole, *_edges(binder, counting, KIND_COLUMNS[kind], first, end)])


def _from_paths(binder: Binder, counting: Counting) -> str:
    first, end = binder.bind(counting.whole_days.start), _End(binder, counting)
    projects = binder.bind(json.dumps(list(counting.numbers)))
    whole = f"""SELECT p.value AS project, {bucket_of(counting, "r.day")} AS bucket, nullif(r.path, 0) AS path,
            r.events AS events, 0 AS uniques
       FROM json_each({projects}) AS p CROSS JOIN daily_paths AS r
      WHERE r.project = p.value AND r.day BETWEEN {first} AND {end.last_day("p.value")}"""
    return "\n  UNION ALL ".join([whole, *_edges(binder, counting, ("path",), first, end)])


def _edges(binder: Binder, counting: Counting, columns: Sequence[str], first: str, end: _End) -> list[str]:
    """The events of the days that only lie partly in the window; a visitor counts unless a whole day has them already."""
    edges = _edge_events(binder, counting, end)
    if edges is None:
        return []
    keys = "".join(f", e.{column}" for column in columns)
    plain = "".join(f", {column}" for column in columns)
    seen = "1"
    if counting.visitors:
        seen = f"EXISTS ({_seen(counting, columns, first, end)})"
    return [
        f"""SELECT project, bucket{plain}, sum(events), sum(NOT {seen})
       FROM (SELECT e.project AS project, {bucket_of(counting, "e.day")} AS bucket{keys}, e.visitor AS visitor,
                    {_first_day(counting, "e.day") if counting.interval else "0"} AS since, count(*) AS events
               {edges} GROUP BY e.project, bucket{keys}, e.visitor, since) AS edge
      GROUP BY project, bucket{plain}"""
    ]


def _edge_events(binder: Binder, counting: Counting, end: _End) -> str | None:
    """FROM and WHERE of the events `e` in the window but outside its whole days; None when midnight bounds it."""
    window, days = counting.window, counting.whole_days
    begins, ends = days.start * MS_PER_DAY, days.stop * MS_PER_DAY
    if window.start_ms == begins and window.end_ms == ends:
        return None
    parts = [(window.start_ms, begins), (ends, window.end_ms)]
    spans = [{"day": start // MS_PER_DAY, "start": start, "end": end} for start, end in parts if start < end]
    projects, edges = binder.bind(json.dumps(list(counting.numbers))), binder.bind(json.dumps(spans))
    return f"""FROM json_each({projects}) AS p CROSS JOIN json_each({edges}) AS span CROSS JOIN events AS e
              WHERE e.project = p.value AND e.day = span.value ->> 'day'
                AND e.ts >= span.value ->> 'start' AND e.ts < span.value ->> 'end'
                AND span.value ->> 'day' NOT BETWEEN {binder.bind(days.start)} AND {end.last_day("p.value")}{
        _named(binder, counting, "e.name", "p.value")
    }"""


def _named(binder: Binder, counting: Counting, column: str, project: str) -> str:
    if counting.name is None:
        return ""
    name = binder.bind(counting.name)
    return f""" AND {column} = (SELECT id FROM dictionary
                       WHERE project = {project} AND kind = {NAME_KIND} AND value = {name})"""


def _seen(counting: Counting, columns: Sequence[str], first: str, end: _End) -> str:
    """The whole days of the same bucket on which the visitor of an `edge` row was seen with the same values."""
    bucket = f" AND {_first_day(counting, 'v.day')} = edge.since" if counting.interval else ""
    within = f"v.day BETWEEN {first} AND {end.last_day('edge.project')}{bucket}"
    days = f"v.project = edge.project AND v.visitor = edge.visitor AND {within}"
    if "name" in columns:
        return f"""SELECT 1 FROM visitor_days AS v CROSS JOIN events AS x
            WHERE {days} AND x.project = v.project AND x.day = v.day AND x.name = edge.name AND x.visitor = v.visitor"""
    same = "".join(f" AND v.{column} = coalesce(edge.{column}, 0)" for column in columns)
    return f"SELECT 1 FROM visitor_days AS v WHERE {days}{same}"


# --- tiers 2 and 3 ---------------------------------------------------------------------------------------------------


def _from_visitor_days(binder: Binder, counting: Counting) -> str:
    """Whole days from the visitor-day cube, edge days from their events; visitors told apart over both."""
    columns = columns_of(counting.columns)
    first, end = binder.bind(counting.whole_days.start), _End(binder, counting)
    keys = "".join(f", nullif(v.{column}, 0) AS {column}" for column in columns)
    projects = binder.bind(json.dumps(list(counting.numbers)))
    rows = f"""SELECT p.value AS project, {bucket_of(counting, "v.day")} AS bucket{keys},
            v.visitor AS visitor, v.events AS events
       FROM json_each({projects}) AS p CROSS JOIN visitor_days AS v
      WHERE v.project = p.value AND v.day BETWEEN {first} AND {end.last_day("p.value")}"""
    edges = _edge_events(binder, counting, end)
    if edges is not None:
        keys = "".join(f", e.{column}" for column in columns)
        rows += f"\n  UNION ALL SELECT e.project, {bucket_of(counting, 'e.day')}{keys}, e.visitor, 1 {edges}"
    plain = "".join(f", {column}" for column in columns)
    visitors = "count(DISTINCT visitor)" if counting.visitors else "0"
    return f"""SELECT project, bucket{plain}, sum(events) AS events, {visitors} AS uniques
       FROM ({rows}) GROUP BY project, bucket{plain}"""


def _from_events(counting: Counting, source: str) -> str:
    bucket = _HOUR if counting.interval == "hour" else bucket_of(counting, "e.day")
    keys = "".join(f", e.{column} AS {column}" for column in columns_of(counting.columns))
    plain = "".join(f", e.{column}" for column in columns_of(counting.columns))
    visitors = "count(DISTINCT e.visitor)" if counting.visitors else "0"
    return f"""SELECT p.value AS project, {bucket} AS bucket{keys}, count(*) AS events, {visitors} AS uniques
       {source} GROUP BY p.value, bucket{plain}"""
