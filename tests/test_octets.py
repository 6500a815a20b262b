"""Eight days in one row (src/storage/octets.py): what the rows hold, when they count, and what they save.

That every answer stays the same with and without them: tests/test_rollups.py, which adds days up at random moments.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from analytics.window import MS_PER_DAY, day_of, format_instant, parse_instant
from storage.octets import AT_ONCE, GRACE_DAYS
from storage.tiers import KIND_COLUMNS, OCTET_DAYS, OCTET_TAILS, TOTAL_KIND
from tests.house import InProcess
from tests.runtime import Runtime
from tests.test_rollups import START, Folded

FIRST = day_of(START)
LONG_AFTER = FIRST + 1_000


def add_up(house: InProcess, today: int = LONG_AFTER, first_day: int = FIRST) -> int:
    """How many octets the cron adds up on some day."""
    return asyncio.run(house.wiring().events.add_up_days(1, first_day, today))


def complete(house: InProcess | Folded) -> list[int]:
    """The octets that count."""
    found = house.db.connection.execute(
        f"SELECT octet FROM eight_days WHERE kind = {TOTAL_KIND} ORDER BY octet"
    )
    return [row["octet"] for row in found.fetchall()]


def true_rows(folded: Folded, octet: int) -> Iterator[tuple[Any, ...]]:
    """The rows of an octet, counted one event at a time: kind, a, b, events, t0 …"""
    ids = {
        (row["kind"], row["value"]): row["id"]
        for row in folded.db.connection.execute("SELECT id, kind, value FROM dictionary").fetchall()
    }
    first = octet * OCTET_DAYS
    for kind, columns in KIND_COLUMNS.items():
        days: dict[tuple[int, ...], dict[str, set[int]]] = {}
        events: dict[tuple[int, ...], int] = {}
        for event in folded.events:
            values = [event.event_name if one == "name" else getattr(event, one) for one in columns]
            kinds = [kind] if len(columns) == 1 else [2, 3]
            pair = [
                ids[of, value] if value is not None else 0 for of, value in zip(kinds, values, strict=False)
            ]
            key = (*pair, 0, 0)[:2]
            day = event.ts_ms // MS_PER_DAY
            days.setdefault(key, {}).setdefault(event.anonymous_id, set()).add(day)
            events[key] = events.get(key, 0) + (first <= day < first + OCTET_DAYS)
        for key, visitors in days.items():
            if not events[key]:
                continue
            tails = [
                sum(
                    any(first <= day < first + OCTET_DAYS for day in seen)
                    and not any(first - k <= day < first for day in seen)
                    for seen in visitors.values()
                )
                for k in range(OCTET_TAILS)
            ]
            yield kind, *key, events[key], *tails


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_of_an_octet_are_what_its_events_say(seed: int) -> None:
    chance = random.Random(seed)
    folded = Folded(chance, 150)
    asyncio.run(folded.store.fold_waiting())
    folded.add_all_up()
    octets = complete(folded)
    days = {event.ts_ms // MS_PER_DAY for event in folded.events}
    assert octets == sorted({day // OCTET_DAYS for day in days if day // OCTET_DAYS * OCTET_DAYS >= FIRST})
    tails = ", ".join(f"t{k}" for k in range(OCTET_TAILS))
    for octet in chance.sample(octets, 4):
        stored = folded.db.connection.execute(
            f"SELECT kind, a, b, events, {tails} FROM eight_days WHERE project = 1 AND octet = ?", [octet]
        )
        assert sorted(map(tuple, stored.fetchall())) == sorted(true_rows(folded, octet))


def tracked(house: InProcess, days: Sequence[int]) -> dict[str, str]:
    """A project with two visitors on each of some days, from the first day of an octet on."""
    keys: dict[str, str] = house.account("business")["projects"][0]
    if days:
        house.track(keys["sk"], *(event(day, visitor) for day in days for visitor in ("ann", "bob")))
        house.fold()
    return keys


def event(day: int, visitor: str) -> dict[str, Any]:
    at = format_instant((OCTET + day) * MS_PER_DAY + 1)
    return {
        "event": "e",
        "event_id": f"{day} {visitor}",
        "anonymous_id": visitor,
        "user_id": visitor,
        "timestamp": at,
    }


#: The first day of an octet.
OCTET = -(-day_of(parse_instant("2026-03-01")) // OCTET_DAYS) * OCTET_DAYS
NOW = format_instant((OCTET + 200) * MS_PER_DAY)


@pytest.fixture
def house() -> InProcess:
    return InProcess(now=NOW)


def octets(*places: int) -> list[int]:
    return [OCTET // OCTET_DAYS + place for place in places]


def sources(house: InProcess, keys: dict[str, str], start: int, stop: int) -> tuple[list[Any], int]:
    """The answer for some days, and how many steps of SQLite's virtual machine it took."""
    window = {
        "from_": format_instant((OCTET + start) * MS_PER_DAY),
        "to": format_instant((OCTET + stop) * MS_PER_DAY),
    }
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    house.db.connection.set_progress_handler(count, 1)
    result = house.call(keys["rk"], "top_sources", **window)["structuredContent"]
    house.db.connection.set_progress_handler(None, 0)
    assert result["meta"]["tier"] == "daily"
    return result["rows"], steps[0]


