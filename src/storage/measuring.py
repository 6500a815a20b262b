"""Counting what measures need, in one statement: events read once, sessions cut by inactivity, both grouped alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.filters import DIMENSIONS, PROPERTY_PREFIX, Filter
from analytics.local_time import Interval, spans
from analytics.measures import (
    ENGAGED_MS,
    PAGEVIEW,
    SESSION_DIMENSIONS,
    SESSION_GAP_MS,
    Counted,
    Counts,
    Measure,
    Measurement,
)
from analytics.window import MS_PER_DAY, MS_PER_HOUR, Window
from storage.addresses import referrer_of
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.identity import joined, last_tie, people, who
from storage.sql_parts import Binder, holds, in_window, named_in_window

#: The total order of a visitor's events.
VISIT: Final = "PARTITION BY project, visitor ORDER BY ts, event, name"
_SESSION: Final = "PARTITION BY project, visitor, session"

_NAMES: Final = ("events", "visitors", "pageviews", "converted", "sessions", "viewed", "bounces", "engaged")
_COUNTS: Final = (*_NAMES, "duration_ms")
_ORDER: Final[dict[Measure, str]] = {
    "visitors": "visitors",
    "sessions": "sessions",
    "pageviews": "pageviews",
    "events": "events",
    "bounce_rate": "1.0 * bounces / nullif(viewed, 0)",
    "engaged_rate": "1.0 * engaged / nullif(sessions, 0)",
    "average_duration": "1.0 * duration_ms / nullif(sessions, 0)",
    "views_per_session": "1.0 * pageviews / nullif(sessions, 0)",
    "conversion_rate": "1.0 * converted / nullif(visitors, 0)",
}

#: The first local day of the interval that the local day `{day}` lies in. Day 0 was a Thursday.
FIRST_DAY: Final[dict[Interval, str]] = {
    "day": "{day}",
    "week": "(({day} + 3) / 7 * 7 - 3)",
    "month": "(unixepoch({day} * 86400, 'unixepoch', 'start of month') / 86400)",
}

#: The host of a referrer: between `://` and the next `/ ? # :`, in lower case, without `www.`; NULL without a scheme.
_REFERRER_HOST: Final = f"""(SELECT CASE WHEN substr(host, 1, 4) = 'www.' THEN substr(host, 5) ELSE host END
    FROM (SELECT lower(substr(rest, 1, instr(rest, '/') - 1)) AS host
      FROM (SELECT replace(replace(replace(after, char(63), '/'), '#', '/'), ':', '/') || '/' AS rest
        FROM (SELECT substr(url, instr(url, '://') + 3) AS after
          FROM (SELECT {referrer_of("e")} AS url) WHERE instr(url, '://') > 0))))"""

#: A property's value so that equal values, and only those, are equal in SQL: numbers as they are, the rest as tagged text.
PROPERTY_VALUE: Final = """(SELECT CASE one.type WHEN 'null' THEN NULL WHEN 'true' THEN 'b1' WHEN 'false' THEN 'b0'
    WHEN 'text' THEN 't' || one.value WHEN 'integer' THEN one.value WHEN 'real' THEN one.value ELSE 'j' || one.value END
    FROM json_each(e.properties) AS one WHERE one.key = {key})"""


def plain_value(by: str | None, value: Any) -> Any:
    """What a value of `PROPERTY_VALUE` stands for; values of other dimensions are texts already."""
    if by is None or not by.startswith(PROPERTY_PREFIX) or not isinstance(value, str):
        return value
    tag, rest = value[0], value[1:]
    return {"b": rest == "1", "t": rest, "j": rest}[tag]


def measuring(numbers: Sequence[int], asked: Measurement) -> Statement:
    """Rows `project, bucket, value, <counts>`; see `Measurement` for which."""
    binder = Binder()
    clauses = [people(binder, numbers, asked.identity) + _events(binder, numbers, asked)]
    if asked.in_sessions:
        clauses += _sessions(asked)
    source = "cut" if asked.in_sessions else "seen"
    totals = _grouped(asked, source, with_bucket=False)
    if asked.by is None:
        rows = _grouped(asked, source, with_bucket=True) if asked.interval else totals
        return binder.statement(f"WITH RECURSIVE {','.join(clauses)}\n{rows}")
    limit = binder.bind(asked.limit + 1)
    clauses.append(f"""
