"""Counting what measures need, in one statement: events read once, sessions cut by inactivity, both grouped alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.filters import DIMENSIONS, PROPERTY_PREFIX, Filter
from analytics.identity import Identity
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

_NAMES: Final = ("events", "visitors", "pageviews", "converted", "sessions", "viewed", "bounces", "engaged")
_COUNTS: Final = (*_NAMES, "duration_ms")
#: Which of a session's pageviews a dimension is about.
_EDGE: Final = {"entry_page": "min", "exit_page": "max"}
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
        clauses += _sessions(binder, asked)
    totals = _grouped(asked, with_bucket=False)
    if asked.by is None:
        rows = _grouped(asked, with_bucket=True) if asked.interval else totals
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
        kept = _grouped(asked, with_bucket=True)
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
    """The clause `seen`: for each visitor, bucket and value how many events there are, by what the question asks of them.

    Shape: `events` are let through by the filters, `pageviews` of those are pageviews; `views` and `goals` are all pageviews
    and goals. Without sessions, events that do not count are left out. With sessions, half hours of the clock are apart
    (see `sessions_of`); `begun` places the first event that is let through, `page` the first or last pageview.
    """
    names = None if asked.in_sessions else _names_asked(asked)
    known, hit = passes(binder, asked.filters)
    known += named_once(binder, "view", PAGEVIEW)
    known += named_once(binder, "goal", asked.goal) if asked.goal else ""
    days = ""
    if names is None:
        source = in_window(binder, numbers, asked.window, joined(asked.identity), known)
    else:
        days, source = named_in_window(binder, numbers, asked.window, names, joined(asked.identity), known)
        days += ", "
    only = "" if asked.in_sessions or hit == "1" or asked.goal else f" AND {hit}"
    event, apart, counted = _looked_at(binder, asked, "1" if only else hit)
    none = "".join(f", NULL AS {name}" for name in ("bucket", "grp") if name not in apart)
    # The LIMIT keeps the planner from moving the filters into the sums, where each of them would look texts up again.
    return f"""{days}
seen AS (
  SELECT {", ".join(apart)}{none}, {_columns(counted)}
    FROM (SELECT {_columns(event)}
    {source}{only} LIMIT -1)
   GROUP BY {", ".join(apart)})"""


def _looked_at(
    binder: Binder, asked: Measurement, hit: str
) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Of an event: its columns; those that tell the rows of `seen` apart; and what is counted in each."""
    event = {
        "project": "p.value",
        "visitor": who(asked.identity),
        "hit": hit,
        "viewed": "e.name IS view.id",
        "goal": "e.name IS goal.id" if asked.goal else "0",
    }
    apart = ["project", "visitor"]
    counted = {
        "events": "sum(hit)",
        "pageviews": "sum(hit AND viewed)",
        "views": "sum(viewed)",
        "goals": "sum(goal)",
    }
    if asked.interval is not None:
        event["bucket"] = bucket_at(binder, asked.timezone, asked.window, asked.interval, "e.ts")
        apart.append("bucket")
    if _apart(asked):
        event["grp"] = value_of(binder, asked.by)
        apart.append("grp")
    if asked.in_sessions:
        event |= {"ts": "e.ts", "slot": f"e.ts / {SESSION_GAP_MS}"}
        apart.append("slot")
        counted |= {"first": "min(ts)", "last": "max(ts)"}
        if _apart(asked):
            event["place"] = place_of(asked.identity)
            counted["begun"] = "min(CASE WHEN hit THEN place END)"
        else:
            counted["begun"] = "min(CASE WHEN hit THEN ts END)"
        if asked.by in SESSION_DIMENSIONS:
            event["place"] = f"{place_of(asked.identity)} || printf(' %011d', e.path)"
            counted["page"] = f"{_EDGE[asked.by]}(CASE WHEN viewed THEN place END)"
    return event, apart, counted


def _columns(named: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in named.items())


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


def named_once(binder: Binder, alias: str, text: str, kind: str = "event_name") -> str:
    """LEFT JOIN for a source's projects `p`: the id of a text, looked up once a project and not for each event."""
    return f"""
  LEFT JOIN dictionary AS {alias} ON {alias}.project = p.value AND {alias}.kind = {KINDS[kind]}
    AND {alias}.value = {binder.bind(text)}"""