def test_an_octet_is_added_up_once_it_is_over_for_some_days(house: InProcess) -> None:
    tracked(house, range(20))
    last_day = OCTET + OCTET_DAYS - 1
    assert add_up(house, last_day + GRACE_DAYS - 1) == 0
    assert add_up(house, last_day + GRACE_DAYS) == 1
    assert complete(house) == octets(0)
    assert add_up(house, last_day + GRACE_DAYS) == 0, "it is there already"
    assert add_up(house, OCTET + 20) == 1
    assert complete(house) == octets(0, 1), "and the third is not over"


def test_an_octet_that_retention_cuts_is_not_added_up(house: InProcess) -> None:
    tracked(house, range(24))
    assert add_up(house, first_day=OCTET + 1) == 2
    assert complete(house) == octets(1, 2)


def test_one_run_adds_up_the_latest_and_the_next_one_the_rest(house: InProcess) -> None:
    tracked(house, range(0, (AT_ONCE + 2) * OCTET_DAYS, OCTET_DAYS))
    assert add_up(house) == AT_ONCE
    assert complete(house) == octets(*range(2, AT_ONCE + 2))
    assert add_up(house) == 2
    assert add_up(house) == 0


def test_a_late_event_takes_its_octet_back_and_those_whose_visitors_it_changes(house: InProcess) -> None:
    keys = tracked(house, [3, 12, 13, 20, 28])
    before, _ = sources(house, keys, 0, 32)
    assert add_up(house) == 4
    house.track(keys["sk"], event(9, "ann"))  # was new on day 12, and is not any more
    house.fold()
    assert complete(house) == octets(0, 2, 3)
    assert sources(house, keys, 0, 32)[0] == [{**before[0], "events": 11}]
    house.track(keys["sk"], event(15, "cat"))
    house.track(keys["sk"], event(24, "bob"))  # of the last octet; whose next day is in it, too
    house.fold()
    assert complete(house) == octets(0, 2)
    assert add_up(house) == 2
    assert sources(house, keys, 0, 32)[0] == [{**before[0], "events": 13, "uniques": 3}]


def test_an_event_at_the_end_of_an_octet_changes_the_next_one(house: InProcess) -> None:
    keys = tracked(house, [0, 9])
    add_up(house)
    house.track(keys["sk"], event(7, "ann"))
    house.fold()
    assert complete(house) == [], "t2 of day 9 has one visitor less"


def test_a_forgotten_person_is_in_no_octet(house: InProcess) -> None:
    keys = tracked(house, [3, 12])
    house.track(keys["sk"], event(20, "cat"))
    house.fold()
    assert add_up(house) == 3
    assert house.post("/v1/forget", {"user_id": "ann"}, keys["sk"]).json["deleted"] == 2
    assert complete(house) == octets(2)
    left = house.db.connection.execute("SELECT DISTINCT octet FROM eight_days").fetchall()
    assert [row["octet"] for row in left] == octets(2), "no sum that counts her stays"
    assert [row["uniques"] for row in sources(house, keys, 0, 24)[0]] == [2]
    add_up(house)
    assert [row["uniques"] for row in sources(house, keys, 0, 24)[0]] == [2]
    found = house.db.connection.execute(
        f"SELECT events, t0 FROM eight_days WHERE kind = {TOTAL_KIND} ORDER BY octet"
    )
    assert [tuple(row) for row in found.fetchall()] == [(1, 1), (1, 1), (1, 1)]


