"""Millimetric under measurement: the Worker on the local runtime, filled through its own ingest, asked by SQL and by MCP."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from analytics.event import Arrival, Event, TrackedEvent, enrich
from bench.data import BATCH_EVENTS, COUNTRY_CODES, PROJECTS, Batch, Generator, agent_of, batch_of, slug
from bench.data import Event as Generated
from bench.programs import ROOT, JsonLines, cpu_ms
from storage.database import Statement
from storage.fold import fold
from storage.inbox import accept

NODE: Final = ROOT / "node_modules"
_IN_FLIGHT: Final = 3

Say = Callable[[str], None]


@dataclass
class Reply:
    """One answer and what it took. Units: milliseconds for one run of the question."""

    rows: list[dict[str, Any]]
    ms: float
    cpu_ms: float
    rows_read: int = 0


@dataclass
class Written:
    """What storing events cost the database, by its own account."""

    events: int = 0
    rows_read: int = 0
    rows_written: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0

    def add(self, events: int, results: Sequence[dict[str, Any]]) -> None:
        self.events += events
        self.rows_read += sum(one["meta"]["rows_read"] for one in results)
        self.rows_written += sum(one["meta"]["rows_written"] for one in results)


@dataclass
class Ours:
    """The running Worker. Stop it when done."""

    persist: Path
    node: Path
    host: JsonLines = field(init=False)
    _sqlite: sqlite3.Connection | None = None

    def __post_init__(self) -> None:
        self.persist.mkdir(parents=True, exist_ok=True)
        self.host = JsonLines([self.node, "bench/host.mjs", self.persist, *map(slug, range(PROJECTS))])
        ready = self.host.receive()["ready"]
        self.url, self.pid, self.start_ms = ready["url"], ready["workerd"], ready["start_ms"]
        self.account = ready["keys"]["account"]
        self.projects = ready["keys"]["projects"]
        rows = self.rows(Statement("SELECT number, slug FROM projects ORDER BY slug"))
        self.numbers = [row["number"] for row in rows]
        self.slugs = {row["number"]: row["slug"] for row in rows}
        address = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)

    def stop(self) -> None:
        with suppress(OSError):
            self.host.send({"stop": True})
        self.host.stop()

    # --- asking ---

    def rows(self, *statements: Statement) -> list[dict[str, Any]]:
        """The rows of the last of some statements."""
        found: list[dict[str, Any]] = self.host.ask(_message(statements))["results"][-1]["rows"]
        return found

    def sql(self, statement: Statement, repeat: int = 1) -> Reply:
        """A statement on D1, so often in one batch; the time of one."""
        used = cpu_ms(self.pid)
        answer = self.host.ask({**_message([statement]), "repeat": repeat})
        (result,) = answer["results"]
        return Reply(
            result["rows"],
            answer["ms"] / repeat,
            (cpu_ms(self.pid) - used) / repeat,
            result["meta"]["rows_read"],
        )

    def sqlite(self, statement: Statement) -> Reply:
        """The same statement on the same file through Python's sqlite3: the engine without D1 around it."""
        if self._sqlite is None:
            self._sqlite = sqlite3.connect(f"file:{database_file(self.persist)}?mode=ro", uri=True)
            self._sqlite.row_factory = sqlite3.Row
        parameters = [float(one) if isinstance(one, int) else one for one in statement.parameters]
        used, began = time.thread_time(), time.perf_counter()
        rows = [dict(row) for row in self._sqlite.execute(statement.sql, parameters)]
        return Reply(rows, (time.perf_counter() - began) * 1000, (time.thread_time() - used) * 1000)

    def tool(self, name: str, arguments: dict[str, Any], path: str = "/mcp") -> Reply:
        """A tool call over HTTP, as an agent makes it."""
        key = self.account["ak"] if path == "/mcp/account" else self.projects[0]["rk"]
        params = {"name": name, "arguments": arguments}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        used, began = cpu_ms(self.pid), time.perf_counter()
        while True:
            self.connection.request("POST", path, body, headers)
            response = self.connection.getresponse()
            text = response.read()
            if response.status != 429:
                break
            time.sleep(float(response.getheader("Retry-After") or 1))  # its limits hold for us, too
            used, began = cpu_ms(self.pid), time.perf_counter()
        ms = (time.perf_counter() - began) * 1000
        message = json.loads(text)
        if "result" not in message or message["result"].get("isError"):
            raise AssertionError(f"{name}: {text[:500]!r}")
        rows = json.loads(message["result"]["content"][0]["text"])
        return Reply(rows, ms, cpu_ms(self.pid) - used)

    def size_bytes(self) -> int:
        """The database as D1 counts it."""
        results = self.host.ask(_message([Statement("SELECT 1")]))["results"]
        size: int = results[0]["meta"]["size_after"]
        return size

    # --- filling ---

    def load_over_http(self, generator: Generator, events: int, file: Path) -> dict[str, Any]:
        """Posts about so many events to /v1/batch of the running Worker, limits and all; what came of it."""
        with file.open("w") as lines:
            for batch in over_http(generator, events):
                lines.write(json.dumps(_line(batch)) + "\n")
        used = cpu_ms(self.pid)
        outcome: dict[str, Any] = self.host.ask({"load": str(file)})
        return outcome | {"cpu_s": (cpu_ms(self.pid) - used) / 1000}

    def load_directly(self, generator: Generator, over_http_events: int, say: Say) -> dict[str, Written]:
        """The rest of the events, 1,000 of one project at a time: made and folded by the statements that the Worker runs,
        on the same binding, without the HTTP request around them. Shape: what it cost, for p01 and for the others."""
        keys = self._keys()
        written = {"p01": Written(), "others": Written()}
        pending: list[tuple[str, int]] = []
        began, told = time.monotonic(), time.monotonic()

        def collect() -> None:
            name, count = pending.pop(0)
            written[name].add(count, self.host.receive()["results"])

        for events in _chunks(without_http(generator, over_http_events)):
            place = events[0].place
            number = self.numbers[place]
            claim = events[0].event_id
            statements = [accept(keys[number], number, _enriched(events), claim), *fold([number])]
            self.host.send(_message(statements))
            pending.append(("p01" if place == 0 else "others", len(events)))
            if len(pending) >= _IN_FLIGHT:
                collect()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                done = sum(one.events for one in written.values())
                say(f"  {done:,} events, {done / (told - began):,.0f} a second …")
        while pending:
            collect()
        return written

    def _keys(self) -> dict[int, str]:
        found = self.rows(Statement("SELECT id, project FROM api_keys WHERE kind = 'sk'"))
        return {row["project"]: row["id"] for row in found}


