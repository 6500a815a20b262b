"""Database on a D1 binding: the one place that knows how D1 answers and how it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.store import QueryTooHeavyError, StoreUnavailableError
from storage.database import Result, Statement

#: Fragments of D1's own messages. Source: workers-platform.md §2.7, and Cloudflare's D1 debugging page.
_TOO_HEAVY: Final = (
    "exceeded timeout",
    "exceeded its CPU",
    "exceeded its memory",
    "SQLITE_TOOBIG",
    "out of memory",
)
_UNAVAILABLE: Final = (
    "Network connection lost",
    "storage caused object to be reset",
    "reset because its code was updated",
    "Internal error",
    "internal error",
    "Cannot resolve D1",
    "overloaded",
    "Too many requests queued",
    "database is locked",
    "SQLITE_BUSY",
)


class D1:
    """The port over `env.DB`, as the Workers SDK wraps it."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        prepared = [self._binding.prepare(one.sql).bind(*one.parameters) for one in statements]
        try:
            results = await self._binding.batch(prepared)
        except Exception as error:
            raise _named(error) from error
        return [_result(result) for result in results]


def _result(result: Any) -> Result:
    meta = result["meta"]
    return Result(
        rows=result["results"],
        changes=meta.get("changes") or 0,
        rows_read=meta.get("rows_read") or 0,
        rows_written=meta.get("rows_written") or 0,
    )


def _named(error: Exception) -> Exception:
    text = str(error)
    if any(fragment in text for fragment in _TOO_HEAVY):
        return QueryTooHeavyError("the question exceeds the database's limits")
    if any(fragment in text for fragment in _UNAVAILABLE):
        return StoreUnavailableError("the database did not answer")
    return error
