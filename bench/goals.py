"""The goals of the project beside what was reached; where a goal is missed or a rival is ahead, it says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.figures import ByEngine, median, per_event, ratio, short
from bench.storage_part import ESTIMATE

Goal = tuple[str, str, str, str]

#: What the goals of tier 1 are about: exact visitors.
_TIER_1: Final = (
    "top_sources, 30 days",
    "visitors by country, 30 days",
    "visitors in total, 30 days",
    "visitors by day, 30 days",
    "compare 20 projects, visitors, 30 days",
)
#: Events alone, which every engine counts fast; of paths there are thousands, each a row to read.
_COUNTS: Final = ("events by name, 30 days", "events by path, 30 days")
_FUNNEL: Final = "funnel of 3 steps, 30 days"
_HEAVIEST: Final = "top_sources, 30 days"


def storage_goals(results: list[dict[str, Any]]) -> list[Goal]:
    """Of the largest run; growth from the one before it."""
    largest = results[-1]
    answers, loaded = largest["answers"], largest["loaded"]
    busy, funnel = loaded["direct"]["p01"], answers[_FUNNEL]
    fewer = funnel["raw"]["rows_read"] / max(1, funnel["ours"]["rows_read"])
    return [
        (
            f"tier 1 to our own raw scan, {size(largest['events'])} events",
            "≥ 200×",
            "≥ 1,000×",
            _range(answers, "raw"),
        ),
        ("tier 1 to DuckDB", "≥ 20×", "≥ 75×", _range(answers, "duckdb")),
        ("tier 1 to ClickHouse", "≥ 20×", "≥ 75×", _range(answers, "clickhouse")),
        ("tier 1 to ClickHouse AggMT, exact", "≥ 5×", "≥ 25×", _range(answers, "aggregating exact")),
        (
            "counts by name and by path, to our own raw scan",
            "≥ 200×",
            "≥ 1,000×",
            _range(answers, "raw", _COUNTS),
        ),
        ("… to DuckDB", "≥ 20×", "≥ 75×", _range(answers, "duckdb", _COUNTS)),
        ("… to ClickHouse", "≥ 20×", "≥ 75×", _range(answers, "clickhouse", _COUNTS)),
        (
            "rows read, top_sources of 30 days",
            "≤ 10 k",
            "≤ 4 k",
            f"{answers[_HEAVIEST]['ours']['rows_read']:,}",
        ),
        (f"growth of tier 1 {_span(results)}", "≤ 1.5×", "≤ 1.1×", _growth(results)),
        ("rows that differ between engines", "0", "0", str(_differences(results))),
        ("funnel of 3, rows to window SQL", "≥ 10× fewer", "≥ 20× fewer", f"{fewer:.1f}× fewer"),
        ("funnel of 3, time to window SQL", "≥ 5×", "≥ 12×", _both(funnel, "raw")),
        ("funnel of 3, our CPU to ClickHouse's", "≤ 3×", "≤ 1.5×", _ours_to(funnel, "clickhouse")),
        ("rows written an event, busy project", "≤ 2.5", "≤ 1.75", f"{per_event(busy, 'rows_written'):.2f}"),
        ("rows read an event by the fold", "≤ 110", "≤ 50", f"{per_event(busy, 'rows_read'):.0f}"),
        ("bytes an event", "≤ 220", "≤ 180", f"{loaded['bytes'] / largest['events']:.0f}"),
    ]


def request_goals(result: dict[str, Any]) -> list[Goal]:
    """Under 16 connections."""
    cpu, answered = (
        {name: median(one["loads"]["16"][key]) for name, one in result.items()}
        for key in ("cpu_ms", "per_second")
    )
    layer = cpu["ours"] - cpu["bare javascript"]
    return [
        (
            "CPU of protocol, key and Python: a call less the statement asked by a bare Worker in JavaScript",
            "≤ 10 ms",
            "≤ 3 ms",
            f"{layer:.1f} ms of {cpu['ours']:.1f} ms",
        ),
        ("… less than FastMCP", "", "yes", _compared(cpu, "fastmcp", "ms", less=True)),
        ("… TypeScript SDK", "", "", _compared(cpu, "typescript", "ms", less=True)),
        ("requests a second, more than FastMCP", "", "yes", _compared(answered, "fastmcp", "/s", less=False)),
        ("… TypeScript SDK", "", "", _compared(answered, "typescript", "/s", less=False)),
    ]


def size(events: int) -> str:
    return f"{events // 1_000_000} M" if events >= 1_000_000 else f"{events:,}"


def _compared(values: dict[str, float], rival: str, unit: str, *, less: bool) -> str:
    mine, theirs = values["ours"], values[rival]
    better = mine < theirs if less else mine > theirs
    factor = max(mine, theirs) / max(1e-9, min(mine, theirs))
    verdict = "ours is ahead" if better else "**behind**"
    return f"{verdict}: {short(mine)} {unit} to {short(theirs)} {unit}, {factor:.1f}×"


def _range(answers: dict[str, ByEngine], engine: str, asked: Sequence[str] = _TIER_1) -> str:
    """Least to most over the questions: by the medians, and by the least times, which disturb others less."""
    by_median, by_least = (
        [one for name in asked if (one := ratio(answers[name], engine, of=of)) is not None]
        for of in (median, min)
    )
    if not by_median:
        return "not measured"
    return f"{_from_to(by_median)}; least times {_from_to(by_least)}"


def _from_to(values: list[float]) -> str:
    return f"{short(min(values))}× to {short(max(values))}×"


def _both(by: ByEngine, engine: str) -> str:
    return f"{short(ratio(by, engine) or 0)}×; least times {short(ratio(by, engine, of=min) or 0)}×"


def _ours_to(by: ByEngine, engine: str) -> str:
    found = ratio(by, engine, "cpu_ms")
    return "not measured" if not found else f"{1 / found:.1f}×"


def _span(results: list[dict[str, Any]]) -> str:
    sizes = [size(one["events"]) for one in results] if len(results) > 1 else ["1 M", "10 M"]
    return f"from {sizes[0]} to {sizes[-1]}"


def _growth(results: list[dict[str, Any]]) -> str:
    if len(results) < 2:
        return "not measured (`--full`)"
    small, large = results[0]["answers"], results[-1]["answers"]
    time = [min(large[one]["sqlite"]["ms"]) / min(small[one]["sqlite"]["ms"]) for one in _TIER_1]
    rows = [large[one]["ours"]["rows_read"] / small[one]["ours"]["rows_read"] for one in _TIER_1]
    return f"time {min(time):.2f}× to {max(time):.2f}×, rows {min(rows):.2f}× to {max(rows):.2f}×"


def _differences(results: list[dict[str, Any]]) -> int:
    return sum(
        one["differences"]
        for result in results
        for by in result["answers"].values()
        for engine, one in by.items()
        if engine != ESTIMATE
    )
