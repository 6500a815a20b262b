"""KV's copies of keys and accounts, brought up to date: what D1's batch noted as changed is written to KV until it is there.

Whoever changes a key writes KV too, and at once; when that fails, or is late and overtaken, this repairs it. D1 has the
last word meanwhile (storage/guard.py).
"""

from __future__ import annotations

import json
from typing import Final

from storage.database import Database, Statement
from storage.key_store import (
    KEY_COLUMNS,
    KeyValue,
    account_from_rows,
    account_name,
    account_to_json,
    expiration_s,
    key_from_row,
    key_name,
    key_to_json,
    select_account,
)

#: What one run writes at most. Each costs two statements to read and one write to KV.
COPIES_PER_RUN: Final = 40

NOTE_CHANGE: Final = """
INSERT INTO kv_pending (name, change) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET change = excluded.change"""

PENDING: Final = f"SELECT name, change FROM kv_pending ORDER BY change LIMIT {COPIES_PER_RUN}"
_KEYS: Final = f"{KEY_COLUMNS} WHERE k.prefix IN (SELECT value FROM json_each(?1))"
_DONE: Final = "DELETE FROM kv_pending WHERE name = ?1 AND change = ?2"

_ACCOUNT: Final = account_name("")


def note_change(name: str, change: str) -> Statement:
    """To run with a change of D1 that the KV record `name` copies. `change` is drawn anew for each."""
    return Statement(NOTE_CHANGE, (name, change))


class KvCopies:
    """Writes to KV what is pending."""

    def __init__(self, namespace: KeyValue, database: Database) -> None:
        self._namespace = namespace
        self._database = database

    async def catch_up(self, now_ms: int) -> int:
        """Writes some of the pending records as D1 has them; how many. One that fails stays pending, and is raised at last.

        What changes again meanwhile stays pending: its note is then another one.
        """
        (pending,) = await self._database.batch([Statement(PENDING)])
        if not pending.rows:
            return 0
        records = await self._records([row["name"] for row in pending.rows], now_ms)
        done, failure = list[Statement](), None
        for row in pending.rows:
            try:
                if row["name"] in records:
                    await self._namespace.put(row["name"], *records[row["name"]])
                done.append(Statement(_DONE, (row["name"], row["change"])))
            except Exception as error:
                failure = error
        if done:
            await self._database.batch(done)
        if failure is not None:
            raise failure
        return len(done)

    async def _records(self, names: list[str], now_ms: int) -> dict[str, tuple[str, int | None]]:
        """What KV should hold under each name that D1 knows, and until when. Read after the notes: never older than them."""
        accounts = [name.removeprefix(_ACCOUNT) for name in names if name.startswith(_ACCOUNT)]
        prefixes = json.dumps([name.rpartition(":")[2] for name in names if not name.startswith(_ACCOUNT)])
        statements = [Statement(_KEYS, (prefixes,))]
        for account_id in accounts:
            statements += select_account(account_id)
        keys, *rest = await self._database.batch(statements)
        records: dict[str, tuple[str, int | None]] = {}
        for row in keys.rows:
            record = key_from_row(row)
            name = key_name(record.kind, record.env, row["prefix"])
            records[name] = (key_to_json(record), expiration_s(record, now_ms))
        for account, projects in zip(rest[::2], rest[1::2], strict=True):
            if account.rows:
                owner = account_from_rows(account.rows[0], projects.rows)
                records[account_name(owner.id)] = (account_to_json(owner), None)
        return records
