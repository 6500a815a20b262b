"""The results as Markdown: what `npm run bench` prints, and the generated part of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.programs import ROOT
from bench.storage_part import ESTIMATE

PAGE: Final = ROOT / "docs/performance.md"
BEGIN: Final = "<!-- results: written by npm run bench -->"
END: Final = "<!-- end of results -->"

#: What the goals of tier 1 are about.
_TIER_1: Final = (
    "top_sources, 30 days",
    "visitors by country, 30 days",
    "visitors in total, 30 days",
    "visitors by day, 30 days",
    "compare 20 projects, visitors, 30 days",
)
_FUNNEL: Final = "funnel of 3 steps, 30 days"
_HEAVIEST: Final = "top_sources, 30 days"


def write(state: Path) -> str:
    """Writes what was measured so far into docs/performance.md, and gives it. Absent parts are left out."""
    text = "\n\n".join(_parts(state))
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")
    return text


def machine() -> str:
    """The processors and memory of this machine, and what else it is doing."""
    model = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    if names.exists():
        lines = [line for line in names.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(": ")[1] if lines else model
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{os.cpu_count()} cores ({model}), {platform.system()}; load average {load} over 1, 5, 15 minutes"


def _parts(state: Path) -> Iterable[str]:
    stored = sorted((json.loads(file.read_text()) for file in state.glob("storage-*.json")), key=lambda one: int(one["result"]["events"]))
    for one in stored:
        yield f"### Storage, {one['result']['events']:,} events\n\n{one['at']}, {one['machine']}; {one['result']['runs']} turns after one that is not counted."
        yield _answers(one["result"])
        yield _stored(one["result"])
    requests = state / "requests.json"
    asked = json.loads(requests.read_text()) if requests.exists() else None
    if asked is not None:
        yield f"### The whole request: `top_sources` of 30 days, 20 rows\n\n{asked['at']}, {asked['machine']}."
        yield _requests(asked["result"])
    if stored:
        yield "### Goals\n\n" + _table(("goal", "floor", "target", "reached"), _goals([one["result"] for one in stored], asked))


# --- tables ----------------------------------------------------------------------------------------------------------

_SHOWN: Final = {
    "ours": "ours in D1",
    "sqlite": "ours, engine alone",
    "raw": "our raw scan in D1",
    "duckdb": "DuckDB",
    "clickhouse": "ClickHouse",
    "aggregating exact": "ClickHouse AggMT, exact",
    ESTIMATE: "… estimate",
}


def _answers(result: dict[str, Any]) -> str:
    rows = []
    for name, by in result["answers"].items():
        read = f"{by['ours']['rows_read']:,} / {by['raw']['rows_read']:,}" if "raw" in by else f"{by['ours']['rows_read']:,}"
        wrong = sum(one["differences"] for engine, one in by.items() if engine != ESTIMATE)
        error = f"; estimate up to {by[ESTIMATE]['error']:.1%} off" if by.get(ESTIMATE, {}).get("error") else ""
        rows.append((name, *(_time(by.get(engine)) for engine in _SHOWN), read, ("all equal" if not wrong else f"**{wrong} rows differ**") + error))
    table = _table(("question", *_SHOWN.values(), "rows read, ours / raw", "answers"), rows)
    ratios = [
        (name, *(_times(by, engine) for engine in ("raw", "duckdb", "clickhouse", "aggregating exact", ESTIMATE)), *(_times(by, engine, "cpu_ms") for engine in ("raw", "duckdb", "clickhouse")), _time(by["tool"]))
        for name, by in result["answers"].items()
    ]
    heads = ("question", "raw scan", "DuckDB", "ClickHouse", "AggMT exact", "AggMT estimate", "raw, CPU", "DuckDB, CPU", "ClickHouse, CPU", "the whole tool call")
    return (
        f"Milliseconds, median (least–most):\n\n{table}\n\n"
        "How many times as long as ours the others take. The raw scan is compared in D1; DuckDB and ClickHouse, which are "
        "timed inside their own process, with our engine alone; CPU adds up all threads. Last, our tool over HTTP: Python, "
        f"the check of the key, the fold and D1 included.\n\n{_table(heads, ratios)}"
    )


def _time(measured: dict[str, Any] | None) -> str:
    if not measured or not measured["ms"]:
        return "–"
    least, middle, most = _spread(measured["ms"])
    return f"{_short(middle)} ({_short(least)}–{_short(most)})"


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def median(values: Sequence[float]) -> float:
    return _spread(values)[1]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(by: dict[str, Any], engine: str, key: str = "ms") -> float | None:
    """How many times as long as ours an engine takes; the raw scan runs in D1, and is compared with ours there."""
    mine, theirs = by["ours" if engine == "raw" else "sqlite"], by.get(engine)
    if not theirs or not theirs[key] or not median(mine[key]):
        return None
    return median(theirs[key]) / median(mine[key])


def _times(by: dict[str, Any], engine: str, key: str = "ms") -> str:
    found = ratio(by, engine, key)
    return "–" if found is None else f"{_short(found)}×"


def _stored(result: dict[str, Any]) -> str:
    loaded, events = result["loaded"], result["events"]
    http, direct, others = loaded["http"], loaded["direct"]["p01"], loaded["direct"]["others"]
    total = direct["events"] + others["events"]
    rows = [
        ("bytes an event, everything included", f"{loaded['bytes'] / events:.0f}"),
        *((f"… {name}", f"{one['bytes'] / events:.0f}") for name, one in result["rivals"].items()),
        ("rows written an event, 1,000 of a busy project at a time", f"{_per(direct, 'rows_written'):.2f}"),
        (f"… of a project with {others['events'] // 19:,} events in {result['days']} days", f"{_per(others, 'rows_written'):.2f}"),
        ("rows read an event by the fold, busy project", f"{_per(direct, 'rows_read'):.0f}"),
        (f"events a second through POST /v1/batch ({http['events']:,} in {http['batches']} requests, {http['refused']} told to wait)", f"{http['events'] / http['seconds']:,.0f}"),
        ("… CPU of the whole Worker for 1,000 events, folded", f"{http['cpu_s'] * 1e6 / http['events']:,.0f} ms"),
        (f"events a second through the same statements without HTTP ({total:,})", f"{total / loaded['direct_s']:,.0f}"),
        *((f"seconds to load {name}", f"{one['load_s']:.1f}") for name, one in result["rivals"].items()),
    ]
    return "Storing them:\n\n" + _table(("", ""), rows)


def _per(written: dict[str, Any], key: str) -> float:
    return float(written[key] / max(1, written["events"]))


_SERVERS: Final = {"ours": "ours: Python Worker, workerd", "typescript": "TypeScript SDK, workerd", "fastmcp": "FastMCP, uvicorn"}


def _requests(result: dict[str, Any]) -> str:
    rows = []
    for name, shown in _SERVERS.items():
        one = result[name]
        for connections, load in one["loads"].items():
            least, middle, most = _spread(load["per_second"])
            rows.append(
                (
                    shown, connections, f"{middle:,.0f} ({least:,.0f}–{most:,.0f})", _short(median(load["p50_ms"])), _short(median(load["p99_ms"])),
                    _short(median(load["cpu_ms"])), f"{one['resident_mb']:.0f}", f"{median(one['cold_ms']) / 1000:.1f}",
                )
            )  # fmt: skip
    heads = ("server", "connections", "requests a second", "p50 ms", "p99 ms", "CPU ms a call", "memory MB", "cold start s")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


# --- goals -----------------------------------------------------------------------------------------------------------


def _goals(results: list[dict[str, Any]], asked: dict[str, Any] | None) -> list[tuple[str, str, str, str]]:
    """The goals beside what the largest run reached."""
    largest = results[-1]
    answers, loaded = largest["answers"], largest["loaded"]
    at = f"{largest['events'] // 1_000_000} M" if largest["events"] >= 1_000_000 else f"{largest['events']:,}"
    funnel = answers[_FUNNEL]
    rows = [
        (f"whole days, to our own raw scan (in D1, at {at})", "≥ 200×", "≥ 1,000×", _range(answers, "raw")),
        ("… to DuckDB", "≥ 20×", "≥ 75×", _range(answers, "duckdb")),
        ("… to ClickHouse, raw", "≥ 20×", "≥ 75×", _range(answers, "clickhouse")),
        ("… to ClickHouse, AggregatingMergeTree, exact", "≥ 5×", "≥ 25×", _range(answers, "aggregating exact")),
        ("rows read, 30 days, 64 groups", "≤ 10 k", "≤ 4 k", f"{answers[_HEAVIEST]['ours']['rows_read']:,}"),
        ("growth of time and rows from 1 M to 10 M", "≤ 1.5×", "≤ 1.1×", _growth(results)),
        ("rows that differ between engines", "0", "0", str(_differences(results))),
        ("funnel of 3, rows to window SQL", "≥ 10× fewer", "≥ 20× fewer", f"{funnel['raw']['rows_read'] / max(1, funnel['ours']['rows_read']):.1f}×"),
        ("funnel of 3, time to window SQL", "≥ 5×", "≥ 12×", _times(funnel, "raw")),
        ("funnel of 3, CPU to ClickHouse windowFunnel", "≤ 3×", "≤ 1.5×", _inverse(ratio(funnel, "clickhouse", "cpu_ms"))),
        ("rows written an event, one busy project", "≤ 2.5", "≤ 1.75", f"{_per(loaded['direct']['p01'], 'rows_written'):.2f}"),
        ("rows read an event by the fold", "≤ 110", "≤ 50", f"{_per(loaded['direct']['p01'], 'rows_read'):.0f}"),
        ("bytes an event", "≤ 220", "≤ 180", f"{loaded['bytes'] / largest['events']:.0f}"),
    ]  # fmt: skip
    return [*rows, *([] if asked is None else _request_goals(asked["result"]))]


def _request_goals(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    def of(name: str, key: str) -> float:
        return median(result[name]["loads"]["16"][key])

    return [
        ("CPU of a tool call, all of workerd, 16 connections", "≤ 10 ms", "≤ 3 ms", f"{of('ours', 'cpu_ms'):.1f} ms"),
        ("… FastMCP, TypeScript SDK", "", "more than ours", f"{of('fastmcp', 'cpu_ms'):.1f} ms, {of('typescript', 'cpu_ms'):.1f} ms"),
        ("requests a second, 16 connections", "", "more than FastMCP", f"{of('ours', 'per_second'):,.0f}; FastMCP {of('fastmcp', 'per_second'):,.0f}, TypeScript SDK {of('typescript', 'per_second'):,.0f}"),
    ]  # fmt: skip


def _range(answers: dict[str, Any], engine: str) -> str:
    """Least to most over the questions of tier 1."""
    found = [one for name in _TIER_1 if (one := ratio(answers[name], engine)) is not None]
    return f"{_short(min(found))}× to {_short(max(found))}×" if found else "not measured"


def _growth(results: list[dict[str, Any]]) -> str:
    if len(results) < 2:
        return "not measured (`--full`)"
    small, large = results[-2]["answers"], results[-1]["answers"]
    time = [median(large[one]["sqlite"]["ms"]) / median(small[one]["sqlite"]["ms"]) for one in _TIER_1]
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


def _inverse(value: float | None) -> str:
    return "not measured" if not value else f"{1 / value:.1f}×"
