"""When an answer is a stream: as soon as something is said ahead of it. Else it stays one JSON object.

Source: specification 2026-07-28 and 2025-11-25, Transports, sending messages to the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from analytics.store import ScopeWithdrawnError
from mcp.inbound import Accepted
from mcp.messages import Message, Notify, Reply, to_json
from mcp.tool import Context

#: How often a slow tool says that it is still at work.
BEAT_S: Final = 2.0

Result = TypeVar("Result")
Run = Callable[[Notify], Awaitable[tuple[int, Message]]]


def takes_stream(headers: Mapping[str, str]) -> bool:
    """Whether the client lists the event stream in `Accept`; a family such as `*/*` is not enough."""
    accepted = headers.get("accept", "").split(",")
    return any(part.split(";")[0].strip().lower() == "text/event-stream" for part in accepted)


def wants_progress(request: Accepted) -> bool:
    """Whether the request says under which token progress is to be reported."""
    meta = request.params.get("_meta")
    return isinstance(meta, dict) and "progressToken" in meta


async def streamed(run: Run, withdrawn: Message) -> Reply:
    """The reply of `run`, as a stream if it notifies before it is done.

    Shape: `withdrawn` ends a stream whose key was revoked meanwhile.
    Errors: whatever `run` raises before it notifies.
    """
    outbox: asyncio.Queue[Message] = asyncio.Queue()

    async def notify(method: str, params: Message) -> None:
        await outbox.put({"jsonrpc": "2.0", "method": method, "params": params})

    running = asyncio.ensure_future(run(notify))
    first = await _next(outbox, running)
    if first is None:
        status, message = await running
        return Reply(status, to_json(message))
    return Reply(200, stream=_messages(first, outbox, running, withdrawn))


async def _messages(
    first: Message,
    outbox: asyncio.Queue[Message],
    running: asyncio.Future[tuple[int, Message]],
    withdrawn: Message,
) -> AsyncGenerator[str]:
    """Every message as JSON; whoever stops listening stops the work."""
    message: Message | None = first
    try:
        while message is not None:
            yield to_json(message)
            message = await _next(outbox, running)
        try:
            yield to_json((await running)[1])
        except ScopeWithdrawnError:
            yield to_json(withdrawn)
    finally:
        running.cancel()


async def _next(
    outbox: asyncio.Queue[Message], running: asyncio.Future[tuple[int, Message]]
) -> Message | None:
    """The next message of the outbox, or None once the work is done and nothing is left."""
    waiting = asyncio.ensure_future(outbox.get())
    both: set[asyncio.Future[Any]] = {waiting, running}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return None if outbox.empty() else outbox.get_nowait()


async def beating(work: Awaitable[Result], context: Context, doing: str) -> Result:
    """What `work` gives; until then a waiting client hears, at once and every few seconds, what is done."""
    running = asyncio.ensure_future(work)
    beats = 0
    try:
        while not running.done():
            await context.progress(beats, message=doing)
            beats += 1
            await asyncio.wait({running}, timeout=BEAT_S)
        return await running
    finally:
        running.cancel()
