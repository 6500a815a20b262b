"""The house in process: the real application over sqlite3 under D1's limits, keys minted by dev/provision.py."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PEPPER = "1f" * 32
SALT = "2e" * 32
os.environ.setdefault("KEY_PEPPER_V1", PEPPER)

from access.audit import subject_mark  # noqa: E402
from access.cache import RecordCache  # noqa: E402
from access.gate import Gate  # noqa: E402
from access.rate_limits import Buckets, RateLimits  # noqa: E402
from access.watch import Noticed, Watch  # noqa: E402
from analytics.erasure import ErasureTokens, erasure_secret  # noqa: E402
from analytics.paging import EventPages, cursor_secret  # noqa: E402
from analytics.subject_export import ExportPages  # noqa: E402
from analytics.window import format_instant, parse_instant  # noqa: E402
from dev import provision  # noqa: E402
from storage.audit_log import SqlAuditLog  # noqa: E402
from storage.erasures import Erasures  # noqa: E402
from storage.event_store import SqlEventStore  # noqa: E402
from storage.health import Health  # noqa: E402
from storage.key_store import KvKeyStore, look_ups  # noqa: E402
from storage.patient import Patient  # noqa: E402
from storage.sqlite import Sqlite  # noqa: E402
from storage.tombstones import Tombstones, tombstone_secret  # noqa: E402
from tests.answers import watch  # noqa: E402
from tests.faults import Faults  # noqa: E402
from tests.leaks import CANARIES, scanned  # noqa: E402
from web.app import App  # noqa: E402
from web.house import House as Wiring  # noqa: E402
from web.messages import Request  # noqa: E402

CANARIES.update((PEPPER, SALT))

#: KV takes this long at most before D1 is asked; nothing here waits for longer.
KV_BUDGET_S = 0.02
NOW = "2026-05-20T12:00:00Z"


@dataclass
class Answer:
    """A response as a client sees it. `json` is None when the body is empty."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None


class Namespace:
    """A KV namespace in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self.entries.get(name)

    async def put(self, name: str, text: str, expiration_s: int | None = None) -> None:
        self.entries[name] = text

    async def list(self, prefix: str, cursor: str | None) -> tuple[list[str], str | None]:
        """A thousand names at a time, as KV does."""
        names = [name for name in sorted(self.entries) if name.startswith(prefix) and name > (cursor or "")]
        return names[:1_000], names[999] if len(names) > 1_000 else None


class Service:
    """What a conversation with the service needs, whichever ring it runs in. `url` has no trailing slash."""

    url = "http://localhost:8787"

    def ago(self, minutes: int) -> str:
        """The instant that lies so far back by the clock of this ring, for what asks about the last days."""
        return format_instant(self._now_ms() - minutes * 60_000)

    def _now_ms(self) -> int:
        return int(time.time() * 1000)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        raise NotImplementedError

    def get(self, path: str, key: str | None = None, **headers: str) -> Answer:
        return self.request("GET", path, headers=_headers(key, headers))

    def post(self, path: str, value: Any, key: str | None = None, **headers: str) -> Answer:
        """POSTs JSON. Header names are written with underscores: `user_agent="…"`."""
        given = {"content-type": "application/json"} | _headers(key, headers)
        body = json.dumps(value).encode()
        answer = self.request("POST", path, headers=given, body=body)
        watch(path, given, body, answer)
        return answer

    def rpc(self, key: str, method: str, params: Any = None, path: str = "/mcp", **headers: str) -> Any:
        """The JSON-RPC message that answers a request."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method} | (
            {} if params is None else {"params": params}
        )
        return self.post(path, message, key, **headers).json

    def call(self, key: str, tool: str, path: str = "/mcp", /, **arguments: Any) -> Any:
        """A tool's result. `from_` stands for `from`."""
        given = {name.removesuffix("_"): value for name, value in arguments.items()}
        message = self.rpc(key, "tools/call", {"name": tool, "arguments": given}, path)
        assert "result" in message, message
        return message["result"]

    def rows(self, key: str, tool: str, path: str = "/mcp", /, **arguments: Any) -> Any:
        """What `content[0].text` of a tool's answer holds."""
        result = self.call(key, tool, path, **arguments)
        assert not result.get("isError"), result
        return json.loads(result["content"][0]["text"])

    def read(self, key: str, uri: str, path: str = "/mcp") -> Any:
        """What the text of a resource holds."""
        return json.loads(
            self.rpc(key, "resources/read", {"uri": uri}, path)["result"]["contents"][0]["text"]
        )

    def track(self, key: str, *events: Mapping[str, Any], **headers: str) -> None:
        """Stores events through POST /v1/batch."""
        answer = self.post("/v1/batch", {"events": list(events)}, key, **headers)
        assert answer.status == 202, answer.text


