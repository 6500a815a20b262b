"""Retention: what a plan no longer keeps goes, and what it keeps answers exactly, also while a purge is under way."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from access.plans import PLANS
from analytics.event import Event
from analytics.questions import SourcesQuestion
from analytics.store import StoreUnavailableError
from analytics.window import MS_PER_DAY, day_of, format_instant, parse_instant
from storage import purge as purging
from storage.event_store import SqlEventStore
from tests import reference
from tests.house import InProcess
from tests.runtime import Runtime
from tests.test_forget import PEOPLE, Failing, add, contents, forget, people_at, rebuilt
from tests.test_rollups import START, Folded, compare_once, question
from web.jobs import run_daily

FIRST = day_of(START)
KEEPS = {"free": 30, "pro": 90, "business": 365}


def from_day(events: list[Event], first_day: int) -> list[Event]:
    return [event for event in events if day_of(event.ts_ms) >= first_day]


async def purge(store: SqlEventStore, first_day: int) -> int:
    """As the cron does it, on the day that makes `first_day` the first that the plan keeps."""
    await store.fold_waiting()
    kept = await store.set_retention(first_day + KEEPS["business"], KEEPS)
    assert kept == {1: first_day}
    return await store.purge(1, first_day, (first_day + KEEPS["business"]) * MS_PER_DAY)


def tables(of: Callable[..., dict[str, Any]], folded: Folded, first_day: int) -> dict[str, Any]:
    """Arrivals go by age and people with their last day: neither is decided by the events that remain."""
    return {name: rows for name, rows in of(folded, first_day).items() if name not in ("arrivals", "people")}


@pytest.mark.parametrize("seed", range(8))
def test_after_a_purge_every_answer_is_that_of_the_events_that_are_kept(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(purging, "ROWS_PER_ROUND", chance.choice([7, 50, 1000]))
    folded = Folded(chance, chance.choice([60, 150]), people_at(chance))
    first_day = FIRST
    for step in range(3):
        first_day += chance.randrange(folded.days // 2)
        kept = from_day(folded.events, first_day)
        assert asyncio.run(purge(folded.store, first_day)) == len(folded.events) - len(kept)
        folded.events = kept
        assert tables(contents, folded, first_day) == tables(rebuilt, folded, first_day)
        late = Folded(random.Random(seed + 100), 30, people_at(chance)).events
        late = [replace(event, event_id=f"late {step} {event.event_id}") for event in late]
        add(folded, late)
        folded.events += from_day(late, first_day)
        forget(folded, chance.choice(PEOPLE), include_anonymous=False)
        assert tables(contents, folded, first_day) == tables(rebuilt, folded, first_day)
        for _ in range(20):
            compare_once(folded, chance)


def test_a_purge_can_be_killed_between_any_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "ROWS_PER_ROUND", 40)
    killed, first_day = 0, FIRST + 20
    for at in range(100):
        folded = Folded(random.Random(3), 60, people_at(random.Random(3)))
        broken = SqlEventStore(Failing(folded.db, at, lost=at % 2 == 0), folded.deferred.append)
        try:
            asyncio.run(purge(broken, first_day))
        except StoreUnavailableError:
            killed += 1
            if at > 1:
                within_retention_is_exact(folded, first_day)
            if at % 3 == 0:  # meanwhile somebody is forgotten, whose events partly lie in what goes
                asyncio.run(folded.store.forget(folded.scope, PEOPLE[0], include_anonymous=False))
                folded.events = [event for event in folded.events if event.user_id != PEOPLE[0]]
            asyncio.run(purge(folded.store, first_day))
        folded.events = from_day(folded.events, first_day)
        assert tables(contents, folded, first_day) == tables(rebuilt, folded, first_day), at
        assert asyncio.run(purge(folded.store, first_day)) == 0
        if killed <= at:
            break
    assert killed >= 15


def test_a_day_whose_last_event_is_forgotten_during_a_purge_leaves_nothing(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "ROWS_PER_ROUND", 1)
    keys = house.account("business")["projects"][0]
    for name, user in (("view", "ann"), ("buy", "bob")):
        house.track(
            keys["sk"],
            {"event": name, "anonymous_id": "d", "user_id": user, "timestamp": "2026-05-02"},
        )
    first_day = day_of(parse_instant("2026-05-03"))
    with pytest.raises(StoreUnavailableError):  # fold: 2 batches, boundary, find, delete one and find
        asyncio.run(purge(SqlEventStore(Failing(house.db, 5, lost=False), house.deferred.append), first_day))
    (left,) = house.db.connection.execute("SELECT user_id FROM events").fetchall()
    assert house.post("/v1/forget", {"user_id": left[0]}, keys["sk"]).json["deleted"] == 1
    asyncio.run(purge(SqlEventStore(house.db, house.deferred.append), first_day))
    for table in ("events", "visitor_days", "daily", "path_counts", "people"):
        assert house.db.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table


def within_retention_is_exact(folded: Folded, first_day: int) -> None:
    for days in (1, 7, 30):
        start = first_day * MS_PER_DAY
        asked = question(SourcesQuestion, start, start + days * MS_PER_DAY, {"limit": 200})
        expected = reference.sources(
            folded.rows, from_ms=start, to_ms=start + days * MS_PER_DAY, breakdown="source_medium", limit=200
        )
        assert asyncio.run(folded.store.sources(folded.scope, asked)).rows == expected


def test_projects_with_different_boundaries_are_each_counted_from_their_own(house: InProcess) -> None:
    account = house.account("business", "One", "Two")
    for keys in account["projects"]:
        days = [{"event": "view", "anonymous_id": "a", "timestamp": f"2026-05-0{day}"} for day in (1, 3, 5)]
        house.track(keys["sk"], *days)
    house.fold()
    house.db.connection.execute(
        "INSERT INTO retention (project, first_day) VALUES (1, ?)", [day_of(parse_instant("2026-05-02"))]
    )
    asyncio.run(run_daily(house.wiring()))
    window = {"from_": "2026-05-01", "to": "2026-05-06"}
    rows = house.rows(account["account"]["ak"], "compare_projects", "/mcp/account", metric="count", **window)
    assert [(row["slug"], row["value"]) for row in rows] == [("two", 3), ("one", 2)]
    rows = house.rows(
        account["account"]["ak"], "compare_projects", "/mcp/account", metric="uniques", **window
    )
    assert [(row["slug"], row["value"]) for row in rows] == [("one", 1), ("two", 1)]


@pytest.mark.parametrize("plan", list(PLANS.values()), ids=lambda plan: plan.name)
def test_an_event_is_kept_for_exactly_the_days_of_the_plan(house: InProcess, plan: Any) -> None:
    keys = house.account(plan.name)["projects"][0]
    house.now = "2026-05-20T00:00:00.000Z"
    edge = parse_instant(house.now) - plan.retention_days * MS_PER_DAY
    for name, ts_ms in {"older": edge - 1, "edge": edge, "younger": edge + 1}.items():
        house.track(keys["sk"], {"event": name, "anonymous_id": "a", "timestamp": format_instant(ts_ms)})
    span = f"from={format_instant(edge - MS_PER_DAY)}&to={format_instant(edge + MS_PER_DAY)}"
    names = f"/v1/stats?{span}&group_by=event_name"

    def stored() -> set[str]:
        return {row["event_name"] for row in house.get(names, keys["rk"]).json["rows"]}

    assert stored() == {"older", "edge", "younger"}
    asyncio.run(run_daily(house.wiring()))
    assert stored() == {"edge", "younger"}
    late = {"event": "late", "anonymous_id": "b", "timestamp": format_instant(edge - 1)}
    assert house.post("/v1/track", late, keys["sk"]).status == 202
    assert stored() == {"edge", "younger"}
    assert "late" not in house.everything_stored()
    house.now = "2026-05-20T23:59:59.999Z"
    asyncio.run(run_daily(house.wiring()))
    assert stored() == {"edge", "younger"}
    house.now = "2026-05-21T00:00:00.000Z"
    asyncio.run(run_daily(house.wiring()))
    assert stored() == set()


def test_people_and_arrivals_go_with_what_they_are_for(house: InProcess) -> None:
    keys = house.account("free")["projects"][0]
    old = {"event": "buy", "anonymous_id": "a", "user_id": "ann", "timestamp": "2026-04-01"}
    house.track(keys["sk"], old, {**old, "anonymous_id": "b", "timestamp": "2026-05-19"})
    house.post("/v1/track", {"event": "view", "event_id": "once"}, keys["sk"])
    count = house.db.connection.execute

    def counted() -> tuple[int, int]:
        return (
            count("SELECT count(*) FROM people").fetchone()[0],
            count("SELECT count(*) FROM arrivals").fetchone()[0],
        )

    house.fold()
    assert counted() == (2, 1)
    asyncio.run(run_daily(house.wiring()))
    assert counted() == (1, 1)
    house.track(
        keys["sk"], {**old, "anonymous_id": "late"}, {**old, "anonymous_id": "b", "timestamp": "2026-05-18"}
    )
    house.fold()
    assert counted() == (1, 1)
    house.now = "2026-05-28T12:00:00.000Z"
    asyncio.run(run_daily(house.wiring()))
    assert counted() == (1, 1)
    house.now = "2026-05-28T12:00:00.001Z"
    asyncio.run(run_daily(house.wiring()))
    assert counted() == (1, 0)


def test_one_project_that_fails_does_not_keep_the_others(house: InProcess) -> None:
    account = house.account("free", "One", "Two")
    for keys in account["projects"]:
        house.track(keys["sk"], {"event": "view", "anonymous_id": "a", "timestamp": "2026-01-01"})
    wiring = house.wiring()
    real = wiring.events.purge

    async def failing(project: int, first_day: int, now_ms: int) -> int:
        if project == 1:
            raise StoreUnavailableError("away")
        return await real(project, first_day, now_ms)

    wiring.events.purge = failing  # type: ignore[method-assign]
    asyncio.run(run_daily(wiring))
    assert [event for event, _ in house.log] == ["purge_failed"]
    assert house.db.connection.execute("SELECT project FROM events").fetchall()[0]["project"] == 1


@pytest.mark.worker
def test_the_cron_of_the_worker_purges(worker: Runtime) -> None:
    keys = worker.account("free")["projects"][0]
    now = int(time.time() * 1000)
    for name, days in (("old", 32), ("new", 2)):
        stamp = format_instant(now - days * MS_PER_DAY)
        worker.track(keys["sk"], {"event": name, "anonymous_id": "a", "timestamp": stamp})
    names = (
        f"/v1/stats?from={format_instant(now - 60 * MS_PER_DAY)}&to={format_instant(now)}&group_by=event_name"
    )
    assert len(worker.get(names, keys["rk"]).json["rows"]) == 2
    assert worker.get("/cdn-cgi/local/scheduled").status == 200
    assert [row["event_name"] for row in worker.get(names, keys["rk"]).json["rows"]] == ["new"]
