"""Requests that nobody would write: bytes changed at random, envelopes and arguments of any shape.

Source: security.md T-FUZZ-1, 2, 4, 5, 7.

What must hold for every one of them stands in `sound`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.text import visible_throughout
from tests.data.fuzz import (
    ARGUMENTS,
    BODIES,
    ENVELOPES,
    EVENT,
    GETS,
    HEADER_VALUES,
    JSON,
    MIXED,
    PIECES,
    TOOLS,
    WINDOW,
    call,
    rpc,
)
from tests.figures import Figures
from tests.house import InProcess
from tests.leaks import scanned
from tests.scale import scale
from web.messages import Request, Response

STATUSES = {200, 202, 204, 400, 401, 402, 403, 404, 405, 406, 413, 415, 429}
MAX_BYTES = 1_048_576
#: The changed bodies are made in parts, each with a house and a seed of its own; they may run side by side.
PARTS = range(4)
BYTE_CASES = scale(20_000, 1_000_000) // len(PARTS)
HEADER_CASES = scale(2_000, 50_000)
EXAMPLES = scale(2_000, 50_000)
#: A house that has asked D1 so often is left for a new one: its events, and what it remembers, would slow the rest down.
MOST_D1_CALLS = 4_000


class Target:
    """A house with some events, whose requests share one event loop."""

    def __init__(self) -> None:
        self.house = InProcess()
        self.account = self.house.account("business")
        self.keys = {**self.account["projects"][0], "ak": self.account["account"]["ak"]}
        self.house.track(
            self.keys["sk"], *({**EVENT, "event_id": f"e{n}", "anonymous_id": f"v{n}"} for n in range(5))
        )
        self.house.fold()
        self.loop = asyncio.new_event_loop()

    def send(
        self, kind: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None
    ) -> Response:
        async def read_body(limit: int) -> bytes | None:
            return None if body is not None and len(body) > limit else body or b""

        given = {
            "host": "localhost:8787", "authorization": f"Bearer {self.keys[kind]}", "content-type": "application/json",
            **({"origin": "https://site.example"} if kind == "pk" else {}), **(headers or {}),
        }  # fmt: skip
        method = "GET" if body is None else "POST"
        request = Request(method, self.house.url + path, given, read_body, "")

        async def run() -> Response:
            response = await self.house.app.handle(request)
            while self.house.deferred:
                await self.house.deferred.pop(0)
            return response

        return self.loop.run_until_complete(run())

    def sound(self, response: Response, sent: object) -> Any:
        """What holds for every answer; its JSON value."""
        assert response.status in STATUSES, (response.status, response.body[:500], sent)
        assert len(response.body.encode()) <= MAX_BYTES
        scanned(response.status, response.headers, response.body)
        assert self.house.log == [], (self.house.log, sent)
        return json.loads(response.body) if response.body else None


@pytest.fixture(scope="module")
def target() -> Target:
    return Target()


def mutated(chance: random.Random, text: bytes) -> bytes:
    """A few bytes deleted, doubled, moved, replaced or put in."""
    data = bytearray(text)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(data) + 1)
        span = chance.choice((1, 1, 2, 5, 20))
        how = chance.randrange(5)
        if how == 0:
            del data[at : at + span]
        elif how == 1:
            data[at:at] = data[at : at + span]
        elif how == 2:
            data[at:at] = chance.choice(PIECES)
        elif how == 3:
            data[at : at + span] = chance.choice(PIECES)
        elif at < len(data):
            data[at] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("part", PARTS)
def test_no_mutated_body_gets_more_than_a_refusal(part: int, figures: Figures) -> None:
    """T-FUZZ-1: and the same process answers the next request as ever."""
    chance, target = random.Random(20260520 + part), Target()
    texts = [(kind, path, json.dumps(body).encode()) for kind, path, body in BODIES]
    for number in range(BYTE_CASES):
        kind, path, text = chance.choice(texts)
        sent = mutated(chance, text)
        answer = target.sound(target.send(kind, path, sent), (path, sent))
        if number % 500 == 499:
            figures.count("fuzz: bodies with changed bytes", 500)
            target.house.faults.reset()  # it remembers every statement
            assert target.send("rk", "/mcp", json.dumps(rpc("ping")).encode()).status == 200
        if path.startswith("/mcp") and isinstance(answer, dict) and "jsonrpc" in answer:
            assert ("result" in answer) != ("error" in answer)
            assert answer.get("error", {}).get("code") != -32603, answer


def test_no_mutated_header_or_address_gets_more_than_a_refusal(target: Target, figures: Figures) -> None:
    """T-FUZZ-4. A header holds no line break: the platform sees to that before us."""
    chance = random.Random(20260521)
    names = ["authorization", "origin", "host", "content-type", "content-length", "accept", "mcp-protocol-version",
             "mcp-method", "mcp-name", "user-agent", "cf-connecting-ip", "mcp-session-id"]  # fmt: skip
    values = [f"Bearer {target.keys['rk']}", *HEADER_VALUES]
    ping = json.dumps(rpc("ping")).encode()
    for number in range(HEADER_CASES):
        name = chance.choice(names)
        value = mutated(chance, chance.choice(values).encode()).decode("latin-1")
        headers = {name: "".join(one for one in value if one >= " ")}
        target.sound(target.send("rk", "/mcp", ping, headers), headers)
        raw = mutated(chance, chance.choice(GETS).encode()).decode("latin-1")
        path = "/" + "".join(one for one in raw if "!" <= one <= "~").lstrip("/")
        target.sound(target.send("rk", path, None), path)
        if number % 500 == 499:
            figures.count("fuzz: changed headers and addresses", 2 * 500)
            target.house.faults.reset()


quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)


@quick
@given(MIXED | st.lists(ENVELOPES, max_size=3))
def test_any_envelope_gets_one_whole_reply(figures: Figures, envelope: Any) -> None:
    """T-FUZZ-2: the id comes back exactly, whatever else was sent."""
    figures.count("fuzz: envelopes made up")
    target = _shared()
    body = json.dumps(envelope).encode()
    answer = target.sound(target.send("rk", "/mcp", body), envelope)
    if isinstance(answer, dict) and "jsonrpc" in answer and isinstance(envelope, dict):
        assert answer.get("error", {}).get("code") != -32603, (answer, envelope)
        if answer.get("id") is not None:
            assert (type(answer["id"]), answer["id"]) == (type(envelope["id"]), envelope["id"])


@quick
@given(
    st.sampled_from(TOOLS),
    st.sets(st.sampled_from(sorted(ARGUMENTS)), max_size=5),
    st.sampled_from(sorted(ARGUMENTS)),
    JSON,
)
def test_one_wrong_argument_is_explained_or_answered(
    figures: Figures, tool: str, chosen: set[str], wrong: str, value: Any
) -> None:
    """T-FUZZ-5: what a tool takes, with one of the values made up."""
    figures.count("fuzz: calls with one argument made up")
    target = _shared()
    arguments = {**WINDOW, **{name: ARGUMENTS[name] for name in chosen}, wrong: value}
    answer = target.sound(target.send("rk", "/mcp", json.dumps(call(tool, **arguments)).encode()), arguments)
    assert answer.get("error", {}).get("code") not in (-32603, -32000), (answer, arguments)
    if "result" in answer:
        json.loads(answer["result"]["content"][0]["text"])


@quick
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_what_is_taken_is_given_back_as_it_was_meant(figures: Figures, properties: dict[str, Any]) -> None:
    """T-FUZZ-7: an accepted event is returned as its canonical form, and changes no structure."""
    figures.count("fuzz: events with properties made up")
    target = _shared()
    mine = f"mine{figures['fuzz: events with properties made up']}"
    event = {"event": "mine", "anonymous_id": mine, "timestamp": "2026-05-19", "properties": properties}
    answer = target.send("sk", "/v1/track", json.dumps(event).encode())
    target.sound(answer, properties)
    if answer.status != 202:
        return
    path = f"/v1/query?from=2026-05-19&to=2026-05-20&anonymous_id={mine}"
    (row,) = target.sound(target.send("rk", path, None), properties)["rows"]
    meant = visible_throughout(json.loads(json.dumps(properties)))
    assert row["properties"] == json.dumps(meant, ensure_ascii=False, separators=(",", ":"))


_TARGETS: list[Target] = []


def _shared() -> Target:
    if _TARGETS and _TARGETS[0].house.faults.d1_calls > MOST_D1_CALLS:
        _TARGETS.pop().loop.close()
    if not _TARGETS:
        _TARGETS.append(Target())
    return _TARGETS[0]
