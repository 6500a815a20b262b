"""The rows that each tier answers a counting with. Which tier can is decided in event_stats.py.

Parts of the WITH clause: `spans`, of each project the whole days to count; `edges`, the days that only lie partly in the
window, whose events are read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from analytics.window import MS_PER_DAY
from storage.counting import Counted, Counting, keys, of_event, packed, unpacked
from storage.dictionary import COLUMNS
from storage.octets import OF_OCTETS, OF_OTHER_DAYS, holds_octet
from storage.paths import counted_between
from storage.sql_parts import Binder, days_of
from storage.tiers import KIND_COLUMNS, NAME_KIND, OCTET_DAYS

#: How many tails one arm of the search for a day's tail holds.
_STRIDE: Final = 8


def daily_rows(binder: Binder, counting: Counting, kind: int) -> Counted:
    """Tier 1: whole days from the roll-up, where uniques add up; the edge days from their events."""
    columns = KIND_COLUMNS[kind]
    place = {column: f"r.{letter}" for column, letter in zip(columns, "ab", strict=False)}
    values = packed(counting.columns, lambda column: place[COLUMNS[column]])
    in_eights = columns and counting.interval is None and counting.name is None
    rows = _octet_rows if in_eights and holds_octet(counting.whole_days) else _day_rows
    return _with_edges(binder, counting, rows(counting, kind, values))


def _day_rows(counting: Counting, kind: int, values: str) -> str:
    """Day by day."""
    start = "span.first_day"
    if counting.interval is not None:
        start = f"max({start}, {counting.first_day('r.day')})"
    measures = counting.measured("r.events", _tail(f"r.day - {start}", counting.reach))
    named = "" if counting.name is None else " AND r.a = span.name"
    return f"""SELECT span.project AS project, {counting.bucket("r.day")} AS bucket{values}{measures}
    FROM spans AS span CROSS JOIN daily AS r
   WHERE r.project = span.project AND r.kind = {kind} AND r.day BETWEEN span.first_day AND span.last_day{named}"""


def _octet_rows(counting: Counting, kind: int, values: str) -> str:
    """Eight days at once where they are added up, and the others day by day. The first tail of an octet is that of its first
    day."""
    first = f"r.octet * {OCTET_DAYS} - span.first_day"
    of_octets = counting.measured("r.events", _tail(first, counting.reach - OCTET_DAYS + 1))
    of_days = counting.measured("r.events", _tail("r.day - span.first_day", counting.reach))
    return f"""SELECT span.project AS project, 0 AS bucket{values}{of_octets}
    {OF_OCTETS.format(kind=kind)}
  UNION ALL SELECT span.project, 0{values}{of_days}
    {OF_OTHER_DAYS.format(kind=kind)}"""


def path_rows(binder: Binder, counting: Counting) -> Counted:
    """Tier 1 for counts by path. `pieces` are the whole days of each interval, where there is one."""
    pieces, parts = "(SELECT *, 0 AS bucket FROM spans)", []
    if counting.interval is not None:
        pieces, parts = "pieces", [days_of(binder, counting.window), _pieces(counting)]
    found = _with_edges(binder, counting, counted_between(pieces))
    return replace(found, parts=(*found.parts, *parts))


def _pieces(counting: Counting) -> str:
    return f"""pieces AS MATERIALIZED (
  SELECT span.project AS project, {counting.bucket("days.day")} AS bucket,
         min(days.day) AS first_day, max(days.day) AS last_day
    FROM spans AS span CROSS JOIN days
   WHERE days.day BETWEEN span.first_day AND span.last_day GROUP BY span.project, bucket)"""


def visitor_day_rows(binder: Binder, counting: Counting) -> Counted:
    """Tier 2: whole days from the visitor-day cube, edge days from their events; visitors told apart over both."""
    spans, edges = _spans(binder, counting), _edges(binder, counting)
    rows = f"""SELECT span.project AS project, {counting.bucket("v.day")} AS bucket{
        packed(counting.columns, lambda column: f"v.{COLUMNS[column]}")
    }, v.visitor AS visitor, v.events AS events
    FROM spans AS span CROSS JOIN visitor_days AS v
   WHERE v.project = span.project AND v.day BETWEEN span.first_day AND span.last_day"""
    if edges is not None:
        rows += f"""
  UNION ALL SELECT edge.project, {counting.bucket_of_event()}{packed(counting.columns, of_event)}, e.visitor, 1
    {_EDGE_EVENTS}"""
    measures = counting.measured("sum(events)", "count(DISTINCT visitor)")
    grouped = f"""SELECT project, bucket{_listed(counting)}{measures}
    FROM ({rows} LIMIT -1) GROUP BY {counting.apart()}"""
    return Counted("visitor_days", grouped, (spans, edges) if edges else (spans,))


def event_rows(counting: Counting, source: str, parts: Sequence[str] = ()) -> Counted:
    """Tier 3: every event of the window; `source` is its FROM and WHERE."""
    measures = counting.measured("count(*)", "count(DISTINCT e.visitor)")
    grouped = f"""SELECT e.project AS project, {counting.bucket_of_event()} AS bucket{
        packed(counting.columns, of_event)
    }{measures}
    {source} GROUP BY {counting.apart("e.project")}"""
    return Counted("events", grouped, tuple(parts))


def _listed(counting: Counting) -> str:
    return "".join(f", {key}" for key in keys(counting.columns))


@cache
def _tail(distance: str, reach: int) -> str:
    """The tail for a day so far from the first: found in two steps, because CASE tries one arm after the other. There are
    few distances and as many reaches as tails, and this is the longest part of a statement.
    """

    def arms(first: int) -> str:
        return " ".join(f"WHEN {k} THEN r.t{k}" for k in range(first, min(first + _STRIDE, reach)))

    if reach == 1:
        return "r.t0"
    steps = [
        f"WHEN {first // _STRIDE} THEN CASE {distance} {arms(first)} END"
        for first in range(0, reach, _STRIDE)
    ]
    if len(steps) == 1:
        return f"CASE {distance} {arms(0)} END"
    return f"CASE ({distance}) / {_STRIDE} {' '.join(steps)} END"


def _spans(binder: Binder, counting: Counting) -> str:
    """The whole days of each project. A window begins, at the earliest, where retention has left the project: across that
    day no gap is known. A day that the window's end cuts short is whole all the same when nothing came after."""
    days = counting.whole_days
    first, last = binder.bind(days.start), f"CAST({binder.bind(days.stop - 1)} AS INTEGER)"
    name = ""
    if counting.name is not None:
        name = f""",
         (SELECT id FROM dictionary
           WHERE project = p.value AND kind = {NAME_KIND} AND value = {binder.bind(counting.name)}) AS name"""
    if not counting.ends_at_midnight:
        last += f" + ((SELECT latest_ts FROM folds WHERE project = p.value) < {binder.bind(counting.window.end_ms)})"
    return f"""spans AS MATERIALIZED (
  SELECT p.value AS project, {last} AS last_day,
         max(CAST({first} AS INTEGER), coalesce((SELECT first_day FROM retention WHERE project = p.value), 0))
           AS first_day{name}
    FROM json_each({binder.bind(json.dumps(list(counting.numbers)))}) AS p)"""


