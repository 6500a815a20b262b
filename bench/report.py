"""The results as Markdown: what `npm run bench` prints, and the generated part of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.data import PROJECTS
from bench.figures import ByEngine, median, per_event, put_between, short, spread, table, time, times
from bench.goals import request_goals, size, storage_goals
from bench.programs import ROOT
from bench.storage_part import ESTIMATE

PAGE: Final = ROOT / "docs/performance.md"
BEGIN: Final = "<!-- results: written by npm run bench -->"
END: Final = "<!-- end of results -->"
#: Fewer events are a try, which is printed and not kept.
SMALLEST: Final = 1_000_000

_ENGINES: Final = {
    "ours": "ours in D1",
    "sqlite": "ours, engine alone",
    "raw": "our raw scan in D1",
    "duckdb": "DuckDB",
    "clickhouse": "ClickHouse",
    "aggregating exact": "AggMT, exact",
    ESTIMATE: "AggMT, estimate",
}
_SERVERS: Final = {
    "ours": "ours: Python Worker, workerd",
    "typescript": "TypeScript SDK, workerd",
    "fastmcp": "FastMCP, uvicorn",
    "bare javascript": "the statement alone, JavaScript, workerd",
    "bare python": "the statement alone, Python, workerd",
}


def text(state: Path, sizes: Sequence[int]) -> str:
    """What was measured of these numbers of events. Absent parts are left out."""
    return "\n\n".join(_parts(state, sizes))


def kept(state: Path) -> list[int]:
    """The numbers of events whose results are worth keeping: a million or more."""
    found = [int(file.stem.partition("-")[2]) for file in state.glob("storage-*.json")]
    return sorted(events for events in found if events >= SMALLEST)


def write(text: str, page: Path = PAGE) -> None:
    """Puts the results into the page."""
    put_between(BEGIN, text, END, page)


def machine() -> str:
    """The processors of this machine, and what else it is doing."""
    model = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = [line for line in about.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(": ")[1] if lines else model
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()}; load average {load} over 1, 5 and 15 minutes"
    )


def _parts(state: Path, sizes: Sequence[int]) -> Iterator[str]:
    stored, asked = (
        [json.loads(file.read_text()) for size in sizes if (file := state / f"{part}-{size}.json").exists()]
        for part in ("storage", "requests")
    )
    for one in stored:
        result = one["result"]
        yield f"### Storage, {size(result['events'])} events"
        yield f"{one['at']}, {one['machine']}. {result['runs']} turns after one that is not counted."
        yield from _answers(result["answers"])
        yield f"Storing them:\n\n{_stored(result)}"
    for one in asked[:1]:
        yield "### The whole request: `top_sources` of 30 days, 20 rows"
        yield f"{one['at']}, {one['machine']}."
        yield _requests(one["result"])
    if stored:
        goals = storage_goals([one["result"] for one in stored])
        goals += request_goals(asked[0]["result"]) if asked else []
        yield "### Goals"
        yield table(("goal", "floor", "target", "reached"), goals)


def _answers(answers: dict[str, ByEngine]) -> Iterator[str]:
    yield "Milliseconds, median (least–most):"
    yield table(
        ("question", *_ENGINES.values(), "answers"),
        [
            (name, *(time(by.get(engine)) for engine in _ENGINES), _equality(by))
            for name, by in answers.items()
        ],
    )
    yield (
        "How many times as long as ours the others take; bold where they are faster. The raw scan is compared in D1; "
        "DuckDB and ClickHouse, which are timed inside their own process, with our engine alone. CPU adds up all threads "
        "and is disturbed least. The tool call is ours over HTTP, in milliseconds: Python, the check of the key, the fold "
        "and D1 included."
    )
    heads = (
        "raw",
        "DuckDB",
        "ClickHouse",
        "AggMT exact",
        "AggMT estimate",
        "CPU: raw",
        "DuckDB",
        "ClickHouse",
    )
    yield table(
        ("question", *heads, "rows read: ours", "raw", "tool call"),
        [(name, *_ratios(by), *_rows_read(by), time(by["tool"])) for name, by in answers.items()],
    )


def _equality(by: ByEngine) -> str:
    wrong = sum(one["differences"] for engine, one in by.items() if engine != ESTIMATE)
    error = by.get(ESTIMATE, {}).get("error")
    return ("all equal" if not wrong else f"**{wrong} rows differ**") + (
        f"; estimate {error:.1%} off" if error else ""
    )


def _ratios(by: ByEngine) -> Iterator[str]:
    for engine in ("raw", "duckdb", "clickhouse", "aggregating exact", ESTIMATE):
        yield times(by, engine)
    for engine in ("raw", "duckdb", "clickhouse"):
        yield times(by, engine, "cpu_ms")


def _rows_read(by: ByEngine) -> Iterator[str]:
    for engine in ("ours", "raw"):
        yield f"{by[engine]['rows_read']:,}" if engine in by else "–"


def _stored(result: dict[str, Any]) -> str:
    loaded, rivals = result["loaded"], result["rivals"]
    http, busy, others = loaded["http"], loaded["direct"]["p01"], loaded["direct"]["others"]
    added = loaded["added_up"]
    quiet = others["events"] // (PROJECTS - 1)
    total = busy["events"] + others["events"]
    posted = f"{http['events']:,} in {http['batches']} requests, {http['refused']} told to wait"
    rows = [
        ("bytes an event, everything included", f"{loaded['bytes'] / result['events']:.0f}"),
        *((f"… {name}", f"{one['bytes'] / result['events']:.0f}") for name, one in rivals.items()),
        (
            "rows written an event, 1,000 of the busy project at a time",
            f"{per_event(busy, 'rows_written'):.2f}",
        ),
        (
            f"… of a project with {quiet:,} events in {result['days']} days",
            f"{per_event(others, 'rows_written'):.2f}",
        ),
        ("rows read an event by the fold, busy project", f"{per_event(busy, 'rows_read'):.0f}"),
        (
            f"rows written by adding up {added['octets']} times eight days, and for how many events one",
            f"{added['rows_written']:,}; {result['events'] / max(1, added['rows_written']):,.0f}",
        ),
        (
            "… milliseconds for eight days of a project",
            f"{added['seconds'] * 1000 / max(1, added['octets']):.0f}",
        ),
        (f"events a second through POST /v1/batch ({posted})", f"{http['events'] / http['seconds']:,.0f}"),
        ("… CPU for 1,000 events, folded", f"{http['cpu_s'] * 1e6 / http['events']:,.0f} ms"),
        (
            f"events a second by the same statements without HTTP ({total:,})",
            f"{total / loaded['direct_s']:,.0f}",
        ),
        *((f"seconds to load {name}", f"{one['load_s']:.1f}") for name, one in rivals.items()),
    ]
    return table(("", ""), rows)


def _requests(result: dict[str, Any]) -> str:
    heads = (
        "server",
        "connections",
        "requests a second",
        "p50 ms",
        "p99 ms",
        "CPU ms a call",
        "memory MB",
        "cold start s",
    )
    return table(
        heads,
        [
            (
                shown,
                connections,
                *_load(load),
                f"{one['resident_mb']:.0f}",
                f"{median(one['cold_ms']) / 1000:.1f}",
            )
            for name, shown in _SERVERS.items()
            for one in [result[name]]
            for connections, load in one["loads"].items()
        ],
    )


def _load(load: dict[str, list[float]]) -> Iterator[str]:
    least, middle, most = map(short, spread(load["per_second"]))
    yield f"{middle} ({least}–{most})"
    for key in ("p50_ms", "p99_ms", "cpu_ms"):
        yield short(median(load[key]))