def test_retention_takes_octets_with_their_first_day(house: InProcess) -> None:
    tracked(house, range(24))
    assert add_up(house) == 3
    store = house.wiring().events
    first_day = OCTET + 3
    asyncio.run(store.set_retention(first_day + 800, {"business": 800}))
    asyncio.run(store.purge(1, first_day, first_day * MS_PER_DAY))
    left = house.db.connection.execute("SELECT DISTINCT octet FROM eight_days ORDER BY octet").fetchall()
    assert [row["octet"] for row in left] == complete(house) == octets(1, 2)


def of_many_sources(number: int, day: int, at_ms: int) -> dict[str, Any]:
    return {
        "event": "e",
        "event_id": f"{number} {day}",
        "anonymous_id": f"v{day % 7}",
        "url": f"https://site.example/?utm_source=source{number}&utm_medium=email",
        "timestamp": format_instant(at_ms),
    }


@pytest.mark.parametrize(
    ("start", "stop", "part"), [(0, 8, 0.7), (1, 31, 0.6), (3, 33, 0.5), (5, 90, 0.3), (0, 90, 0.3)]
)
def test_long_windows_take_fewer_steps_and_say_the_same(
    house: InProcess, start: int, stop: int, part: float
) -> None:
    """Also where SQLite would like to read all days of the window for each of them."""
    keys = tracked(house, ())
    for number in range(20):
        house.track(
            keys["sk"],
            *(of_many_sources(number, day, (OCTET + day) * MS_PER_DAY) for day in range(90)),
        )
    house.fold()
    sources(house, keys, start, stop)
    rows, steps = sources(house, keys, start, stop)
    while add_up(house):
        pass
    fewer_rows, fewer_steps = sources(house, keys, start, stop)
    assert fewer_rows == rows
    assert len(rows) == 20
    assert fewer_steps < steps * part


def test_a_run_that_fails_is_made_up_for_by_the_next(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked(house, range(24))
    batch, times = house.db.batch, [0]

    async def failing(statements: Any) -> Any:
        times[0] += 1
        if times[0] == 3:
            raise ConnectionError
        return await batch(statements)

    monkeypatch.setattr(house.db, "batch", failing)
    with pytest.raises(ConnectionError):
        add_up(house)
    assert complete(house) == octets(2)
    assert add_up(house) == 2
    assert complete(house) == octets(0, 1, 2)


@pytest.mark.worker
def test_the_cron_of_the_worker_adds_days_up(worker: Runtime) -> None:
    keys = worker.account("business")["projects"][0]
    now = int(time.time() * 1000)
    for number in range(20):
        worker.track(
            keys["sk"], *(of_many_sources(number, day, now - day * MS_PER_DAY) for day in range(2, 62))
        )
    midnight = now // MS_PER_DAY * MS_PER_DAY
    window = {"from_": format_instant(midnight - 60 * MS_PER_DAY), "to": format_instant(now)}

    def asked() -> tuple[Any, int]:
        answer = worker.call(keys["rk"], "top_sources", **window, limit=100)["structuredContent"]
        return answer["rows"], answer["meta"]["rows_read"]

    asked()  # folds what waits
    rows, read = asked()
    assert len(rows) == 20
    assert worker.get("/cdn-cgi/local/scheduled").status == 200
    again, fewer = asked()
    assert again == rows
    assert fewer < read / 2
    late = of_many_sources(0, 30, now - 30 * MS_PER_DAY) | {"event_id": "late", "anonymous_id": "somebody"}
    worker.track(keys["sk"], late)
    (changed,) = [row for row in asked()[0] if row not in rows]
    (was,) = [row for row in rows if row["source"] == changed["source"]]
    assert (changed["events"], changed["uniques"]) == (was["events"] + 1, was["uniques"] + 1)
