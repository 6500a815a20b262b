"""Rows handed over as JSON text. D1 takes longer to hand over a value than SQLite to count it: 64 rows of five values cost
0.3 ms, as one text 0.1 (docs/performance.md). So what answers most questions bundles its rows: all of an answer in one
text, or each row in its own where one text might exceed what D1 lets a value be (2 MB).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic_core import from_json

from storage.database import Statement

#: So many rows of short texts are far below that.
_WHOLE: Final = 201


def bundled(statement: Statement, columns: Sequence[str], most_rows: int) -> Statement:
    """The same statement with its rows as text. `columns` are all of its columns; none is a REAL, which JSON would show as
    1.0 where D1 shows 1. It must order its rows itself, and limit them, so that SQLite keeps them in order."""
    bundle = f"json_group_array({_listed(columns)})" if most_rows <= _WHOLE else row_bundle(columns)
    return replace(statement, sql=f"SELECT {bundle} AS bundle FROM ({statement.sql})", columns=tuple(columns))


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
