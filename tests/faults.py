"""Stand-ins that fail on command: the n-th call to D1 or KV, before or after it took effect, with the words D1 uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.database import Database, Result, Statement
from tests.plans import watch

SCHEMA = (Path(__file__).parent.parent / "schema.sql").read_text()

#: What D1 says, by what it means. Source: security.md T-FLT-D1…D9.
D1_SAYS = {
    "transient": "D1_ERROR: Network connection lost.",
    "reset": "D1_ERROR: storage caused object to be reset.",
    "updated": "D1_ERROR: Durable Object reset because its code was updated.",
    "resolving": "D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.",
    "overloaded": "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
    "queued": "D1_ERROR: D1 DB is overloaded. Too many requests queued.",
    "too heavy": "D1_ERROR: D1 DB exceeded its CPU time limit and was reset: exceeded timeout",
    "full": "D1_ERROR: Exceeded maximum DB size: SQLITE_FULL",
    "not ready": "D1_ERROR: no such table: api_keys at offset 12: SQLITE_ERROR",
    "unforeseen": "D1_TYPE_ERROR: Type 'object' not supported for value '[object Object]'",
}


@dataclass
class Faults:
    """Which calls fail. `d1(n, statements)` and `kv(n)` name what befalls the n-th call (from 1), or None.

    D1: a key of D1_SAYS, followed by " late" when the batch took effect all the same. KV: "throws", "hangs", or the text
    that is answered instead.
    """

    d1: Callable[[int, Sequence[Statement]], str | None] = lambda _number, _statements: None
    kv: Callable[[int], str | None] = lambda _number: None
    d1_calls: int = 0
    kv_calls: int = 0
    tried: list[Sequence[Statement]] = field(default_factory=list)

    def of(self, database: Database) -> Database:
        return _FailingDatabase(self, database)

    def of_kv(self, namespace: Any) -> Any:
        return _FailingNamespace(self, namespace)

    @property
    def d1_asked(self) -> int:
        """Calls to D1 but for what is written down after an answer: the use of a key, a refusal."""
        return sum(not _written_down(statements) for statements in self.tried)

    def reset(self) -> None:
        """No more faults; counting starts over."""
        self.__init__()  # type: ignore[misc]  # every field back to its default


def _written_down(statements: Sequence[Statement]) -> bool:
    words = ("UPDATE api_keys SET last_used_at", "\nINSERT INTO audit_entries")
    return len(statements) == 1 and any(word in statements[0].sql for word in words)


@dataclass
class _FailingDatabase:
    faults: Faults
    database: Database

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        self.faults.d1_calls += 1
        self.faults.tried.append(statements)
        for one in statements:
            watch(SCHEMA, one.sql, one.parameters)
        fault = self.faults.d1(self.faults.d1_calls, statements)
        if fault is None:
            return await self.database.batch(statements)
        if fault.endswith(" late"):
            await self.database.batch(statements)
        raise RuntimeError(D1_SAYS[fault.removesuffix(" late")])


@dataclass
class _FailingNamespace:
    faults: Faults
    namespace: Any

    async def get(self, name: str) -> str | None:
        self.faults.kv_calls += 1
        fault = self.faults.kv(self.faults.kv_calls)
        if fault is None:
            text: str | None = await self.namespace.get(name)
            return text
        if fault == "throws":
            raise RuntimeError("KV GET failed: 503 Service Unavailable")
        if fault == "hangs":
            await asyncio.sleep(30)
        return fault

    async def put(self, name: str, text: str, expiration_s: int | None = None) -> None:
        self.faults.kv_calls += 1
        if self.faults.kv(self.faults.kv_calls):
            raise RuntimeError("KV PUT failed: 503 Service Unavailable")
        await self.namespace.put(name, text, expiration_s)

    async def list(self, prefix: str, cursor: str | None) -> Any:
        self.faults.kv_calls += 1
        if self.faults.kv(self.faults.kv_calls):
            raise RuntimeError("KV LIST failed: 503 Service Unavailable")
        return await self.namespace.list(prefix, cursor)
