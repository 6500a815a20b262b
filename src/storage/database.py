"""The Database port: statements in, rows out, one round trip a batch. Adapters: d1.py (Workers), sqlite.py (tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

#: What can cross to D1 as it is. An int arrives in SQLite as REAL: compare it with INTEGER columns, or CAST it.
Parameter = str | int | float | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and the values of its `?1 ?2 …`. `columns` are those of rows that it gives as text (bundle.py)."""

    sql: str
    parameters: tuple[Parameter, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement gave. `changes` are rows inserted, updated or deleted; the rest is D1's own bill."""

    rows: list[dict[str, Any]]
    changes: int
    rows_read: int
    rows_written: int


class Database(Protocol):
    """A D1 database.

    Errors: StoreUnavailableError, QueryTooHeavyError; anything else is a bug of ours and passes through.
    """

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        """Runs the statements in order, in one transaction and one round trip."""
