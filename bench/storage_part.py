"""Part 1, the storage: the same events in every engine, the same questions to each, every answer compared."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench import memory
from bench.data import DAYS, Generator
from bench.figures import median
from bench.ours import Ours, Reply, Say
from bench.questions import Question, canonical, differences, limited, questions, worst_error
from bench.rivals import ClickHouse, DuckDb
from storage.fold import fold

RUNS: Final = 9
#: So often our SQL runs in one batch: one run is too short for the clock of a D1 batch.
REPEAT: Final = 20
#: So often an engine is asked in a row, unless that takes longer: whoever is asked once, after everyone else, finds the
#: processor's caches full of what the others read.
IN_A_ROW: Final = 5
ENOUGH_MS: Final = 300
ESTIMATE: Final = "aggregating estimate"

Engines = dict[str, Callable[[Question], Reply]]
#: By question, then by engine.
Answers = dict[str, dict[str, "Measured"]]


@dataclass
class Measured:
    """One question in one engine, run by run. Units: milliseconds; `cpu_ms` over all threads."""

    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rows_read: int = 0
    differences: int = 0
    error: float = 0.0

    def add(self, reply: Reply) -> None:
        self.ms.append(reply.ms)
        self.cpu_ms.append(reply.cpu_ms)
        self.rows_read = reply.rows_read


def measure(
    asked: list[Question], engines: Engines, slugs: dict[int, str], runs: int, say: Say
) -> dict[str, dict[str, Measured]]:
    """Every question to every engine, in turns: what disturbs the machine disturbs all alike. Of each turn the median
    counts of those asked in a row. The first turn is not timed; its answers are compared with those of our own SQL."""
    found: Answers = {question.name: {} for question in asked}
    for run in range(runs + 1):
        say(f"  turn {run} of {runs} …")
        for question in asked:
            expected = None
            for name, engine in engines.items():
                if not can_answer(name, question):
                    continue
                measured = found[question.name].setdefault(name, Measured())
                if run > 0:
                    measured.add(in_a_row(engine, question))
                    continue
                reply = engine(question)
                given = canonical(question, limited(question, reply.rows), slugs)
                expected = given if expected is None else expected
                if name == ESTIMATE:
                    measured.error = worst_error(expected, given)
                else:
                    measured.differences = differences(expected, given)
    return found


def in_a_row(engine: Callable[[Question], Reply], question: Question) -> Reply:
    """The medians of an engine that is asked the same several times; rows of the last answer."""
    began, replies = time.monotonic(), [engine(question)]
    while len(replies) < IN_A_ROW and (time.monotonic() - began) * 1000 < ENOUGH_MS:
        replies.append(engine(question))
    return replace(
        replies[-1],
        ms=median([one.ms for one in replies]),
        cpu_ms=median([one.cpu_ms for one in replies]),
    )


def can_answer(engine: str, question: Question) -> bool:
    if engine == "raw":
        return question.raw is not None
    return engine in ("ours", "tool", "sqlite") or engine in question.rivals


def our_engines(ours: Ours, repeat: int = REPEAT) -> Engines:
    """Ours first: the others' answers are compared with it."""
    return {
        "ours": lambda one: ours.sql(one.ours, repeat if one.raw is None or _is_short(one) else 1),
        "tool": lambda one: ours.tool(one.tool, one.arguments, one.path),
        "sqlite": lambda one: ours.sqlite(one.ours),
        "raw": lambda one: ours.sql(one.raw) if one.raw else Reply([], 0, 0),
    }


def _is_short(question: Question) -> bool:
    return question.tool != "funnel" and "×" not in question.name


def rival_engines(duckdb: DuckDb, clickhouse: ClickHouse | None) -> Engines:
    engines: Engines = {"duckdb": lambda one: duckdb.ask(one.rivals["duckdb"])}
    if clickhouse is not None:
        for name in ("clickhouse", "aggregating exact", ESTIMATE):
            engines[name] = lambda one, name=name: clickhouse.ask(one.rivals[name])  # type: ignore[misc]
    return engines


def write_rows(generator: Generator, file: Path) -> None:
    """All events as the other engines load them."""
    with file.open("w") as lines:
        for event in generator.events():
            lines.write(event.row() + "\n")


@dataclass
class Options:
    """What a run is to do. `http_events` go through POST /v1/batch, the rest through the same statements directly."""

    events: int
    http_events: int
    runs: int
    folder: Path
    node: Path
    end_day: int
    reuse: bool = False


def run(options: Options, say: Say) -> dict[str, Any]:
    """Shape: the result as docs/performance.md is written from it."""
    marker = options.folder / "loaded.json"
    loaded = json.loads(marker.read_text()) if options.reuse and marker.exists() else None
    if loaded is None:
        shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    generator = Generator(options.events, loaded["end_day"] if loaded else options.end_day)
    memory.keep()
    say("starting the Worker …")
    ours = Ours(options.folder / "state", options.node)
    opened: list[Any] = [ours]
    try:
        if loaded is None:
            loaded = fill(ours, generator, options, say)
            marker.write_text(json.dumps(loaded))
        say("loading DuckDB and ClickHouse …")
        file = options.folder / "events.tsv"
        if not file.exists():
            write_rows(generator, file)
        opened.append(duckdb := DuckDb(options.folder))
        rivals = {"duckdb": {"load_s": duckdb.load(file), "bytes": duckdb.size_bytes()}}
        clickhouse = None
        if ClickHouse.is_installed():
            shutil.rmtree(options.folder / "clickhouse", ignore_errors=True)
            opened.append(clickhouse := ClickHouse(options.folder))
            rivals["clickhouse"] = {
                "load_s": clickhouse.load(file),
                "bytes": clickhouse.size_bytes(),
                "version": clickhouse.version(),
            }
        say("asking …")
        asked = questions(generator.end_day, ours.numbers[0], ours.numbers)
        engines = our_engines(ours) | rival_engines(duckdb, clickhouse)
        answers = measure(asked, engines, ours.slugs, options.runs, say)
    finally:
        for one in opened:
            one.stop()
    return {
        "events": options.events,
        "days": DAYS,
        "runs": options.runs,
        "loaded": loaded,
        "rivals": rivals,
        "answers": {
            name: {engine: asdict(one) for engine, one in by.items()} for name, by in answers.items()
        },
    }


def fill(ours: Ours, generator: Generator, options: Options, say: Say) -> dict[str, Any]:
    say(f"posting {options.http_events:,} events to /v1/batch …")
    http = ours.load_over_http(generator, options.http_events, options.folder / "batches.jsonl")
    say("storing the rest through the Worker's event store …")
    began = time.monotonic()
    direct = ours.load_directly(generator, options.http_events, say)
    seconds = time.monotonic() - began
    ours.rows(*fold(ours.numbers))  # what still waits: a tool would, SQL alone does not
    say("adding days up, as the daily cron does …")
    added_up = ours.add_days_up(generator.end_day)
    return {
        "end_day": generator.end_day,
        "http": http,
        "direct": {name: asdict(one) for name, one in direct.items()},
        "direct_s": seconds,
        "added_up": added_up,
        "fold": fold_alone(ours),
        "bytes": ours.size_bytes(),
    }


def fold_alone(ours: Ours) -> dict[str, Any]:
    """What an empty fold reads: every question pays it."""
    results = ours.host.ask({"d1": [{"sql": one.sql, "params": list(one.parameters)} for one in fold([1])]})[
        "results"
    ]
    return {"rows_read": sum(one["meta"]["rows_read"] for one in results)}