@dataclass
class InProcess(Service):
    """The application called as a function. `now` is its clock; `log` what it logged."""

    now: str = NOW
    db: Sqlite = field(default_factory=lambda: Sqlite(schema=(ROOT / "schema.sql").read_text()))
    kv: Namespace = field(default_factory=Namespace)
    log: list[tuple[str, BaseException]] = field(default_factory=list)
    logged_ids: list[str] = field(default_factory=list)
    slept_ms: list[int] = field(default_factory=list)
    deferred: list[Awaitable[None]] = field(default_factory=list)
    #: Off, as with RATE_LIMITS = "off": time stands still here. tests/test_limits.py turns them on.
    limits: RateLimits = field(default_factory=lambda: RateLimits(Buckets(), rates={}))
    faults: Faults = field(default_factory=Faults)
    #: A loop of its own for each request, unless told.
    run: Callable[[Coroutine[Any, Any, Answer]], Answer] = asyncio.run

    def __post_init__(self) -> None:
        self.key_cache: RecordCache[Any] = RecordCache()
        self.account_cache: RecordCache[Any] = RecordCache()
        self.noticed = Noticed()
        self.health = Health()
        self.app = App(self.wiring())

    def wiring(self, secret: bytes = cursor_secret(bytes.fromhex(PEPPER))) -> Wiring:
        database = Patient(self.faults.of(self.db), self._sleep, lambda: 0.5, self._now_ms)
        namespace = self.faults.of_kv(self.kv)
        keys = KvKeyStore(
            namespace, database, self.key_cache, self.account_cache, self._now_ms, look_ups(), KV_BUDGET_S
        )
        events = SqlEventStore(
            database,
            self.deferred.append,
            mark=subject_mark(bytes.fromhex(PEPPER)),
            tombstones=self._tombstones(),
        )
        return Wiring(
            events=events,
            pages=EventPages(events, secret),
            exports=ExportPages(events, secret),
            erasures=ErasureTokens(erasure_secret(bytes.fromhex(PEPPER))),
            gate=Gate(keys, {1: bytes.fromhex(PEPPER)}),
            ip_hash_salt=SALT,
            now_ms=self._now_ms,
            log=self._write,
            limits=self.limits,
            watch=Watch(SqlAuditLog(database), self.noticed, self.deferred.append),
            check_store=lambda: self.health.check(database, self._now_ms()),
        )

    def erasures(self) -> Erasures:
        return Erasures(self._tombstones(), self.faults.of(self.db), subject_mark(bytes.fromhex(PEPPER)))

    def _tombstones(self) -> Tombstones:
        secret = tombstone_secret(bytes.fromhex(PEPPER))
        return Tombstones(self.faults.of_kv(self.kv), secret, self._now_ms, KV_BUDGET_S)

    def _write(self, event: str, error: BaseException, request_id: str = "") -> None:
        self.log.append((event, error))
        self.logged_ids.append(request_id)

    async def _sleep(self, seconds: float) -> None:
        self.slept_ms.append(round(seconds * 1000))

    def _now_ms(self) -> int:
        return parse_instant(self.now)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        async def read_body(limit: int) -> bytes | None:
            return None if len(body) > limit else body

        given = {"host": "localhost:8787"} | {name.lower(): value for name, value in (headers or {}).items()}
        country = given.pop("x-test-country", "")

        async def answer() -> Answer:
            response = await self.app.handle(Request(method, self.url + path, given, read_body, country))
            pieces = [] if response.stream is None else [piece async for piece in response.stream]
            while self.deferred:
                try:
                    await self.deferred.pop(0)
                except Exception as error:  # nobody waits for it: logged, as src/entry.py does
                    self.log.append(("deferred_failed", error))
            body = response.body + "".join(pieces)
            scanned(response.status, response.headers, body)
            return Answer(response.status, response.headers, body)

        return self.run(answer())

    def forget_records(self) -> None:
        """As in an isolate that has just begun: no key and no account is remembered."""
        self.key_cache._entries.clear()
        self.account_cache._entries.clear()

    def fold(self) -> None:
        """Moves what waits in the inbox into the tables, for tests that look at those themselves."""
        asyncio.run(self.wiring().events.fold_waiting())

    def everything_stored(self) -> str:
        """Every value of every table, and all of KV, as one text to search."""
        tables = self.db.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [row for (name,) in tables for row in self.db.connection.execute(f'SELECT * FROM "{name}"')]
        return "\n".join([*(repr(tuple(row)) for row in rows), *map(repr, self.kv.entries.items())])

    def account(self, plan: str = "business", *projects: str) -> dict[str, Any]:
        """A new account in the shape of dev-keys.json; one project `Site` unless told."""
        names = projects or ("Site",)
        (number,) = self.db.connection.execute("SELECT coalesce(max(number), 0) + 1 FROM projects").fetchone()
        wanted = [(provision.slug_of(name), name) for name in names]
        keys, change = provision.new_account("Test", plan, wanted, ["https://site.example"], number, None)
        self.apply(change)
        return keys

    def apply(self, change: provision.Change) -> None:
        """Carries out a change of dev/provision.py, as dev/apply.mjs does."""
        with sqlite3_transaction(self.db.connection) as connection:
            for statement in change["d1"]:
                connection.execute(statement["sql"], statement["params"])
        for entry in change["kv"]:
            self.kv.entries[entry["key"]] = entry["value"]


class sqlite3_transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN")
        return self._connection

    def __exit__(self, kind: object, *_rest: object) -> None:
        self._connection.execute("ROLLBACK" if kind else "COMMIT")


def _headers(key: str | None, given: Mapping[str, str]) -> dict[str, str]:
    headers = {name.replace("_", "-"): value for name, value in given.items()}
    return headers | ({"authorization": f"Bearer {key}"} if key else {})
