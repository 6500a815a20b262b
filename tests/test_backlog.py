"""A read sees everything acknowledged before it, and folds only when something waits; usually in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from storage.backlog import MAX_GUESSES, Backlog
from storage.database import Statement
from tests.house import InProcess
from web.app import App

MAY = "from=2026-05-01&to=2026-06-01"
FOLDED = "INSERT INTO folds"


def event(name: str) -> dict[str, str]:
    return {"event": name, "timestamp": "2026-05-03T10:00:00Z", "anonymous_id": "v"}


def another_isolate(house: InProcess) -> App:
    """The same database and keys behind an application that has seen nothing yet."""
    return App(house.wiring())


def counted(house: InProcess, key: str) -> Any:
    return house.get(f"/v1/stats?{MAY}", key).json["rows"]


def round_trips(house: InProcess) -> list[bool]:
    """Of each batch behind the guard since the last time: whether it folded."""
    guarded = [statements for statements in house.faults.tried if "AS waiting" in statements[0].sql]
    tried = [any(FOLDED in one.sql for one in statements) for statements in guarded]
    house.faults.tried.clear()
    return tried


@pytest.fixture(autouse=True)
def no_fold_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small appends every so many'th is folded after its answer; here none is."""
    monkeypatch.setattr("storage.event_store.FOLD_ONE_IN", 2**64)


@pytest.fixture
def populated() -> tuple[InProcess, dict[str, Any]]:
    house = InProcess()
    keys = house.account()["projects"][0]
    house.track(keys["sk"], event("a"))
    house.fold()
    house.app = another_isolate(house)
    round_trips(house)
    return house, keys


def test_a_read_folds_only_when_something_waits(populated: tuple[InProcess, dict[str, Any]]) -> None:
    house, keys = populated
    assert counted(house, keys["rk"]) == [{"value": 1}]
    assert counted(house, keys["rk"]) == [{"value": 1}]
    assert round_trips(house) == [False, False]
    house.track(keys["sk"], event("b"))
    round_trips(house)
    assert counted(house, keys["rk"]) == [{"value": 2}]
    assert round_trips(house) == [True], "whoever wrote itself folds at once"
    assert counted(house, keys["rk"]) == [{"value": 2}]
    assert counted(house, keys["rk"]) == [{"value": 2}]
    assert round_trips(house) == [True, False], "and notices when there is nothing more"


def test_what_another_isolate_took_in_is_seen_in_a_second_round_trip(
    populated: tuple[InProcess, dict[str, Any]],
) -> None:
    house, keys = populated
    assert counted(house, keys["rk"]) == [{"value": 1}]
    here, there = house.app, another_isolate(house)
    for expected, trips in ((2, [False, True]), (3, [True]), (4, [True])):
        house.app = there
        house.track(keys["sk"], event(f"b{expected}"))
        house.app = here
        round_trips(house)
        assert counted(house, keys["rk"]) == [{"value": expected}]
        assert round_trips(house) == trips


def test_what_arrives_between_the_two_round_trips_is_seen_too(
    populated: tuple[InProcess, dict[str, Any]],
) -> None:
    house, keys = populated
    here, there = house.app, another_isolate(house)
    house.app = there
    house.track(keys["sk"], event("b"))
    (waiting,) = house.db.connection.execute("SELECT * FROM inbox").fetchall()
    house.app = here
    round_trips(house)

    def arrive(_number: int, statements: Sequence[Statement]) -> None:
        if any(FOLDED in one.sql for one in statements):
            late = {name: waiting[name] for name in waiting.keys()}  # noqa: SIM118  iterating a Row gives its values
            late |= {"grouped": 1, "identity": "later", "texts": late["texts"].replace('"b"', '"c"')}
            places = ", ".join("?" * len(late))
            house.db.connection.execute(
                f"INSERT INTO inbox ({', '.join(late)}) VALUES ({places})", list(late.values())
            )

    house.faults.d1 = arrive
    rows = house.get(f"/v1/stats?{MAY}&group_by=event_name", keys["rk"]).json["rows"]
    assert [row["event_name"] for row in rows] == ["a", "b", "c"]
    assert round_trips(house) == [False, True]


def test_a_key_revoked_between_the_two_round_trips_reads_nothing(
    populated: tuple[InProcess, dict[str, Any]],
) -> None:
    house, keys = populated
    here, there = house.app, another_isolate(house)
    house.app = there
    house.track(keys["sk"], event("b"))
    house.app = here
    round_trips(house)

    def revoke(_number: int, statements: Sequence[Statement]) -> None:
        if any(FOLDED in one.sql for one in statements):
            house.db.connection.execute("UPDATE api_keys SET status = 'revoked' WHERE kind = 'rk'")

    house.faults.d1 = revoke
    assert house.get(f"/v1/stats?{MAY}", keys["rk"]).status == 401
    assert round_trips(house) == [False, True]


def test_a_full_database_answers_what_was_folded_before_whatever_was_guessed(
    populated: tuple[InProcess, dict[str, Any]],
) -> None:
    house, keys = populated
    here, there = house.app, another_isolate(house)
    house.app = there
    house.track(keys["sk"], event("b"))
    house.faults.d1 = lambda _number, statements: (
        "full" if any(FOLDED in one.sql for one in statements) else None
    )
    for app, trips in ((here, [False, True, False]), (there, [True, False])):
        house.app = app
        round_trips(house)
        assert counted(house, keys["rk"]) == [{"value": 1}]
        assert round_trips(house) == trips


def test_an_account_learns_of_its_projects_together() -> None:
    house = InProcess()
    account = house.account("business", "One", "Two")
    house.track(account["projects"][1]["sk"], event("a"))
    for trips in ([False, True], [True], [False]):
        round_trips(house)
        rows = house.rows(
            account["account"]["ak"], "get_stats", "/mcp/account", from_="2026-05-01", to="2026-06-01"
        )
        assert [row["value"] for row in rows] == [1]
        assert round_trips(house) == trips


def test_guesses_are_few_and_the_latest() -> None:
    backlog = Backlog()
    for number in range(MAX_GUESSES + 2):
        backlog.note([number], waiting=True)
    backlog.note([2], waiting=True)
    backlog.note([3], waiting=False)
    assert [backlog.expects([number]) for number in (0, 1, 2, 3, MAX_GUESSES + 1)] == [
        False,
        False,
        True,
        False,
        True,
    ]
