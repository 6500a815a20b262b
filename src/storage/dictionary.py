"""The dictionary: texts that events repeat, kept once per project, and the hashes that stand for ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from storage.database import Statement

#: The dictionary's kinds. Stored numbers: never renumber, only add.
KINDS: Final[dict[str, int]] = {
    "event_name": 1,
    "source": 2,
    "medium": 3,
    "campaign": 4,
    "country": 5,
    "device_type": 6,
    "browser": 7,
    "os": 8,
    "path": 9,
    "rule": 10,
    "site": 11,
}

#: The column of `events` that holds the id of each kind of text.
COLUMNS: Final[dict[str, str]] = {kind: "name" if kind == "event_name" else kind for kind in KINDS}


def hash63(text: str) -> int:
    """A 63-bit hash that stands for an id in keys; it crosses to SQLite inside JSON text, where it stays exact."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) >> 1


#: Along the key of the dictionary, so that it costs what it gives. ?4 is the first text beyond the prefix.
_VALUES: Final = """
SELECT DISTINCT text.value FROM json_each(?1) AS p CROSS JOIN dictionary AS text
 WHERE text.project = p.value AND text.kind = ?2 AND text.value >= ?3 AND text.value < ?4
 ORDER BY text.value LIMIT ?5"""


def select_values(numbers: Sequence[int], kind: str, prefix: str, limit: int) -> Statement:
    """Rows `value`: the texts of a kind that begin with `prefix`."""
    beyond = prefix + "\U0010ffff"
    return Statement(_VALUES, (json.dumps(list(numbers)), KINDS[kind], prefix, beyond, limit))
