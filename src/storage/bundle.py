"""Rows handed over as JSON text. D1 takes longer to hand over a value than SQLite to count it: 64 rows of five values cost
0.3 ms, as one text 0.1 (docs/performance.md). So what is asked most bundles its rows: all of an answer in one text, or, if
they are long, each in its own. One value may have 2 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pydantic_core import from_json

from storage.database import Statement

#: So many rows of texts that are cut at 128 characters are far below that.
MOST_ROWS: Final = 200


def bundled(statement: Statement, columns: Iterable[str]) -> Statement:
    """The same statement with its rows as one text. `columns` are all of its columns; none is a REAL, which JSON shows as
    1.0 where D1 shows 1. Its rows are at most some MOST_ROWS; because it limits them, SQLite keeps them in order."""
    bundle = f"json_group_array({_listed(columns)})"
    return Statement(
        f"SELECT {bundle} AS bundle FROM ({statement.sql})", statement.parameters, tuple(columns)
    )


def row_bundle(values: Iterable[str]) -> str:
    """The bundle of a row: a list of it alone."""
    return f"json_array({_listed(values)})"


def _listed(values: Iterable[str]) -> str:
    return f"json_array({', '.join(values)})"


def rows_of(statement: Statement, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a statement, whichever way D1 handed them over."""
    if not statement.columns:
        return rows
    bundles: list[list[list[Any]]] = from_json(f"[{','.join(row['bundle'] for row in rows)}]")
    return [dict(zip(statement.columns, values, strict=True)) for bundle in bundles for values in bundle]
