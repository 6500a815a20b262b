"""The questions of the benchmark: how our tools, our SQL, our own raw scan, DuckDB and ClickHouse are each asked, and how
their answers are brought into one form to be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from analytics.questions import (
    ComparisonQuestion,
    EventsQuestion,
    FunnelQuestion,
    SourcesQuestion,
    StatsQuestion,
)
from analytics.window import MS_PER_DAY, format_instant
from bench.data import FUNNEL
from storage import event_stats
from storage.counting import Counted, Counting
from storage.counting_rows import event_rows
from storage.database import Statement
from storage.event_funnel import select_funnel
from storage.event_rows import select_events
from storage.event_stats import counted, plan_comparison, plan_sources, plan_stats
from storage.funnel_sparse import select_sparse_funnel
from storage.sql_parts import Binder, in_window

Rows = list[dict[str, Any]]
Canonical = list[tuple[Any, ...]]

_ASKED_AT_MS: Final = 15 * 3_600_000 + 20 * 60_000
_CONVERSION_DAYS: Final = 7
_LATEST: Final = 50
#: All rows there are: of columns with few values, as most questions are asked, and of the others.
_FEW_ROWS: Final = 200
_ALL_ROWS: Final = 1_000


@dataclass(frozen=True)
class Question:
    """One question. Shape: `columns` are what is compared; `rivals` holds the SQL by engine; `raw` is None where
    the plain answer already reads the events themselves."""

    name: str
    tool: str
    arguments: dict[str, Any]
    columns: tuple[str, ...]
    ours: Statement
    raw: Statement | None
    rivals: dict[str, str]
    whole_days: bool = True
    path: str = "/mcp"
    ordered: bool = False


def canonical(question: Question, rows: Rows, slugs: dict[int, str]) -> Canonical:
    """An answer as sorted tuples of the question's columns; steps and projects without anybody left out."""
    found = [tuple(_plain(name, row, slugs) for name in question.columns) for row in rows]
    if question.tool in ("funnel", "compare_projects"):
        found = [row for row in found if row[-1]]
    return sorted(found, key=repr)


def differences(expected: Canonical, given: Canonical) -> int:
    """How many rows are in one answer and not in the other."""
    ours, theirs = Counter(expected), Counter(given)
    return ((ours - theirs) + (theirs - ours)).total()


def _plain(name: str, row: dict[str, Any], slugs: dict[int, str]) -> Any:
    if name == "slug" and "slug" not in row:
        return slugs[row["project"]]
    if name == "timestamp" and "timestamp" not in row:
        return format_instant(row["at"] if "at" in row else row["ts"])
    value = row[name]
    if name == "bucket":
        return format_instant(value)[:10] if isinstance(value, int) else str(value)[:10]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and name in _NUMBERS else value


_NUMBERS: Final = frozenset({"events", "uniques", "value", "visitors", "step"})


def questions(end_day: int, first: int, numbers: Sequence[int]) -> list[Question]:
    """All questions of the 30 or 7 days before `end_day`; `first` is the number of p01, `numbers` those of all."""
    month = _window((end_day - 30) * MS_PER_DAY, end_day * MS_PER_DAY)
    week = _window((end_day - 7) * MS_PER_DAY, end_day * MS_PER_DAY)
    asked = (end_day - 1) * MS_PER_DAY + _ASKED_AT_MS
    rolling = _window(asked - 7 * MS_PER_DAY, asked)
    return [
        _sources("top_sources, 30 days", month, first),
        _sources("top_sources, 7 days", week, first),
        _sources("top_sources, last 7 days asked at 15:20", rolling, first, whole_days=False),
        _stats("visitors by country, 30 days", month, first, ("country",), "uniques", "daily_countries"),
        _stats("visitors in total, 30 days", month, first, (), "uniques", "daily_totals"),
        _stats("visitors by day, 30 days", month, first, (), "uniques", "daily_totals", interval="day"),
        _compare("compare 20 projects, visitors, 30 days", month, numbers),
        _stats("events by name, 30 days", month, first, ("event_name",), "count"),
        _stats("events by path, 30 days", month, first, ("path",), "count"),
        _stats("visitors by source × country, 30 days", month, first, ("source", "country"), "uniques"),
        _funnel("funnel of 3 steps, 30 days", month, first, (FUNNEL[0], FUNNEL[2], FUNNEL[4])),
        _funnel("funnel of 5 steps, 30 days", month, first, FUNNEL),
        _latest(f"latest {_LATEST} events", month, first),
    ]


Window = tuple[int, int]


def _window(start: int, end: int) -> Window:
    return start, end