ranked AS (
  SELECT * FROM (
    SELECT totals.*, {_label(asked)} AS value,
           row_number() OVER (PARTITION BY totals.project
             ORDER BY coalesce({_ORDER[asked.order]}, -1) DESC, {_label(asked)}) AS place
      FROM ({totals}) AS totals{_labels(asked)}) WHERE place <= {limit})""")
    if asked.interval is None:
        rows = "SELECT * FROM ranked ORDER BY project, place"
    else:
        kept = _grouped(asked, source, with_bucket=True)
        rows = f"""SELECT kept.*, ranked.value AS value, ranked.place AS place
  FROM ranked CROSS JOIN ({kept}) AS kept
 WHERE kept.project = ranked.project AND kept.grp IS ranked.grp ORDER BY kept.project, ranked.place, kept.bucket"""
    return binder.statement(f"WITH RECURSIVE {','.join(clauses)}\n{rows}")


def counted_rows(asked: Measurement, rows: Sequence[dict[str, Any]]) -> list[Counted]:
    """The rows of `measuring`, or of `rolled_up`, as values of the domain."""
    return [
        Counted(
            project=row["project"],
            bucket=row["bucket"] if asked.interval else None,
            value=plain_value(asked.by, row.get("value")),
            counts=Counts(**{name: row.get(name) or 0 for name in _COUNTS}),
        )
        for row in rows
    ]


def _events(binder: Binder, numbers: Sequence[int], asked: Measurement) -> str:
    """The clause `seen`: the events with what the question asks of each.

    Shape: `hit` the filters let it through; `viewed` it is a pageview; `goal` it is the goal; `grp` its value.
    Without sessions, events that do not count are left out.
    """
    names = None if asked.in_sessions else _names_asked(asked)
    days = ""
    if names is None:
        source = in_window(binder, numbers, asked.window, joined(asked.identity))
    else:
        days, source = named_in_window(binder, numbers, asked.window, names, joined(asked.identity))
        days += ", "
    hit = " AND ".join(holds(binder, one) for one in asked.filters) or "1"
    goal = "0" if asked.goal is None else is_named(binder, asked.goal)
    value = "NULL" if asked.by in SESSION_DIMENSIONS else value_of(binder, asked.by)
    view = is_named(binder, PAGEVIEW)
    bucket = "NULL"
    if asked.interval is not None:
        bucket = bucket_at(binder, asked.timezone, asked.window, asked.interval, "e.ts")
    only = "" if asked.in_sessions or hit == "1" or asked.goal else f" AND {hit}"
    return f"""{days}
seen AS MATERIALIZED (
  SELECT p.value AS project, {who(asked.identity)} AS visitor, e.ts AS ts, e.event AS event,
         {last_tie(asked.identity)} AS name, e.path AS path,
         {bucket} AS bucket, {value} AS grp, {hit if not only else "1"} AS hit, {view} AS viewed, {goal} AS goal
    {source}{only})"""


def _names_asked(asked: Measurement) -> list[str] | None:
    """The only event names that can count, if the filters say so and nothing else has to be looked at."""
    if asked.goal is not None:
        return None
    names = names_filtered(asked.filters)
    if names is not None:
        return names
    views = asked.needs == {"pageviews"} and asked.by is None  # a value without a view is listed, too
    return [PAGEVIEW] if views else None


def names_filtered(filters: Sequence[Filter]) -> list[str] | None:
    """The only event names that filters can let through, if one of them says so."""
    for one in filters:
        if one.field == "event_name" and one.op in ("eq", "in"):
            values = one.value if isinstance(one.value, list) else [one.value]
            return [value for value in values if isinstance(value, str)]
    return None


def is_named(binder: Binder, name: str) -> str:
    return (
        f"e.name IS (SELECT id FROM dictionary WHERE project = p.value AND kind = {KINDS['event_name']}"
        f" AND value = {binder.bind(name)})"
    )


def value_of(binder: Binder, by: str | None) -> str:
    """The value of an event `e` that answers are split by: a dictionary id, a text, or as `PROPERTY_VALUE` has it."""
    if by is None:
        return "NULL"
    if by.startswith(PROPERTY_PREFIX):
        return PROPERTY_VALUE.format(key=binder.bind(by.removeprefix(PROPERTY_PREFIX)))
    return _REFERRER_HOST if by == "referrer_host" else f"e.{COLUMNS[by]}"


def offset_of(binder: Binder, timezone: str, window: Window, instant: str) -> str:
    """Local time minus UTC at an instant, in milliseconds."""
    *changing, last = spans(timezone, window)
    whens = "".join(
        f"WHEN {instant} < {binder.bind(span.end_ms)} THEN CAST({binder.bind(span.offset_ms)} AS INTEGER) "
        for span in changing
    )
    otherwise = f"CAST({binder.bind(last.offset_ms)} AS INTEGER)"
    return f"CASE {whens}ELSE {otherwise} END" if changing else otherwise


def bucket_at(binder: Binder, timezone: str, window: Window, interval: Interval, instant: str) -> str:
    """The key of the bucket that an instant of the window lies in."""
    if interval == "hour":
        return f"{instant} - ({instant} + ({offset_of(binder, timezone, window, instant)})) % {MS_PER_HOUR}"
    return FIRST_DAY[interval].format(day=f"({local_day(binder, timezone, window, instant)})")


def local_day(binder: Binder, timezone: str, window: Window, instant: str) -> str:
    """The number of the local day that an instant of the window lies in."""
    return f"({instant} + ({offset_of(binder, timezone, window, instant)})) / {MS_PER_DAY}"


def sessions_of(source: str) -> str:
    """The clause `visits`: `source` with the number of the visitor's session that each event belongs to."""
    return f"""
visits AS (
  SELECT *, sum(paused) OVER ({VISIT} ROWS UNBOUNDED PRECEDING) AS session FROM (
    SELECT *, coalesce(ts - lag(ts) OVER ({VISIT}) > {SESSION_GAP_MS}, 1) AS paused FROM {source}))"""


