"""Database on a D1 binding: the one place that knows how D1 answers. How it fails: faults.py; trying again: patient.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.database import Result, Statement


class D1:
    """The port over `env.DB`, as the Workers SDK wraps it."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        prepared = [self._binding.prepare(one.sql).bind(*one.parameters) for one in statements]
        return [_result(result) for result in await self._binding.batch(prepared)]


def _result(result: Any) -> Result:
    meta = result["meta"]
    return Result(
        rows=result["results"],
        changes=meta.get("changes") or 0,
        rows_read=meta.get("rows_read") or 0,
        rows_written=meta.get("rows_written") or 0,
    )
