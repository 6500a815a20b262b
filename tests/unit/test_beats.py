"""A slow tool's signs of life, and what happens to its work when nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest

from analytics.store import ScopeWithdrawnError
from mcp import stream
from mcp.inbound import Accepted
from mcp.messages import Message, Notify
from mcp.tool import Context

REQUEST = Accepted("modern", "2026-07-28", 1, "tools/call", {"_meta": {"progressToken": "p"}})


class Waiting(Context):
    """A context that is only asked to notify."""

    def __init__(self, notify: Notify) -> None:
        object.__setattr__(self, "request", REQUEST)
        object.__setattr__(self, "notify", notify)


async def tick(times: int) -> int:
    for _ in range(times):
        await asyncio.sleep(0)
    return times


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_beats_rise_until_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_S", 0)
    heard: list[Message] = []

    async def notify(_method: str, params: Message) -> None:
        heard.append(params)

    assert run(stream.beating(tick(50), Waiting(notify), "reading")) == 50
    beats = [params["progress"] for params in heard]
    assert len(beats) > 2
    assert beats == list(range(len(beats)))
    assert heard[0] == {"progressToken": "p", "progress": 0, "message": "reading"}


def test_a_client_that_leaves_stops_the_work() -> None:
    stopped: list[bool] = []

    async def work(notify: Notify) -> tuple[int, Message]:
        await notify("first", {})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise
        return 200, {}

    async def conversation() -> None:
        reply = await stream.streamed(work, {})
        assert reply.stream is not None
        assert json.loads(await anext(reply.stream))["method"] == "first"
        await reply.stream.aclose()
        await asyncio.sleep(0)

    run(conversation())
    assert stopped == [True]


def test_a_key_revoked_while_a_stream_is_open_ends_it_with_an_error() -> None:
    async def work(notify: Notify) -> tuple[int, Message]:
        await notify("first", {})
        raise ScopeWithdrawnError

    async def conversation() -> list[Message]:
        reply = await stream.streamed(work, {"error": "withdrawn"})
        assert reply.stream is not None
        return [json.loads(message) async for message in reply.stream]

    assert [message.get("error") for message in run(conversation())] == [None, "withdrawn"]


def test_a_key_revoked_before_anything_was_said_is_refused_as_usual() -> None:
    async def work(_notify: Notify) -> tuple[int, Message]:
        raise ScopeWithdrawnError

    with pytest.raises(ScopeWithdrawnError):
        run(stream.streamed(work, {}))