#: The events of the edges.
_EDGE_EVENTS: Final = """FROM edges AS edge CROSS JOIN events AS e
   WHERE e.project = edge.project AND e.day = edge.day AND e.ts >= edge.start AND e.ts < edge.stop"""


def _edges(binder: Binder, counting: Counting) -> str | None:
    """The parts of days in the window but outside its whole days, of each project; None when midnight bounds it."""
    window, days = counting.window, counting.whole_days
    begins, ends = days.start * MS_PER_DAY, days.stop * MS_PER_DAY
    parts = [(window.start_ms, begins), (ends, window.end_ms)]
    listed = [[start // MS_PER_DAY, start, end] for start, end in parts if start < end]
    if not listed:
        return None
    return f"""edges AS MATERIALIZED (
  SELECT span.*, part.value ->> 0 AS day, part.value ->> 1 AS start, part.value ->> 2 AS stop
    FROM spans AS span CROSS JOIN json_each({binder.bind(json.dumps(listed))}) AS part
   WHERE part.value ->> 0 NOT BETWEEN {binder.bind(days.start)} AND span.last_day)"""


def _with_edges(binder: Binder, counting: Counting, whole: str) -> Counted:
    """Rows of whole days and those of the edge days. A visitor of an edge counts unless a whole day has them already.

    LIMIT -1 keeps SQLite from merging the rows into the grouping around them, which would sort every column they use.
    """
    spans, edges = _spans(binder, counting), _edges(binder, counting)
    if edges is None:
        return Counted("daily", f"{whole} LIMIT -1", (spans,))
    named = "" if counting.name is None else " AND e.name = edge.name"
    packed_keys = packed(counting.columns, of_event)
    if counting.visitors:
        rows = f"""SELECT project, bucket{_listed(counting)}{counting.measured("events", f"NOT EXISTS ({_seen(counting)})")}
    FROM (SELECT edge.*, {counting.bucket_of_event()} AS bucket{packed_keys}, e.visitor AS visitor, count(*) AS events
    {_EDGE_EVENTS}{named}
   GROUP BY {counting.apart("edge.project")}, e.visitor) AS edge"""
    else:
        rows = f"""SELECT edge.project, {counting.bucket_of_event()} AS bucket{packed_keys}, 1
    {_EDGE_EVENTS}{named}"""
    return Counted("daily", f"{whole}\n  UNION ALL {rows} LIMIT -1", (spans, edges))


def _seen(counting: Counting) -> str:
    """The whole days of the same bucket on which the visitor of a row of `edge` was seen with the same values.

    Without the plus SQLite carries the range of `v.day` over to `x`: 3.40 then reads all events of the window for each row.
    """
    days = "v.project = edge.project AND v.visitor = edge.visitor AND v.day BETWEEN edge.first_day AND edge.last_day"
    if counting.interval:
        days += f" AND {counting.bucket('v.day')} = edge.bucket"
    if counting.name is not None or "event_name" in counting.columns:
        name = unpacked(counting.columns, "event_name", "edge") if counting.columns else "edge.name"
        return f"""SELECT 1 FROM visitor_days AS v CROSS JOIN events AS x
            WHERE {days} AND x.project = v.project AND x.day = +v.day AND x.name = {name} AND x.visitor = v.visitor"""
    same = "".join(
        f" AND v.{COLUMNS[column]} = {unpacked(counting.columns, column, 'edge')}"
        for column in counting.columns
    )
    return f"SELECT 1 FROM visitor_days AS v WHERE {days}{same}"
