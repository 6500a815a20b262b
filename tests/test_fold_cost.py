"""What a fold costs, in instructions of SQLite's virtual machine: counted, and so the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from analytics.window import MS_PER_DAY, format_instant, parse_instant
from storage import event_store
from tests.house import InProcess

START = parse_instant("2026-02-01T12:00:00Z")
#: SQLite tells after so many instructions.
STEP = 100


@pytest.fixture(autouse=True)
def no_fold_but_those_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "FOLD_AT_ONCE", 10**9)
    monkeypatch.setattr(event_store, "FOLD_ONE_IN", 2**64)


def seen(visitors: int, days: Iterable[int]) -> list[dict[str, Any]]:
    """One event of each visitor on each day."""
    return [
        {
            "event": "view",
            "anonymous_id": f"v{visitor}",
            "timestamp": format_instant(START + day * MS_PER_DAY),
        }
        for day in days
        for visitor in range(visitors)
    ]


def instructions(*requests: list[dict[str, Any]]) -> list[int]:
    """What each fold takes when the requests are folded one by one."""
    house = InProcess()
    key = house.account("business")["projects"][0]["sk"]
    counts = []
    for events in requests:
        for start in range(0, len(events), 1_000):
            house.track(key, *events[start : start + 1_000])
        ticks: list[None] = []
        house.db.connection.set_progress_handler(lambda ticks=ticks: ticks.append(None), STEP)  # type: ignore[misc]
        house.fold()
        house.db.connection.set_progress_handler(None, 0)
        counts.append(len(ticks) * STEP)
    return counts


def test_a_new_day_costs_the_same_however_often_its_visitors_were_there_before() -> None:
    _, seldom = instructions(seen(20, range(70, 75)), seen(20, [90]))
    _, often = instructions(seen(20, range(90)), seen(20, [90]))
    assert often < seldom * 1.1


def test_an_event_costs_no_more_in_a_large_fold_also_when_its_visitor_brings_several_days() -> None:
    (small,) = instructions(seen(20, range(5)))
    (large,) = instructions(seen(200, range(5)))
    assert large < small * 10 * 1.3
