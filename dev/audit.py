"""The audit log: what was done to accounts, projects and keys, each row chained to the one before. No I/O.

What it shows: a row that was changed, removed or put between others. What it cannot show: that the last rows are missing,
unless somebody wrote down the last hash; `npm run audit` prints it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

FIRST: Final = "0" * 64

LAST: Final = "SELECT hash FROM audit_log ORDER BY id DESC LIMIT 1"
ALL: Final = "SELECT id, at, action, target, prev_hash, hash FROM audit_log ORDER BY id LIMIT 100000"


def entry(last: Sequence[dict[str, Any]], at_ms: int, action: str, target: str) -> dict[str, Any]:
    """The statement that records an action, to run with its effect. `last` is what `LAST` found."""
    previous = last[0]["hash"] if last else FIRST
    return {
        "sql": "INSERT INTO audit_log (at, action, target, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
        "params": [at_ms, action, target, previous, _hash(previous, at_ms, action, target)],
    }


def first_broken(rows: Sequence[dict[str, Any]]) -> int | None:
    """The id of the first row that does not follow from the one before, of all rows in order."""
    previous = FIRST
    for row in rows:
        made = _hash(previous, row["at"], row["action"], row["target"])
        if row["prev_hash"] != previous or row["hash"] != made:
            return int(row["id"])
        previous = made
    return None


def _hash(previous: str, at_ms: int, action: str, target: str) -> str:
    return hashlib.sha256(json.dumps([previous, int(at_ms), action, target]).encode()).hexdigest()
