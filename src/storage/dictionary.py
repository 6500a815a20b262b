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


#: So many names are looked at in search of the one that was meant, however many projects and names there are.
MAX_NEAR: Final = 200

#: The names of ?2 that no project of ?1 received, and along the key, both ways in turn, the names that stand next to each;
#: at most ?3 in all. A name that was meant mostly begins like the one that was written.
_UNKNOWN_EVENTS: Final = f"""
WITH RECURSIVE unknown (name) AS MATERIALIZED (
  SELECT asked.value FROM json_each(?2) AS asked
   WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) AS p CROSS JOIN dictionary AS sent
                      WHERE sent.project = p.value AND sent.kind = {KINDS["event_name"]} AND sent.value = asked.value)),
near (name, project, up, value) AS (
  SELECT unknown.name, p.value, way.value, unknown.name
    FROM unknown CROSS JOIN json_each(?1) AS p CROSS JOIN json_each('[0, 1]') AS way
  UNION ALL
  SELECT name, project, up, CASE up
         WHEN 1 THEN (SELECT above.value FROM dictionary AS above
                       WHERE above.project = near.project AND above.kind = {KINDS["event_name"]} AND above.value > near.value
                       ORDER BY above.value LIMIT 1)
         ELSE (SELECT below.value FROM dictionary AS below
                WHERE below.project = near.project AND below.kind = {KINDS["event_name"]} AND below.value < near.value
                ORDER BY below.value DESC LIMIT 1) END
    FROM near WHERE value IS NOT NULL LIMIT ?3)
SELECT DISTINCT name, value FROM near WHERE value IS NOT NULL"""


def select_unknown_events(numbers: Sequence[int], names: Sequence[str]) -> Statement:
    """Rows `name, value`: each name that was never received with itself, then with some that were, the nearest in the order
    of texts first.
    """
    # Both ways, for each name and project: where it begins, and where it finds the end, count as well.
    rows = MAX_NEAR + 4 * len(names) * len(numbers)
    return Statement(_UNKNOWN_EVENTS, (json.dumps(list(numbers)), json.dumps(list(names)), rows))


def select_values(numbers: Sequence[int], kind: str, prefix: str, limit: int) -> Statement:
    """Rows `value`: the texts of a kind that begin with `prefix`."""
    beyond = prefix + "\U0010ffff"
    return Statement(_VALUES, (json.dumps(list(numbers)), KINDS[kind], prefix, beyond, limit))
