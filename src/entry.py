"""The Worker: hands each request to the application. The only file that knows Workers; it converts, it does not decide."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import cache
from typing import Any, Final

import js
from pyodide.ffi import jsnull, to_js
from workers import WorkerEntrypoint, import_from_javascript

from access.audit import subject_mark
from access.cache import RecordCache
from access.gate import Gate
from access.rate_limits import Buckets, Guard, RateLimits, Route
from access.records import AccountRecord, KeyRecord
from access.token import redacted
from access.watch import Noticed, Watch
from analytics.erasure import ErasureTokens, erasure_secret
from analytics.paging import EventPages, cursor_secret
from analytics.subject_export import ExportPages
from storage.audit_log import SqlAuditLog
from storage.backlog import Backlog
from storage.d1 import D1
from storage.database import Parameter, Statement
from storage.erasures import Erasures
from storage.event_store import SqlEventStore
from storage.health import Health
from storage.key_store import KvKeyStore, look_ups
from storage.kv import KV
from storage.kv_copies import KvCopies
from storage.patient import Patient, RetryBudget
from storage.tombstones import Tombstones, tombstone_secret
from web.app import App
from web.concurrency import ConcurrencyLimit
from web.house import House
from web.jobs import look_after_audit, look_after_erasures, run_daily, run_often
from web.messages import Request, Response, error_response
from web.request_log import RequestLog, Wanted

#: What an isolate remembers between requests: records of keys and accounts, for seconds (access/cache.py).
_KEYS: RecordCache[KeyRecord] = RecordCache()
_ACCOUNTS: RecordCache[AccountRecord] = RecordCache()
#: What an isolate may still ask of D1 beyond what it is asked itself: retries, and keys that KV does not know.
_RETRIES: Final = RetryBudget()
_LOOK_UPS: Final = look_ups()

#: Lets work finish after the response.
Defer = Callable[[Awaitable[None]], None]

#: For which projects something probably waits to be folded (storage/backlog.py).
_BACKLOG: Final = Backlog()

_BUCKETS = Buckets()
_CONCURRENCY: Final = ConcurrencyLimit()

#: What was written down of this hour's requests (access/watch.py).
_NOTICED: Final = Noticed()

#: What /healthz last heard of the database (storage/health.py).
_HEALTH: Final = Health()

#: The one of wrangler.toml's crons that is not the daily one.
EVERY_FIVE_MINUTES: Final = "*/5 * * * *"

#: Streams being written: the event loop alone would let them be collected half-way.
_STREAMS: set[asyncio.Future[None]] = set()


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK carries no types
    """The Worker's entry point, made anew for each request by the runtime."""

    async def fetch(self, request: Any) -> Any:
        house = _house(self._defer)
        response = _not_configured() if house is None else await App(house).handle(request_of(request))
        return worker_response(response)

    async def scheduled(self, controller: Any, env: Any = None, ctx: Any = None) -> None:  # noqa: ARG002
        """The crons. The runtime passes env and ctx as None (workers-platform.md §1.8)."""
        house = _house(self._defer)
        if house is None:
            return
        bindings = _bindings()
        database = _database(bindings)
        audit = SqlAuditLog(database)
        await run_often(house, KvCopies(KV(bindings.KEYS), database), audit)
        daily = controller.cron != EVERY_FIVE_MINUTES
        await look_after_erasures(house, _erasures(bindings, database), daily=daily)
        if daily:
            await look_after_audit(house, audit)
            await run_daily(house)

    def _defer(self, work: Awaitable[None]) -> None:
        """Lets work finish after the response; nobody waits for it, so its failure is logged here."""

        async def run() -> None:
            try:
                await work
            except Exception as error:
                _log("deferred_failed", error)

        self.ctx.waitUntil(run())


@cache
def _bindings() -> Any:
    """The bindings as JavaScript has them. `self.env` has them too, behind wrappers that look up the type of every value
    that passes and convert it member by member: on the way to D1 and back that took longer than all of our own code.
    They belong to the isolate, not to a request.
    """
    return import_from_javascript("cloudflare:workers").env


def _house(defer: Defer) -> House | None:
    """The wired house, or None while a secret it cannot do without is missing or too short."""
    house = _wiring()
    return None if house is None else house(defer)


@cache
def _wiring() -> Callable[[Defer], House] | None:
    """What wires the house of a request; all that does not hang on the request is made once for the isolate, whose bindings,
    secrets and variables never change.
    """
    env = _bindings()
    pepper, salt = _secret(env, "KEY_PEPPER_V1"), _secret(env, "IP_HASH_SALT")
    if pepper is None or salt is None:
        return None
    secret = bytes.fromhex(pepper)
    database = _database(env)
    gate = Gate(KvKeyStore(KV(env.KEYS), database, _KEYS, _ACCOUNTS, _now_ms, _LOOK_UPS), {1: secret})
    mark = subject_mark(secret)
    tombstones = _tombstones(env, pepper)
    cursors, erasures = cursor_secret(secret), ErasureTokens(erasure_secret(secret))
    limits, ledger = _limits(env), SqlAuditLog(database)
    requests = RequestLog(_wanted(env), _print)

    def house(defer: Defer) -> House:
        events = SqlEventStore(database, defer, backlog=_BACKLOG, mark=mark, tombstones=tombstones)
        return House(
            events=events,
            pages=EventPages(events, cursors),
            exports=ExportPages(events, cursors),
            erasures=erasures,
            gate=gate,
            ip_hash_salt=salt,
            now_ms=_now_ms,
            log=_log,
            requests=requests,
            limits=limits,
            watch=Watch(ledger, _NOTICED, defer),
            concurrency=_CONCURRENCY,
            check_store=lambda: _HEALTH.check(database, _now_ms()),
        )

    return house


