"""The pieces of SQL that questions share: numbered parameters, half-open windows, one project's events and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from analytics.window import Window, format_instant, parse_instant
from storage.sql_parts import Binder, days_of, in_window, named_in_window, of_visitor_days
from tests.house import InProcess

START, END = parse_instant("2026-05-02T06:00:00Z"), parse_instant("2026-05-04T18:00:00Z")
DAY_MS = 86_400_000
FIRST_DAY = 20_575


def all_events(binder: Binder, numbers: list[int], window: Window) -> str:
    return f"SELECT e.event_id AS id {in_window(binder, numbers, window)}"


def those_named(binder: Binder, numbers: list[int], window: Window) -> str:
    days, source = named_in_window(binder, numbers, window, ["bought", "never"])
    return f"WITH RECURSIVE {days} SELECT e.event_id AS id {source}"


def those_of_days(binder: Binder, numbers: list[int], window: Window) -> str:
    (number,) = numbers
    was = f"was AS (SELECT project, visitor, day FROM visitor_days WHERE project = {binder.bind(number)})"
    return f"WITH {was} SELECT e.event_id AS id {of_visitor_days(binder, 'was', window)}"


@pytest.fixture(scope="module")
def house() -> InProcess:
    """Two projects with an event of each of two names at every edge of the window and of its days, and far outside."""
    house = InProcess()
    instants = {
        "long before": START - DAY_MS, "before": START - 1, "first": START, "within": START + DAY_MS,
        "last": END - 1, "end": END, "long after": END + DAY_MS,
    }  # fmt: skip
    for number, project in enumerate(house.account("business", "One", "Two")["projects"], 1):
        events = [
            {
                "event": name,
                "event_id": f"{number} {name} {place}",
                "anonymous_id": "v",
                "timestamp": format_instant(at),
            }
            for place, at in instants.items()
            for name in ("bought", "seen")
        ]
        house.track(project["sk"], *events)
    house.fold()
    return house


def ask(house: InProcess, binder: Binder, sql: str) -> list[dict[str, Any]]:
    (result,) = asyncio.run(house.db.batch([binder.statement(sql)]))
    return result.rows


def numbers_of(house: InProcess) -> list[int]:
    rows = house.db.connection.execute("SELECT number FROM projects ORDER BY number")
    return [row["number"] for row in rows]


@pytest.mark.parametrize(
    ("question", "names"),
    [(all_events, ("bought", "seen")), (those_named, ("bought",)), (those_of_days, ("bought", "seen"))],
)
def test_a_window_holds_its_start_and_not_its_end(
    house: InProcess, question: Callable[[Binder, list[int], Window], str], names: tuple[str, ...]
) -> None:
    for place, number in enumerate(numbers_of(house), 1):
        binder = Binder()
        found = ask(house, binder, question(binder, [number], Window(START, END)))
        expected = {f"{place} {name} {when}" for name in names for when in ("first", "within", "last")}
        assert sorted(row["id"] for row in found) == sorted(expected)


def test_the_days_of_a_window_are_those_it_touches(house: InProcess) -> None:
    for window, days in (
        (Window(START, END), 3),
        (Window(START, START + 1), 1),
        (Window(START, START - START % DAY_MS + DAY_MS), 1),
    ):
        binder = Binder()
        rows = ask(house, binder, f"WITH RECURSIVE {days_of(binder, window)} SELECT day FROM days")
        assert [row["day"] for row in rows] == list(range(FIRST_DAY, FIRST_DAY + days))


def test_a_window_is_read_along_its_days(house: InProcess) -> None:
    binder = Binder()
    plan = ask(
        house, binder, f"EXPLAIN QUERY PLAN {all_events(binder, numbers_of(house), Window(START, END))}"
    )
    assert any("(project=? AND day>? AND day<?)" in row["detail"] for row in plan)


def test_equal_values_are_bound_once_and_equal_is_also_the_type() -> None:
    binder = Binder()
    assert [binder.bind(value) for value in (1, "a", "a", 1, 1.0, "1", 1.0)] == [
        "?1",
        "?2",
        "?2",
        "?1",
        "?3",
        "?4",
        "?3",
    ]
    assert binder.statement("SELECT 1").parameters == (1, "a", 1.0, "1")
