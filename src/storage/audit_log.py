"""The audit log in D1: entries, written in the batch of what they tell of, and the seals over them (access/audit.py).

Beside it when a key was last used, which is written as seldom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final

from access.audit import BEFORE_ALL, COLUMNS, KEPT_MS, AuditEntry, Seal, first_broken, sealed
from analytics.scope import Scope
from storage.database import Database, Statement
from storage.guard import MAY_WRITE

#: What one seal covers at most, and how far back the daily check goes.
ENTRIES_PER_SEAL: Final = 1_000
CHECKED_SEALS: Final = 300
CHECKED_ENTRIES: Final = 5_000
#: Clocks differ: an entry is deleted a day after the trigger of schema.sql allows it.
_SPARE_MS: Final = 86_400_000

_COLUMNS: Final = ", ".join(COLUMNS)
_SEAL_COLUMNS: Final = "upto, newest_at, entries_hash, prev_hash, hash"


def _insert(entry: str, condition: str) -> str:
    """Adds the entry that a JSON object in the parameter `entry` describes, unless it is there already."""
    values = ", ".join(f"{entry} ->> '{name}'" for name in COLUMNS if name not in ("id", "at"))
    return f"""
INSERT INTO audit_entries (at, {", ".join(name for name in COLUMNS if name not in ("id", "at"))})
SELECT coalesce({entry} ->> 'at', unixepoch() * 1000), {values}
 WHERE {condition}
ON CONFLICT (entry) DO NOTHING"""


_RECORD: Final = _insert("?1", "true")
_RECORD_WRITE: Final = _insert("?3", MAY_WRITE)

LAST_SEAL: Final = f"SELECT {_SEAL_COLUMNS} FROM audit_seals ORDER BY upto DESC LIMIT 1"
UNSEALED: Final = f"""
SELECT {_COLUMNS} FROM audit_entries
 WHERE id > (SELECT coalesce(max(upto), 0) FROM audit_seals) ORDER BY id LIMIT {ENTRIES_PER_SEAL}"""
_ADD_SEAL: Final = (
    f"INSERT INTO audit_seals ({_SEAL_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING"
)

#: For `npm run audit`, which looks at everything.
EVERY_SEAL: Final = f"SELECT {_SEAL_COLUMNS} FROM audit_seals ORDER BY upto"
EVERY_ENTRY: Final = f"SELECT {_COLUMNS} FROM audit_entries ORDER BY id"

_NEWEST_SEALS: Final = f"SELECT {_SEAL_COLUMNS} FROM audit_seals ORDER BY upto DESC LIMIT {CHECKED_SEALS}"
_ENTRIES_BETWEEN: Final = f"""
SELECT {_COLUMNS} FROM audit_entries WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT {CHECKED_ENTRIES}"""

_PRUNE: Final = """
DELETE FROM audit_entries
 WHERE id <= (SELECT max(upto) FROM audit_seals
               WHERE upto < coalesce((SELECT upto FROM audit_seals WHERE newest_at >= ?1 ORDER BY upto LIMIT 1), 9e18))"""


#: At most one write an hour for each key, whatever the number of isolates.
_USED: Final = """
UPDATE api_keys SET last_used_at = ?2
 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?2 - 3600000)"""


def record(entry: AuditEntry) -> Statement:
    """The statement that adds an entry; to run with its effect."""
    return Statement(_RECORD, (entry.as_json(),))


def record_write(scope: Scope, entry: AuditEntry) -> Statement:
    """The same for what a key does to its one project: without the right to do it, there is no entry either."""
    (project,) = scope.numbers
    return Statement(_RECORD_WRITE, (scope.key_id, project, entry.as_json()))


def add_seal(seal: Seal) -> Statement:
    """The statement that adds a seal; of two that follow the same one, the first stays."""
    return Statement(_ADD_SEAL, astuple(seal))


class SqlAuditLog:
    """The log as the jobs and the boundary use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, key_id: str, now_ms: int) -> None:
        """Notes that a key was used, if the last note is an hour old."""
        await self._database.batch([Statement(_USED, (key_id, now_ms))])

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        await self._database.batch([record(entry) for entry in entries])

    async def seal(self) -> None:
        """Seals what is not sealed yet."""
        while True:
            last, entries = await self._database.batch([Statement(LAST_SEAL), Statement(UNSEALED)])
            if not entries.rows:
                return
            await self._database.batch([add_seal(sealed(_first(last.rows), entries.rows))])
            if len(entries.rows) < ENTRIES_PER_SEAL:
                return

    async def first_broken(self, now_ms: int) -> int | None:
        """The last seals, held against their entries: the `upto` of the first that does not hold."""
        (newest,) = await self._database.batch([Statement(_NEWEST_SEALS)])
        seals = newest.rows[::-1]
        if not seals:
            return None
        whole = len(seals) < CHECKED_SEALS
        between = (BEFORE_ALL if whole else seals[0]["upto"], seals[-1]["upto"])
        (entries,) = await self._database.batch([Statement(_ENTRIES_BETWEEN, between)])
        if len(entries.rows) == CHECKED_ENTRIES:
            seals = [one for one in seals if one["upto"] <= entries.rows[-1]["id"]]
        return first_broken(seals, entries.rows, now_ms, whole=whole)

    async def prune(self, now_ms: int) -> None:
        """Deletes the entries of seals that are older than entries are kept; the seals stay, the chain stays whole."""
        await self._database.batch([Statement(_PRUNE, (now_ms - KEPT_MS - _SPARE_MS,))])


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None