def _erasures(env: Any, database: Patient) -> Erasures:
    pepper: str = env.KEY_PEPPER_V1
    return Erasures(_tombstones(env, pepper), database, subject_mark(bytes.fromhex(pepper)))


def _tombstones(env: Any, pepper: str) -> Tombstones:
    return Tombstones(KV(env.KEYS), tombstone_secret(bytes.fromhex(pepper)), _now_ms)


def _database(env: Any) -> Patient:
    return Patient(D1(_batch(env.DB)), asyncio.sleep, random.random, _now_ms, _RETRIES)


def _batch(binding: Any) -> Callable[[Sequence[Statement]], Awaitable[str]]:
    """D1's batch, whose answer crosses from JavaScript as one text."""

    async def batch(statements: Sequence[Statement]) -> str:
        prepared = [binding.prepare(one.sql).bind(*map(_to_d1, one.parameters)) for one in statements]
        text: str = js.JSON.stringify(await binding.batch(to_js(prepared)))
        return text

    return batch


def _to_d1(value: Parameter) -> Any:
    """None would cross as undefined, which D1 does not take."""
    return jsnull if value is None else value


def _limits(env: Any) -> RateLimits:
    """The limits of docs/limits.md, or none when the operator has turned them off."""
    if getattr(env, "RATE_LIMITS", None) == "off":
        return RateLimits(_BUCKETS, rates={})
    guards: dict[Route, Guard] = {
        "track": _guard(env, "INGEST_LIMIT", 10, calls=10),
        "batch": _guard(env, "BATCH_LIMIT", 10),
        "read": _guard(env, "READ_LIMIT", 60, calls=20),
    }
    return RateLimits(_BUCKETS, guards=guards, sign_ins=_guard(env, "AUTH_LIMIT", 60))


def _guard(env: Any, name: str, period_s: int, calls: int = 1) -> Guard:
    async def allows(key: str) -> bool:
        return bool((await getattr(env, name).limit(key=key)).success)

    return Guard(allows, period_s, calls)


def _secret(env: Any, name: str) -> str | None:
    """A secret of 32 random bytes in hex. Anything else counts as missing."""
    value = getattr(env, name, None)
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) else None


def _not_configured() -> Response:
    return error_response(503, "not_configured", {"missing": "a secret; see README, Deploy"})


def _now_ms() -> int:
    return int(time.time() * 1000)


def request_of(request: Any) -> Request:
    """The request as a value; its body is read when somebody asks for it."""

    sent = request.js_object

    async def read_body(limit: int) -> bytes | None:
        if "content-length" not in headers:
            return await _read_stream(sent.body, limit)
        body: bytes = (await sent.arrayBuffer()).to_bytes()
        return None if len(body) > limit else body

    given = js.Object.fromEntries(sent.headers).to_py()
    headers = {name: value.strip() for name, value in given.items()}
    country = getattr(sent.cf, "country", None) if sent.cf else None
    return Request(sent.method, sent.url, headers, read_body, country or "")


async def _read_stream(stream: Any, limit: int) -> bytes | None:
    """A body of unknown length; reading ends as soon as it is longer than the limit."""
    if not stream:  # null in JavaScript
        return b""
    reader, body = stream.getReader(), bytearray()
    while not (piece := await reader.read()).done:
        body += piece.value.to_bytes()
        if len(body) > limit:
            await reader.cancel()
            return None
    return bytes(body)


def worker_response(response: Response) -> Any:
    """The response as the runtime sends it; a stream goes on being written after this returns."""
    headers = js.Object.fromEntries(to_js(list(response.headers.items())))
    if response.stream is None:
        return js.Response.new(response.body or jsnull, status=response.status, headers=headers)
    pipe = js.TransformStream.new()
    _STREAMS.add(writing := asyncio.ensure_future(_write(response.stream, pipe.writable.getWriter())))
    writing.add_done_callback(_STREAMS.discard)
    return js.Response.new(pipe.readable, status=response.status, headers=headers)


async def _write(stream: AsyncGenerator[str], writer: Any) -> None:
    """Copies a stream to the client, and stops it when the client has gone."""
    try:
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                await writer.write(to_js(piece.encode()))
        await writer.close()
    except Exception as error:
        _log("stream_ended", error)


def _log(event: str, error: BaseException, request_id: str = "") -> None:
    """One line of JSON; the stack goes to the log and never to the wire."""
    stack = "".join(traceback.format_exception(error))
    _print({"event": event, "request_id": request_id, "error": redacted(stack)})


def _print(line: Mapping[str, Any]) -> None:
    """One line, in ASCII: whatever control characters a text holds, they do not end it. Not with print(), whose way through
    Python's files to the same console takes 0.2 ms more.
    """
    js.console.log(json.dumps(line))


def _wanted(env: Any) -> Wanted:
    """Which requests get a line: all of them, unless the operator says otherwise."""
    value = getattr(env, "LOG_REQUESTS", None)
    return value if value in ("errors", "off") else "on"
