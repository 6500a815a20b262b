"""Houses for generated histories: one database, emptied between examples, so that SQLite compiles a statement once.

Everything else of a house is new each time: its application, its caches, its KV.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from tests.house import Answer, InProcess, Namespace, sqlite3_transaction

NAMES = ("Mine", "Neighbour")


class Template:
    """The state of a house with two projects, the second with events that no answer about the first may show."""

    def __init__(self, noise: Sequence[Mapping[str, Any]]) -> None:
        house = InProcess(now="2026-06-01T00:00:00Z")
        self.account = house.account("business", *NAMES)
        if noise:
            house.track(self.account["projects"][1]["sk"], *noise)
        self.database, self.kv = house.db, dict(house.kv.entries)
        master = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [row["name"] for row in self.database.connection.execute(master)]
        self.rows = {
            table: [tuple(row) for row in self.database.connection.execute(f'SELECT * FROM "{table}"')]
            for table in tables
        }

    def house(self, now: str) -> InProcess:
        """As it was at first. What a test wrote into a table that may only grow, the audit log, fails here."""
        with sqlite3_transaction(self.database.connection) as connection:
            for table, rows in self.rows.items():
                connection.execute(f'DELETE FROM "{table}"')
                if rows:
                    places = ",".join("?" * len(rows[0]))
                    connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)
        kv = Namespace()
        kv.entries |= self.kv
        return InProcess(now=now, db=self.database, kv=kv, run=_run)


def house_with(noise: Sequence[Mapping[str, Any]], now: str) -> tuple[InProcess, dict[str, Any]]:
    """A house with nothing but the noise, and the account of its two projects."""
    template = _template(json.dumps(noise))
    return template.house(now), template.account


@functools.cache
def _loop() -> asyncio.Runner:
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def _run(work: Coroutine[Any, Any, Answer]) -> Answer:
    return _loop().run(work)


@functools.cache
def _template(noise: str) -> Template:
    return Template(json.loads(noise))