def _texts(window: Window) -> dict[str, Any]:
    return {"from": format_instant(window[0]), "to": format_instant(window[1])}


def _asked(model: type[Any], arguments: dict[str, Any]) -> Any:
    return model.model_validate(arguments, context={"now_ms": 0})


# --- our own raw scan ------------------------------------------------------------------------------------------------


def _raw_counted(binder: Binder, counting: Counting) -> Counted:
    """What the planner falls back to when no roll-up can answer."""
    return event_rows(counting, in_window(binder, counting.numbers, counting.window))


def _both(plan: Callable[[], Any]) -> tuple[Statement, Statement]:
    """A question's statement as planned, and the same from single events only."""
    planned = plan().statement
    with patch.object(event_stats, counted.__name__, _raw_counted):
        return planned, plan().statement


# --- the questions ---------------------------------------------------------------------------------------------------

#: How each engine writes an instant in milliseconds, and the day of `ts`.
_INSTANT: Final = {"duckdb": "make_timestamp({} * 1000)", "clickhouse": "fromUnixTimestamp64Milli({})"}
_MILLISECONDS: Final = {"duckdb": "epoch_ms(ts)", "clickhouse": "toUnixTimestamp64Milli(ts)"}


def _where(engine: str, window: Window, project: bool = True) -> str:
    start, end = (_INSTANT[engine].format(at) for at in window)
    return f"WHERE {'project = ' + chr(39) + 'p01' + chr(39) + ' AND ' if project else ''}ts >= {start} AND ts < {end}"


def _days(window: Window) -> str:
    start, end = (format_instant(at)[:10] for at in window)
    return f"day >= '{start}' AND day < '{end}'"


def _sources(name: str, window: Window, first: int, whole_days: bool = True) -> Question:
    arguments = {**_texts(window), "breakdown": "source_medium", "limit": 200}
    asked = _asked(SourcesQuestion, arguments)
    ours, raw = _both(lambda: plan_sources([first], asked))
    rivals = {
        engine: "SELECT source, medium, count(*) AS events, count(DISTINCT anonymous_id) AS uniques FROM events "
        f"{_where(engine, window)} GROUP BY source, medium ORDER BY events DESC, source, medium"
        for engine in _INSTANT
    }
    if whole_days:
        for engine, state in _STATES.items():
            rivals[engine] = (
                f"SELECT source, medium, sum(daily_sources.events) AS events, {state} AS uniques FROM daily_sources "
                f"WHERE project = 'p01' AND {_days(window)} GROUP BY source, medium ORDER BY events DESC, source, medium"
            )
    columns = ("source", "medium", "events", "uniques")
    return Question(name, "top_sources", arguments, columns, ours, raw, rivals, whole_days)


#: ClickHouse's own roll-up (AggregatingMergeTree), exact and estimated.
_STATES: Final = {"aggregating exact": "uniqExactMerge(exact)", "aggregating estimate": "uniqMerge(estimate)"}


def _stats(
    name: str,
    window: Window,
    first: int,
    columns: tuple[str, ...],
    metric: str,
    rolled_up: str | None = None,
    interval: str | None = None,
) -> Question:
    limit = _FEW_ROWS if columns in ((), ("country",), ("event_name",)) else _ALL_ROWS
    arguments: dict[str, Any] = {**_texts(window), "metric": metric, "limit": limit}
    arguments |= {"group_by": list(columns)} if columns else {}
    arguments |= {"interval": interval} if interval else {}
    asked = _asked(StatsQuestion, arguments)
    ours, raw = _both(lambda: plan_stats([first], asked, by_project=False))
    value = "count(DISTINCT anonymous_id)" if metric == "uniques" else "count(*)"
    rivals = {
        engine: _grouped(columns, interval, value, "CAST(ts AS DATE)", f"events {_where(engine, window)}")
        for engine in _INSTANT
    }
    if rolled_up:
        for engine, state in _STATES.items():
            rivals[engine] = _grouped(
                columns, interval, state, "day", f"{rolled_up} WHERE project = 'p01' AND {_days(window)}"
            )
    return Question(
        name,
        "get_stats",
        arguments,
        (("bucket",) if interval else ()) + (*columns, "value"),
        ours,
        raw,
        rivals,
    )


def _grouped(columns: Sequence[str], interval: str | None, value: str, day: str, source: str) -> str:
    keys = [*(["bucket"] if interval else []), *columns]
    shown = [*([f"{day} AS bucket"] if interval else []), *columns, f"{value} AS value"]
    grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
    order = [*(["bucket"] if interval else []), "value DESC", *columns]
    return f"SELECT {', '.join(shown)} FROM {source}{grouped} ORDER BY {', '.join(order)} LIMIT {_ALL_ROWS}"


