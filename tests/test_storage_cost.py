"""What an event takes of the database, counted: bytes in its pages and rows that D1 bills. Nothing is timed."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from analytics.scope import Project, Scope
from bench.data import BATCH_EVENTS, Event, Generator
from bench.ours import store_chunk
from tests.house import InProcess

#: The first events of the busiest project of the benchmark with a million: about a day.
EVENTS = 6_000
#: Rows are counted when the first texts and visitors are there.
WARM = 3_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    generator = Generator(1_000_000, 20_590)
    return list(islice((event for event in generator.events() if event.place == 0), EVENTS))


def scope_of(house: InProcess) -> Scope:
    keys = house.account("business")
    (key,) = house.db.connection.execute("SELECT id FROM api_keys WHERE kind = 'sk'").fetchone()
    project = keys["projects"][0]
    return Scope(key, keys["account"]["id"], (Project(1, project["id"], project["slug"], project["name"]),))


def pages_bytes(house: InProcess) -> int:
    """The size of the database: whole pages, with what is free in them and every index."""
    (pages,), (size,) = (
        house.db.connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
    )
    return int(pages * size)


def rows_of(house: InProcess, table: str) -> int:
    (count,) = house.db.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def test_an_event_of_a_busy_project_takes_few_bytes_and_few_written_rows(events: list[Event]) -> None:
    """Everything included: an event's own row, the roll-ups, texts, visitors. docs/performance.md has larger figures."""
    house = InProcess()
    scope = scope_of(house)
    empty = pages_bytes(house)
    written, texts = 0, 0
    for start in range(0, EVENTS, BATCH_EVENTS):
        if start == WARM:
            written, texts = house.db.connection.total_changes, rows_of(house, "dictionary")
        asyncio.run(store_chunk(house.db, scope, events[start : start + BATCH_EVENTS]))
    assert rows_of(house, "events") == EVENTS
    indexed = rows_of(house, "dictionary") - texts  # its index is a row of D1's bill, too
    assert (house.db.connection.total_changes - written + indexed) / (EVENTS - WARM) <= 2.1
    assert (pages_bytes(house) - empty) / EVENTS <= 215