def _sessions(asked: Measurement) -> list[str]:
    """`cut`: events with their session, which of its events counts first, and where the session belongs."""
    edge = {"entry_page": "", "exit_page": "DESC"}.get(asked.by or "")
    if edge is None:
        pages, value = "", "grp"
    else:
        pages = f""", max(CASE WHEN viewed AND nth = 1 THEN path END) OVER ({_SESSION}) AS page"""
        value = "page"
    nth = f"row_number() OVER ({_SESSION}, viewed ORDER BY ts {edge or ''}, event {edge or ''}, name {edge or ''})"
    placed = f"SELECT *, {nth} AS nth FROM visits" if edge is not None else "SELECT * FROM visits"
    return [
        sessions_of("seen"),
        f"""
cut AS MATERIALIZED (
  SELECT project, visitor, ts, bucket, {value} AS grp, hit, viewed, goal, session,
         row_number() OVER ({_SESSION}, hit ORDER BY ts, event, name) AS turn
    FROM (SELECT *{pages} FROM ({placed})))""",
    ]


def _grouped(asked: Measurement, source: str, *, with_bucket: bool) -> str:
    """Counts per project, bucket and value: of events, and of sessions where they were cut."""
    with_bucket = with_bucket and asked.interval is not None
    bucket = "bucket" if with_bucket else "NULL"
    keys = f"project, {bucket}, grp"
    won = f"max(hit_goal) OVER (PARTITION BY project, visitor, {bucket})"
    if asked.goal is None:
        flagged, converted = f"SELECT *, 0 AS won FROM {source}", "0"
    else:
        flagged = f"SELECT *, {won} AS won FROM (SELECT *, goal AS hit_goal FROM {source})"
        converted = "count(DISTINCT CASE WHEN won THEN visitor END)"
    events = f"""SELECT project, {bucket} AS bucket, grp, count(*) AS events, count(DISTINCT visitor) AS visitors,
       sum(viewed) AS pageviews, {converted} AS converted, 0 AS sessions, 0 AS viewed, 0 AS bounces, 0 AS engaged,
       0 AS duration_ms
  FROM ({flagged}) WHERE hit GROUP BY {keys}"""
    if not asked.in_sessions:
        return events
    sessions = f"""SELECT project, bucket, grp, 0, 0, 0, 0, count(*), sum(views > 0), sum(views = 1),
       sum(views > 1 OR took > {ENGAGED_MS} OR goals > 0), sum(took)
  FROM (SELECT project, max(CASE WHEN hit AND turn = 1 THEN {bucket} END) AS bucket,
               max(CASE WHEN hit AND turn = 1 THEN grp END) AS grp, max(ts) - min(ts) AS took,
               sum(viewed) AS views, sum(goal) AS goals
          FROM {source} GROUP BY project, visitor, session HAVING max(hit)) GROUP BY {keys}"""
    summed = ", ".join(f"sum({name}) AS {name}" for name in _COUNTS)
    return f"""SELECT project, bucket, grp, {summed}
  FROM ({events} UNION ALL {sessions}) GROUP BY {keys}"""


def _by_text(by: str | None) -> bool:
    """Whether the dimension's values are ids of the dictionary."""
    return by in DIMENSIONS or by in SESSION_DIMENSIONS


def _label(asked: Measurement) -> str:
    return "text.value" if _by_text(asked.by) else "totals.grp"


def _labels(asked: Measurement) -> str:
    return " LEFT JOIN dictionary AS text ON text.id = totals.grp" if _by_text(asked.by) else ""


def let_through(binder: Binder, filters: Sequence[Filter]) -> str:
    """A condition, led by AND, that an event `e` passes every filter."""
    return "".join(f" AND {holds(binder, one)}" for one in filters)