def passes(binder: Binder, filters: Sequence[Filter]) -> tuple[str, str]:
    """What a source's projects have to know, and the condition, 0 or 1, that an event `e` passes every filter."""
    known, conditions = "", []
    for place, one in enumerate(filters):
        if one.op in ("eq", "neq") and one.property_key is None and isinstance(one.value, str):
            known += named_once(binder, f"text{place}", one.value, one.field)
            same = f"coalesce(e.{COLUMNS[one.field]} = text{place}.id, 0)"
            conditions.append(same if one.op == "eq" else f"NOT {same}")
        else:
            conditions.append(holds(binder, one))
    return known, " AND ".join(conditions) or "1"


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


def place_of(identity: Identity) -> str:
    """A text that sorts like the event `e` among its visitor's: by time, event and name, each as wide as any can be."""
    name = last_tie(identity)
    last = f"printf('%011d', {name})" if identity == "visitor" else name
    return f"printf('%015d%019d', e.ts, e.event) || {last}"


def pauses_of(source: str, order: str, more: str = "") -> str:
    """The clause `pauses`: `source` with whether each row begins a session.

    A row is what a visitor did in one half hour of the clock, `first` to `last`: within it no pause can end a session.
    `order` must be a total order of a visitor's rows. `before` is when the visitor was seen last; `more` are columns over
    the same window, `earlier`.
    """
    return f"""
pauses AS (
  SELECT *, coalesce(first - before > {SESSION_GAP_MS}, 1) AS paused FROM (
    SELECT *, max(last) OVER earlier AS before{more} FROM {source}
    WINDOW earlier AS (PARTITION BY project, visitor ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)))"""


def sessions_of(source: str, order: str) -> str:
    """The clauses `pauses` and `visits`: the number of the session that each row belongs to, no two visitors' alike.

    Shape: `took` is by how much the row makes its session longer.
    """
    return f"""{pauses_of(source, order)},
visits AS (
  SELECT *, sum(paused) OVER (ORDER BY project, visitor, {order} ROWS UNBOUNDED PRECEDING) AS session,
         CASE WHEN paused THEN last - first ELSE max(last - before, 0) END AS took FROM pauses)"""


def _sessions(binder: Binder, asked: Measurement) -> list[str]:
    """`visited`: the sessions of `seen`, with the bucket and value they count under, or `begun`, which says where that is.

    The pages of a session are only known once it is cut: `paged` is `seen` with them, where its rows are still needed.
    """
    if _apart(asked):
        slots = """
slots AS (
  SELECT project, visitor, slot, sum(events) AS events, sum(pageviews) AS pageviews, sum(views) AS views,
         sum(goals) AS goals, min(first) AS first, max(last) AS last, min(begun) AS begun
    FROM seen GROUP BY project, visitor, slot)"""
        return [slots, sessions_of("slots", "first"), _visited("visits", "min(begun) AS begun")]
    clauses, source, value = [sessions_of("seen", "first")], "visits", "NULL"
    if asked.by is not None:
        value = _page(asked.by)
    if asked.by is not None and asked.interval is not None:
        source, columns = (
            "paged",
            "project, visitor, session, bucket, events, pageviews, views, goals, took, begun, page",
        )
        own = _page(asked.by, " OVER (PARTITION BY session)")
        clauses.append(f"\npaged AS MATERIALIZED (\n  SELECT {columns}, {own} AS grp FROM visits)")
    bucket = "NULL"
    if asked.interval is not None:
        bucket = bucket_at(binder, asked.timezone, asked.window, asked.interval, "min(begun)")
    return [*clauses, _visited(source, f"{value} AS grp, {bucket} AS bucket")]


def _apart(asked: Measurement) -> bool:
    """Whether the events of one half hour are apart by their value: `seen` then has several rows for it."""
    return asked.by is not None and asked.by not in SESSION_DIMENSIONS


