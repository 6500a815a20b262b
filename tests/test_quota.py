"""The quota of a plan: so many events of a project in each UTC month, never one more, and refused requests store nothing."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from access import plans
from tests.house import InProcess
from tests.test_rollups import stream

SPAN = "from=2026-01-01&to=2026-12-31"


@pytest.fixture(autouse=True)
def small_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events a month, so that a test can use them up."""
    for name, plan in plans.PLANS.items():
        monkeypatch.setitem(plans.PLANS, name, replace(plan, events_per_month=10))


def events(count: int, day: str = "2026-05-04", first: int = 0) -> list[dict[str, Any]]:
    return [
        {"event": "view", "event_id": f"{day} {n}", "anonymous_id": "a", "timestamp": day}
        for n in range(first, first + count)
    ]


def stored(house: InProcess, key: str) -> int:
    return int(house.get(f"/v1/stats?{SPAN}", key).json["rows"][0]["value"])


def refused(used: int, resets_at: str | None = "2026-06-01T00:00:00.000Z") -> dict[str, Any]:
    return {"error": "plan_limit", "details": {"quota": 10, "used": used, "resets_at": resets_at}}


@pytest.mark.parametrize("folded", [False, True])
def test_the_quota_is_reached_exactly_and_what_would_cross_it_is_refused_whole(
    house: InProcess, folded: bool
) -> None:
    keys = house.account("pro")["projects"][0]
    house.track(keys["sk"], *events(8))
    if folded:
        house.fold()
    batch = house.post("/v1/batch", {"events": events(3, first=8)}, keys["sk"])
    assert (batch.status, batch.json) == (402, refused(8))
    assert stored(house, keys["rk"]) == 8
    for n in (8, 9):
        assert house.post("/v1/track", events(1, first=n)[0], keys["sk"]).status == 202
    track = house.post("/v1/track", {"event": "view", "anonymous_id": "b"}, keys["sk"])
    assert (track.status, track.json) == (402, refused(10))
    known = house.post("/v1/identify", {"anonymous_id": "a", "user_id": "u"}, keys["sk"])
    assert (known.status, known.json) == (402, refused(10))
    assert stored(house, keys["rk"]) == 10


def test_track_event_past_the_quota_is_refused_at_http_level(house: InProcess) -> None:
    keys = house.account("pro")["projects"][0]
    house.track(keys["sk"], *events(10))
    call = {"name": "track_event", "arguments": {"event": "view"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    answer = house.post("/mcp", message, keys["sk"], origin="http://localhost:6274")
    assert (answer.status, answer.json) == (402, refused(10))
    assert answer.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert house.rows(keys["sk"], "get_stats", from_="2026-01-01", to="2026-12-31") == [{"value": 10}]


def test_duplicates_that_wait_do_not_use_up_the_quota(house: InProcess) -> None:
    keys = house.account("pro")["projects"][0]
    for _ in range(3):
        house.track(keys["sk"], *events(3))
    house.track(keys["sk"], *events(7, first=3))
    assert stored(house, keys["rk"]) == 10


def test_each_month_has_its_own_quota_and_each_project(house: InProcess) -> None:
    one, two = house.account("business", "One", "Two")["projects"]
    house.track(one["sk"], *events(10))
    house.track(one["sk"], *events(10, "2026-04-30"))
    house.track(two["sk"], *events(10))
    mixed = [*events(1, "2026-03-31"), *events(1, "2026-04-01")]
    answer = house.post("/v1/batch", {"events": mixed}, one["sk"])
    assert (answer.status, answer.json) == (402, refused(10, resets_at=None))
    assert stored(house, one["rk"]) == 20
    house.now = "2026-06-01T00:00:00Z"
    assert house.post("/v1/track", {"event": "view", "anonymous_id": "b"}, one["sk"]).status == 202


def test_requests_at_the_same_time_do_not_pass_the_quota_together(house: InProcess) -> None:
    keys = house.account("pro")["projects"][0]
    store = house.wiring().events
    scope = asyncio.run(house.wiring().gate.admit(f"Bearer {keys['sk']}", house._now_ms())).scope()
    some = [
        replace(event, ts_ms=1_778_000_000_000 + n) for n, event in enumerate(stream(random.Random(1), 30, 1))
    ]

    async def all_at_once() -> list[Any]:
        requests = [store.append(scope, some[n : n + 3], 10) for n in range(0, 30, 3)]
        return await asyncio.gather(*requests, return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 3
    assert stored(house, keys["rk"]) == 9


def test_forgotten_events_free_their_place(house: InProcess) -> None:
    keys = house.account("pro")["projects"][0]
    house.track(keys["sk"], *({**event, "user_id": "u"} for event in events(10)))
    assert house.post("/v1/forget", {"user_id": "u"}, keys["sk"]).json["deleted"] == 10
    house.track(keys["sk"], *events(10, first=20))
    assert stored(house, keys["rk"]) == 10