def database_file(persist: Path) -> Path:
    """The file that D1 keeps the database in."""
    (file,) = [one for one in persist.glob("v3/d1/**/*.sqlite") if one.stem != "metadata"]
    return file


def over_http(generator: Generator, events: int) -> Iterator[Batch]:
    """Batches of the most frequent country alone: about `events` in all, of each project its part."""
    waiting: dict[int, list[Generated]] = {}
    for event in generator.events():
        if event.country != COUNTRY_CODES[0]:
            continue
        mine = waiting.setdefault(event.place, [])
        if len(mine) < _http_share(generator, event.place, events):
            mine.append(event)
    batches = [
        (place, mine[start : start + BATCH_EVENTS])
        for place, mine in waiting.items()
        for start in range(0, len(mine), BATCH_EVENTS)
    ]
    for _place, part in sorted(batches, key=lambda one: one[1][0].ts):
        yield batch_of(part)


def without_http(generator: Generator, events: int) -> Iterator[Generated]:
    """What `over_http` leaves."""
    passed = [0] * PROJECTS
    for event in generator.events():
        if event.country == COUNTRY_CODES[0] and passed[event.place] < _http_share(
            generator, event.place, events
        ):
            passed[event.place] += 1
            continue
        yield event


def _http_share(generator: Generator, place: int, events: int) -> int:
    return generator.share(place) * events // max(1, generator.total)


def _chunks(events: Iterator[Generated]) -> Iterator[list[Generated]]:
    """Events of one project, 1,000 at a time, in the order of their time."""
    waiting: dict[int, list[Generated]] = {}
    for event in events:
        mine = waiting.setdefault(event.place, [])
        mine.append(event)
        if len(mine) == BATCH_EVENTS:
            yield waiting.pop(event.place)
    yield from waiting.values()


def _enriched(events: Sequence[Generated]) -> list[Event]:
    """What the Worker makes of the events, each with its visitor's own country and device."""
    arrival = Arrival(
        received_ms=events[-1].ts, project_id="", origin="browser", ip_hash_salt="", new_event_id=lambda: ""
    )
    context = {"now_ms": events[-1].ts}
    return [
        enrich(
            TrackedEvent.model_validate(event.sent(), context=context),
            replace(arrival, country=event.country, user_agent=agent_of(event.country)),
        )
        for event in events
    ]


def _line(batch: Batch) -> dict[str, Any]:
    return {
        "project": slug(batch.place),
        "country": batch.country,
        "user_agent": batch.user_agent,
        "count": len(batch.events),
        "body": batch.body().decode(),
    }


def _message(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"d1": [{"sql": one.sql, "params": list(one.parameters)} for one in statements]}