def _visited(source: str, more: str) -> str:
    return f"""
visited AS (
  SELECT project, visitor, sum(events) AS events, sum(pageviews) AS pageviews, sum(views) AS views, sum(goals) AS goals,
         sum(took) AS took, {more}
    FROM {source} GROUP BY session)"""


def _page(by: str, over: str = "") -> str:
    """The path at the end of the first or last `page`; NULL without one."""
    return f"nullif(CAST(substr({_EDGE[by]}(page){over}, -11) AS INTEGER), 0)"


#: What makes a session count as what, by its columns in `visited`.
_SESSION_COUNTS: Final = {
    "sessions": "events > 0",
    "viewed": "events > 0 AND views > 0",
    "bounces": "events > 0 AND views = 1",
    "engaged": f"events > 0 AND (views > 1 OR took > {ENGAGED_MS} OR goals > 0)",
    "duration_ms": "CASE WHEN events > 0 THEN took ELSE 0 END",
}


def _grouped(asked: Measurement, *, with_bucket: bool) -> str:
    """Counts per project, bucket and value: of events, and of sessions where they were cut."""
    bucket = "bucket" if with_bucket and asked.interval is not None else "NULL"
    if not asked.in_sessions:
        return _people(_by_visitor(asked, "seen", bucket, {}), dict.fromkeys(_SESSION_COUNTS, "0"))
    if asked.interval is None and not _apart(asked):
        of_sessions = {name: f"sum({counts})" for name, counts in _SESSION_COUNTS.items()}
        return _people(
            _by_visitor(asked, "visited", "NULL", of_sessions), dict.fromkeys(of_sessions, "sum({})")
        )
    source = "paged" if asked.by in SESSION_DIMENSIONS else "seen"
    events = _people(_by_visitor(asked, source, bucket, {}), dict.fromkeys(_SESSION_COUNTS, "0"))
    began = "visited"
    if _apart(asked):
        began = """(
    SELECT own.project AS project, own.bucket AS bucket, own.grp AS grp, s.events AS events, s.views AS views,
           s.goals AS goals, s.took AS took
      FROM visited AS s CROSS JOIN seen AS own
     WHERE own.project = s.project AND own.visitor = s.visitor AND own.begun = s.begun)"""
    sums = ", ".join(f"sum({counts})" for counts in _SESSION_COUNTS.values())
    summed = ", ".join(f"sum({name}) AS {name}" for name in _COUNTS)
    return f"""SELECT project, bucket, grp, {summed}
  FROM ({events}
   UNION ALL SELECT project, {bucket} AS bucket, grp, 0, 0, 0, 0, {sums}
  FROM {began} WHERE events > 0 GROUP BY project, {bucket}, grp) GROUP BY project, bucket, grp"""


def _people(rows: str, of_sessions: dict[str, str]) -> str:
    """The rows of `_by_visitor` added up per project, bucket and value."""
    sessions = ", ".join(f"{counts.format(name)} AS {name}" for name, counts in of_sessions.items())
    return f"""SELECT project, bucket, grp, sum(events) AS events, count(*) AS visitors, sum(pageviews) AS pageviews,
       sum(won) AS converted, {sessions}
  FROM ({rows}) WHERE events > 0 GROUP BY project, bucket, grp"""


def _by_visitor(asked: Measurement, source: str, bucket: str, more: dict[str, str]) -> str:
    """One row for each visitor of a bucket and value; `won`: they did the goal in that bucket, whatever the value."""
    goals, grouped, counts = "goals", "", "events, pageviews"
    if asked.in_sessions or (asked.interval is not None and bucket == "NULL"):
        goals, counts = "sum(goals)", "sum(events) AS events, sum(pageviews) AS pageviews"
        grouped = f" GROUP BY project, visitor, {bucket}, grp"
    won = "0" if asked.goal is None else f"{goals} > 0"
    if asked.goal is not None and asked.by is not None:
        won = f"max({goals}) OVER (PARTITION BY project, visitor, {bucket}) > 0"
    of_sessions = f", {_columns(more)}" if more else ""
    return f"""SELECT project, visitor, {bucket} AS bucket, grp, {counts}, {won} AS won{of_sessions}
          FROM {source}{grouped}"""


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
