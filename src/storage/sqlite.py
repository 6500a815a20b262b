"""Database on the standard library's sqlite3, under D1's limits and with D1's binding rules: the fast ring of tests."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from storage.bundle import rows_of
from storage.database import Parameter, Result, Statement

#: Source: workers-platform.md §3.2; workerd refuses what exceeds them.
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 127,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
}
_MAX_SAFE: Final = 2**53 - 2


class Sqlite:
    """The port over a sqlite3 connection."""

    def __init__(self, path: str = ":memory:", schema: str = "") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        for limit, value in _LIMITS.items():
            self.connection.setlimit(limit, value)
        self.connection.executescript(schema)

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            results = [self._run(statement) for statement in statements]
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return results

    def _run(self, statement: Statement) -> Result:
        before = self.connection.total_changes
        cursor = self.connection.execute(statement.sql, [_bound(value) for value in statement.parameters])
        rows = [{name: _read(row[name]) for name in row.keys()} for row in cursor.fetchall()]  # noqa: SIM118  iterating a Row gives its values
        changes = self.connection.total_changes - before
        return Result(rows=rows_of(statement, rows), changes=changes, rows_read=0, rows_written=changes)


def _bound(value: Parameter) -> Any:
    """As D1 binds: every number is a double, NaN and infinity become NULL, and big integers are refused."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE:
            raise TypeError("D1_TYPE_ERROR: Type 'bigint' not supported")
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, float)):
        return value
    raise TypeError(f"D1_TYPE_ERROR: Type '{type(value).__name__}' not supported")


def _read(value: Any) -> Any:
    """As D1 reads: numbers pass through a double, and an integral one comes back as an int."""
    if isinstance(value, int):
        value = float(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value
