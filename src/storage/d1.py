"""Database on a D1 binding: the one place that knows how D1 answers. How it fails: faults.py; trying again: patient.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic_core import from_json

from storage.bundle import rows_of
from storage.database import Result, Statement


class D1:
    """The port over D1's batch: `send` runs statements and gives the JSON text of D1's answer."""

    def __init__(self, send: Callable[[Sequence[Statement]], Awaitable[str]]) -> None:
        self._send = send

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        answer = from_json(await self._send(statements))
        return [_result(*one) for one in zip(statements, answer, strict=True)]


def _result(statement: Statement, result: dict[str, Any]) -> Result:
    meta = result["meta"]
    return Result(
        rows=rows_of(statement, result["results"]),
        changes=meta.get("changes") or 0,
        rows_read=meta.get("rows_read") or 0,
        rows_written=meta.get("rows_written") or 0,
    )
