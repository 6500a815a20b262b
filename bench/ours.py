"""Millimetric under measurement: the Worker on the local runtime, filled through its own ingest, asked by SQL and by MCP."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from access.plans import PLANS
from analytics.event import Arrival, Event, TrackedEvent, enrich
from analytics.scope import Project, Scope
from bench.data import BATCH_EVENTS, COUNTRY_CODES, PROJECTS, Batch, Generator, agent_of, batch_of, slug
from bench.data import Event as Generated
from bench.programs import ROOT, JsonLines, cpu_ms
from storage.bundle import rows_of
from storage.database import Database, Result, Statement
from storage.event_store import SqlEventStore

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
            rows_of(statement, result["rows"]),
            answer["ms"] / repeat,
            (cpu_ms(self.pid) - used) / repeat,
            result["meta"]["rows_read"],
        )

    def sqlite(self, statement: Statement) -> Reply:
        """The same statement on the same file through Python's sqlite3: the engine without D1 around it. Both keep a
        statement prepared for the next time it is asked."""
        if self._sqlite is None:
            file = f"file:{database_file(self.persist)}?mode=ro"
            self._sqlite = sqlite3.connect(file, uri=True)
            self._sqlite.row_factory = sqlite3.Row
        parameters = [float(one) if isinstance(one, int) else one for one in statement.parameters]
        used, began = time.thread_time(), time.perf_counter()
        rows = rows_of(statement, [dict(row) for row in self._sqlite.execute(statement.sql, parameters)])
        return Reply(rows, (time.perf_counter() - began) * 1000, (time.thread_time() - used) * 1000)

    def tool(self, name: str, arguments: dict[str, Any], path: str = "/mcp") -> Reply:
        """A tool call over HTTP, as an agent makes it."""
        key = self.account["ak"] if path == "/mcp/account" else self.projects[0]["rk"]
        params = {"name": name, "arguments": arguments}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        while True:
            self._connect()
            used, began = cpu_ms(self.pid), time.perf_counter()
            self.connection.request("POST", path, body, headers)
            response = self.connection.getresponse()
            text = response.read()
            if response.status != 429:
                break
            time.sleep(float(response.getheader("Retry-After") or 1))  # its limits hold for us, too
        ms = (time.perf_counter() - began) * 1000
        message = json.loads(text)
        if "result" not in message or message["result"].get("isError"):
            raise AssertionError(f"{name}: {text[:500]!r}")
        rows = json.loads(message["result"]["content"][0]["text"])
        meta = message["result"]["structuredContent"].get("meta", {})
        return Reply(rows, ms, cpu_ms(self.pid) - used, meta.get("rows_read", 0))

    def _connect(self) -> None:
        """An open connection: the server closes one on which nothing is asked for some seconds, as during a raw scan."""
        self.connection.close()
        self.connection.connect()

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
        """The rest of the events, 1,000 of one project at a time: stored and folded by the Worker's own event store, run
        here, on the Worker's D1. Shape: what it cost, for p01 and for the others."""
        written = {"p01": Written(), "others": Written()}
        events = without_http(generator, over_http_events)
        asyncio.run(self._store(events, written, say))
        return written

    async def _store(self, events: Iterator[Generated], written: dict[str, Written], say: Say) -> None:
        link = HostLink(self.host)
        scopes = self._scopes()
        in_flight: set[asyncio.Task[None]] = set()
        began = told = time.monotonic()
        for chunk in chunks(events):
            mine = written["p01" if chunk[0].place == 0 else "others"]
            in_flight.add(
                asyncio.create_task(store_chunk(link.database(mine), scopes[chunk[0].place], chunk))
            )
            mine.events += len(chunk)
            while len(in_flight) >= _IN_FLIGHT:
                done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                stored = sum(one.events for one in written.values())
                say(f"  {stored:,} events, {stored / (told - began):,.0f} a second …")
        await asyncio.gather(*in_flight)

    def add_days_up(self, today: int) -> dict[str, Any]:
        """What the daily cron does of this on some day, for all projects and until nothing is left; what it cost."""
        written = Written()
        store = SqlEventStore(HostLink(self.host).database(written), lambda _work: None)

        async def add_up() -> int:
            octets = 0
            for number in self.numbers:
                while added := await store.add_up_days(number, 0, today):
                    octets += added
            return octets

        began, octets = time.monotonic(), asyncio.run(add_up())
        return {"octets": octets, "seconds": time.monotonic() - began, **asdict(written)}

    def _scopes(self) -> list[Scope]:
        found = self.rows(Statement("SELECT id, project FROM api_keys WHERE kind = 'sk'"))
        keys = {row["project"]: row["id"] for row in found}
        projects = [
            Project(number, one["id"], one["slug"], one["name"])
            for number, one in zip(self.numbers, self.projects, strict=True)
        ]
        return [Scope(keys[one.number], self.account["id"], (one,)) for one in projects]


class HostLink:
    """Several batches under way to bench/host.mjs, which answers them in the order they were sent."""

    def __init__(self, host: JsonLines) -> None:
        self._host = host
        self._answers = ThreadPoolExecutor(1)

    def database(self, written: Written) -> HostDatabase:
        return HostDatabase(self, written)

    async def ask(self, message: Any) -> Any:
        self._host.send(message)
        return await asyncio.get_running_loop().run_in_executor(self._answers, self._host.receive)


class HostDatabase:
    """The Database port on the Worker's D1; counts what D1 says it read and wrote."""

    def __init__(self, link: HostLink, written: Written) -> None:
        self._link, self._written = link, written

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        answer = await self._link.ask(_message(statements, "batch"))
        results = [
            Result(
                rows_of(statement, one["rows"]),
                *(one["meta"][key] for key in ("changes", "rows_read", "rows_written")),
            )
            for statement, one in zip(statements, answer["results"], strict=True)
        ]
        self._written.rows_read += sum(one.rows_read for one in results)
        self._written.rows_written += sum(one.rows_written for one in results)
        return results


async def store_chunk(database: Database, scope: Scope, events: Sequence[Generated]) -> None:
    """Events of one project, as POST /v1/batch stores them, and the fold it defers."""
    deferred: list[Awaitable[None]] = []
    await SqlEventStore(database, deferred.append).append(
        scope, _enriched(events), PLANS["business"].events_per_month
    )
    for work in deferred:
        await work


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


def chunks(events: Iterator[Generated]) -> Iterator[list[Generated]]:
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
    countries = {event.country for event in events}
    arrivals = {one: replace(arrival, country=one, user_agent=agent_of(one)) for one in countries}
    return [
        enrich(TrackedEvent.model_validate(event.sent(), context=context), arrivals[event.country])
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


def _message(statements: Sequence[Statement], kind: str = "d1") -> dict[str, Any]:
    return {kind: [{"sql": one.sql, "params": list(one.parameters)} for one in statements]}
