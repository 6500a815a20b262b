"""What the service is put under: reads, single events, batches, a noisy neighbour, slow bodies, a spike, and a long soak."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analytics.window import MS_PER_DAY, format_instant
from bench.data import Generator

#: Requests a second of the steady streams.
READS: Final = 100
SINGLES: Final = 200
GATE: Final = ("reads", "single events")
GATE_S: Final = 60
#: A quarter of what one isolate takes at once before it refuses as overloaded.
GATE_AT_ONCE: Final = 16
#: Requests a second of a stream that stands for ordinary use.
ORDINARY: Final = 20
BATCH: Final = 100
SPIKE_S: Final = 30
#: How long before a spike, and after it.
CALM_S: Final = 15
#: A spike is over for its callers when a second's p99 is back under this, or under twice that of the calm before.
CALM_MS: Final = 250
SLOW_CONNECTIONS: Final = 50
#: 20 pieces of a body, half a second apart.
DRIP_MS: Final = 500
NOISY_CONNECTIONS: Final = 16

Request = dict[str, Any]
#: What the generator says of a stream: {"sent", "statuses", "errors", "seconds", "ms": [p50, p99, max], "p99_by_second"}.
Outcome = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one kind. `rate`: so many begin each second, whatever becomes of them, or when fewer than `at_once` are
    unanswered; or so many `connections` in a closed loop. `after_s`: the stream begins that much later than its scenario.
    `events`: how many each request brings."""

    name: str
    requests: Sequence[Request]
    seconds: float
    rate: float | None = None
    connections: int | None = None
    at_once: int | None = None
    drip_ms: int | None = None
    after_s: float = 0.0
    events: int = 0

    def plan(self) -> dict[str, Any]:
        told = {
            "name": self.name,
            "seconds": self.seconds,
            "requests": list(self.requests),
            "rate": self.rate,
            "connections": self.connections,
            "at_once": self.at_once,
            "drip_ms": self.drip_ms,
            "after_ms": self.after_s * 1000,
        }
        return {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Streams that run at the same time. `allowed`: the statuses that are no failure here, beside 200 and 202."""

    name: str
    about: str
    streams: Sequence[Stream]
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked for what: the keys of projects that hold events, and the day after the last one."""

    projects: Sequence[Mapping[str, str]]
    end_day: int
    events: int

    def reads(self) -> list[Request]:
        """Every read over 30 days, of one project after the other: roll-ups, a series, single events."""
        window = {
            "from": format_instant((self.end_day - 30) * MS_PER_DAY),
            "to": format_instant(self.end_day * MS_PER_DAY),
        }
        asked: list[tuple[str, dict[str, Any]]] = [
            ("get_stats", {"metric": "uniques", "group_by": "country"}),
            ("top_sources", {"limit": 20}),
            ("get_stats", {"metric": "count", "interval": "day"}),
            ("query_events", {"limit": 50}),
        ]
        return [_tool(one["rk"], name, {**window, **more}) for name, more in asked for one in self.projects]

    def heavy(self) -> list[Request]:
        """The dearest read of the largest project: a funnel of five steps over everything."""
        steps = ["page_view", "search", "add_to_cart", "checkout", "purchase"]
        window = {
            "from": format_instant((self.end_day - 90) * MS_PER_DAY),
            "to": format_instant(self.end_day * MS_PER_DAY),
        }
        return [_tool(self.projects[0]["rk"], "funnel", {**window, "steps": steps})]

    def singles(self) -> list[Request]:
        return [_post("/v1/track", one["sk"], _event()) for one in self.projects]

    def batches(self) -> list[Request]:
        body = {"events": [_event() for _ in range(BATCH)]}
        return [_post("/v1/batch", one["sk"], body) for one in self.projects]

    def large(self) -> list[Request]:
        """Batches of the second project, to be sent slowly."""
        return [_post("/v1/batch", self.projects[1]["sk"], {"events": [_event() for _ in range(BATCH)]})]


def target(projects: Sequence[Mapping[str, str]], generator: Generator) -> Target:
    return Target(projects, generator.end_day, generator.total)


def gate(on: Target) -> list[Scenario]:
    """What every change must bear: as many requests as a minute of the steady streams, of which every one must succeed. A
    slow machine takes longer for them, and that is no failure."""
    return [
        replace(one, streams=[replace(stream, at_once=GATE_AT_ONCE) for stream in one.streams])
        for one in scenarios(on, GATE_S, soak_s=0, rate=1)
        if one.name in GATE
    ]


def scenarios(on: Target, seconds: float, soak_s: float, rate: float) -> list[Scenario]:
    """`rate` multiplies what a steady stream and the soak send each second."""
    others = Target(on.projects[2:], on.end_day, on.events)
    quiet = [one for place, one in enumerate(others.reads()) if place % 3 == 0]
    return [
        Scenario(
            "reads", "four kinds of reads, 30 days", [Stream("reads", on.reads(), seconds, rate=READS * rate)]
        ),
        Scenario(
            "most reads",
            "the same, 16 connections",
            [Stream("reads", on.reads(), seconds / 2, connections=16)],
        ),
        Scenario(
            "single events",
            "POST /v1/track",
            [Stream("track", on.singles(), seconds, rate=SINGLES * rate, events=1)],
        ),
        Scenario(
            "most single events",
            "the same, 16 connections",
            [Stream("track", on.singles(), seconds / 2, connections=16, events=1)],
            allowed=frozenset({"429"}),
        ),
        Scenario(
            "batches",
            f"POST /v1/batch of {BATCH} events",
            [Stream("batch", on.batches(), seconds, rate=20 * rate, events=BATCH)],
        ),
        Scenario(
            "noisy neighbour",
            f"{NOISY_CONNECTIONS} connections ask one project for a funnel of five steps; the others read as usual",
            [
                Stream("others", quiet, seconds / 2, rate=ORDINARY),
                Stream("neighbour", on.heavy(), seconds / 2, connections=NOISY_CONNECTIONS),
            ],
            allowed=frozenset({"429"}),
        ),
        Scenario(
            "slow bodies",
            f"{SLOW_CONNECTIONS} connections take 10 s for each body; the others read as usual",
            [
                Stream("others", quiet, seconds / 2, rate=ORDINARY),
                Stream(
                    "slow",
                    on.large(),
                    seconds / 2,
                    connections=SLOW_CONNECTIONS,
                    drip_ms=DRIP_MS,
                    events=BATCH,
                ),
            ],
            allowed=frozenset({"429"}),
        ),
        Scenario(
            "spike",
            f"{ORDINARY} reads a second, for {SPIKE_S} s ten times as many, then {ORDINARY} again",
            [
                Stream("spike", on.reads(), SPIKE_S, rate=9 * ORDINARY, after_s=CALM_S),
                Stream("ordinary", on.reads(), SPIKE_S + 2 * CALM_S, rate=ORDINARY),
            ],
            allowed=frozenset({"429", "503"}),
        ),
        Scenario(
            "soak",
            f"{40 * rate:g} reads and {10 * rate:g} single events a second",
            [
                Stream("reads", on.reads(), soak_s, rate=40 * rate),
                Stream("track", on.singles(), soak_s, rate=10 * rate, events=1),
            ],
        ),
    ]


def ceiling(seconds: float) -> list[Scenario]:
    """What a Worker that does next to nothing does on the same machine, in a closed loop as our most."""

    def most(path: str) -> Stream:
        request = {"method": "POST", "path": path, "headers": {}, "body": ""}
        return Stream(path, [request], seconds / 2, connections=16)

    about = "by a Worker in Python that does nothing else, 16 connections"
    return [
        Scenario("bare reads", f"one row read {about}", [most("/read")]),
        Scenario("bare writes", f"one row inserted {about}", [most("/write")]),
    ]


def recovery_s(ordinary: Outcome) -> int | None:
    """How many seconds after a spike the ordinary reads were as quick as before; None: not before the end."""
    seconds = ordinary["p99_by_second"]
    calm = max(CALM_MS, 2 * max(one for one in seconds[1:CALM_S] if one is not None))
    after = seconds[CALM_S + SPIKE_S :]
    late = [place for place, one in enumerate(after, start=1) if one is not None and one > calm]
    return None if late and late[-1] == len(after) else max(late, default=0)


def _event() -> dict[str, Any]:
    return {
        "event": "page_view",
        "event_id": "{id}",
        "anonymous_id": "load-{id}",
        "url": "https://load.example/articles/0001?utm_source=newsletter&utm_medium=email",
        "properties": {"value": 1},
    }


def _tool(key: str, name: str, arguments: dict[str, Any]) -> Request:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }
    return _post("/mcp", key, call)


def _post(path: str, key: str, body: dict[str, Any]) -> Request:
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    return {"method": "POST", "path": path, "headers": headers, "body": json.dumps(body)}