def _compare(name: str, window: Window, numbers: Sequence[int]) -> Question:
    arguments = {**_texts(window), "metric": "uniques"}
    asked = _asked(ComparisonQuestion, arguments)
    ours, raw = _both(lambda: plan_comparison(numbers, asked))
    rivals = {
        engine: "SELECT project AS slug, count(DISTINCT anonymous_id) AS value FROM events "
        f"{_where(engine, window, project=False)} GROUP BY project"
        for engine in _INSTANT
    }
    for engine, state in _STATES.items():
        rivals[engine] = (
            f"SELECT project AS slug, {state} AS value FROM daily_totals WHERE {_days(window)} GROUP BY project"
        )
    return Question(
        name, "compare_projects", arguments, ("slug", "value"), ours, raw, rivals, path="/mcp/account"
    )


def _funnel(name: str, window: Window, first: int, steps: Sequence[str]) -> Question:
    arguments = {
        **_texts(window),
        "steps": [{"event": step} for step in steps],
        "conversion_window_days": _CONVERSION_DAYS,
    }
    asked = _asked(FunnelQuestion, arguments)
    named = f"event_name IN ({', '.join(map(_quoted, steps))})"
    span = _CONVERSION_DAYS * MS_PER_DAY
    conditions = ", ".join(f"event_name = {_quoted(step)}" for step in steps)
    clickhouse = (
        "SELECT step, count() AS visitors FROM ("
        f"SELECT windowFunnel({span})(toUInt64({_MILLISECONDS['clickhouse']}), {conditions}) "
        f"AS level FROM events {_where('clickhouse', window)} AND {named} GROUP BY anonymous_id) "
        f"ARRAY JOIN range(1, toUInt32(level) + 1) AS step GROUP BY step ORDER BY step"
    )
    rivals = {
        "duckdb": _windowed_funnel(steps, span, f"events {_where('duckdb', window)} AND {named}"),
        "clickhouse": clickhouse,
    }
    return Question(
        name, "funnel", arguments, ("step", "visitors"),
        select_sparse_funnel([first], asked), select_funnel([first], asked), rivals,
    )  # fmt: skip


def _windowed_funnel(steps: Sequence[str], span: int, source: str) -> str:
    before = "(PARTITION BY v ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    parts = [
        "c1 AS (SELECT anonymous_id AS v, epoch_ms(ts) AS t, event_name AS n, "
        f"CASE WHEN event_name = {_quoted(steps[0])} THEN epoch_ms(ts) END AS b1 FROM {source})"
    ]
    parts += [
        f"c{k} AS (SELECT *, CASE WHEN n = {_quoted(step)} AND t - p{k} <= {span} THEN p{k} END AS b{k} "
        f"FROM (SELECT *, max(b{k - 1}) OVER {before} AS p{k} FROM c{k - 1}))"
        for k, step in enumerate(steps[1:], start=2)
    ]
    places = range(1, len(steps) + 1)
    counts = ", ".join(f"count(DISTINCT v) FILTER (b{k} IS NOT NULL)" for k in places)
    reached = f"SELECT unnest({list(places)}) AS step, unnest([{counts}]) AS visitors FROM c{len(steps)}"
    return f"WITH {', '.join(parts)} {reached}"


def _latest(name: str, window: Window, first: int) -> Question:
    arguments = {**_texts(window), "limit": _LATEST}
    rivals = {
        engine: f"SELECT {_MILLISECONDS[engine]} AS at, event_name, country, path FROM events {_where(engine, window)} "
        f"ORDER BY ts DESC LIMIT {_LATEST}"
        for engine in _INSTANT
    }
    asked = _asked(EventsQuestion, arguments)
    columns = ("timestamp", "event_name", "country", "path")
    return Question(name, "query_events", arguments, columns, select_events(first, asked), None, rivals)


def _quoted(text: str) -> str:
    return f"'{text}'"


def limited(question: Question, rows: Rows) -> Rows:
    """Our SQL asks for one row more than the limit, to see whether it cut."""
    return rows[: question.arguments.get("limit", len(rows))]


def worst_error(exact: Canonical, estimated: Canonical) -> float:
    """The largest relative error of the last column between answers whose other columns agree."""
    known = {row[:-1]: row[-1] for row in exact}
    errors: Iterable[float] = (
        abs(row[-1] - known[row[:-1]]) / known[row[:-1]] for row in estimated if known.get(row[:-1])
    )
    return max(errors, default=0.0)
