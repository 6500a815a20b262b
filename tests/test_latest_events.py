"""The newest events come from a short list of theirs, and are exactly those that reading every event gives."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from access.plans import PLANS
from analytics.window import MS_PER_DAY, format_instant, parse_instant
from storage.latest import KEPT
from tests.house import InProcess

NOW = parse_instant("2026-03-10T12:00:00Z")
DAYS = 12
NAMES = ("view", "view", "view", "buy")
PEOPLE = ("ada", "bob", "eve", None)


class Told:
    """A house to which things happen, and what of it ought to be stored: [(ts, name, anonymous_id, user_id)]."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.house = InProcess(now=format_instant(NOW))
        self.project = self.house.account("business")["projects"][0]
        self.sent: list[dict[str, Any]] = []
        self.stored: dict[str, dict[str, Any]] = {}
        self.first_ms = 0

    def send(self, number: int, start_ms: int, end_ms: int) -> None:
        """No two at the same instant, so that there is one order."""
        taken = {parse_instant(one["timestamp"]) for one in self.sent}
        times = set(self.chance.sample(range(start_ms, end_ms), number)) - taken
        made = []
        for at in self.chance.sample(sorted(times), len(times)):
            person = self.chance.choice(PEOPLE)
            made.append(
                {
                    "event": self.chance.choice(NAMES), "event_id": f"e{at}", "timestamp": format_instant(at),
                    "anonymous_id": f"device of {person}", **({"user_id": person} if person else {}),
                }
            )  # fmt: skip
        self.sent += made
        self._post(made)

    def _post(self, events: list[dict[str, Any]]) -> None:
        for start in range(0, len(events), 1_000):
            self.house.track(self.project["sk"], *events[start : start + 1_000])
        for one in events:
            if parse_instant(one["timestamp"]) >= self.first_ms:
                self.stored[one["event_id"]] = one

    def anything(self) -> None:
        kind = self.chance.choice(["many", "few", "late", "again", "forget", "purge", "another version"])
        match kind:
            case "many":
                self.send(self.chance.choice([KEPT, KEPT + 1, 300]), NOW - DAYS * MS_PER_DAY, NOW)
            case "few":
                self.send(self.chance.randrange(1, 9), NOW - 3_600_000, NOW)
            case "late":
                self.send(20, NOW - DAYS * MS_PER_DAY, NOW - 2 * MS_PER_DAY)
            case "again" if self.sent:
                self._post(self.chance.sample(self.sent, min(30, len(self.sent))))
            case "forget":
                person = self.chance.choice(["ada", "bob"])
                self.house.post("/v1/forget", {"user_id": person}, self.project["sk"])
                self.keep(lambda one: one.get("user_id") != person)
            case "purge":
                first_day = NOW // MS_PER_DAY - self.chance.randrange(DAYS)
                self.first_ms = max(self.first_ms, first_day * MS_PER_DAY)
                asyncio.run(self._purge(self.first_ms // MS_PER_DAY))
                self.keep(lambda one: parse_instant(one["timestamp"]) >= self.first_ms)
            case "another version":
                self.house.fold()
                self.house.db.connection.execute("DELETE FROM latest_events")
        if self.chance.random() < 0.5:
            self.house.fold()

    def keep(self, wanted: Any) -> None:
        self.stored = {name: one for name, one in self.stored.items() if wanted(one)}

    async def _purge(self, first_day: int) -> None:
        days = PLANS["business"].retention_days
        store = self.house.wiring().events
        await store.fold_waiting()
        await store.set_retention(first_day + days, {"business": days})
        await store.purge(1, first_day, (first_day + days) * MS_PER_DAY)

    def newest(self, limit: int, start_ms: int, end_ms: int, name: str | None) -> list[list[Any]]:
        found = [
            one
            for one in self.stored.values()
            if start_ms <= parse_instant(one["timestamp"]) < end_ms and name in (None, one["event"])
        ]
        found.sort(key=lambda one: parse_instant(one["timestamp"]), reverse=True)
        return [[one["timestamp"], one["event"], one["anonymous_id"]] for one in found[:limit]]

    def compare(self) -> None:
        limit = self.chance.choice([1, 5, 50, KEPT - 1, KEPT, 200])
        start = NOW - self.chance.choice([3_600_000, MS_PER_DAY, DAYS * MS_PER_DAY])
        end = NOW - self.chance.choice([0, 0, 1_800_000, MS_PER_DAY])
        name = self.chance.choice([None, None, "buy"])
        if start >= end:
            return
        asked = {"from": format_instant(start), "to": format_instant(end), "limit": limit}
        rows = self.house.rows(
            self.project["rk"], "query_events", **asked, **({"event": name} if name else {})
        )
        shown = [[row["timestamp"], row["event_name"], row["anonymous_id"]] for row in rows]
        assert shown == self.newest(limit, start, end, name), asked


@pytest.mark.parametrize("seed", range(25))
def test_the_newest_are_the_newest_whatever_has_happened(seed: int) -> None:
    told = Told(seed)
    for _ in range(10):
        told.anything()
        for _ in range(4):
            told.compare()
    recent = told.house.read(told.project["rk"], "events://recent")
    shown = [[row["timestamp"], row["event_name"], row["anonymous_id"]] for row in recent]
    assert shown == told.newest(len(shown), 0, NOW, None)
    assert len(shown) == min(len(told.stored), len(shown) or 1)


def steps(events: int) -> int:
    """What SQLite's virtual machine does for the newest fifty of a day with so many events."""
    told = Told(0)
    told.send(events, NOW - 10 * 3_600_000, NOW)
    told.house.fold()
    ticks: list[None] = []
    told.house.db.connection.set_progress_handler(lambda: ticks.append(None), 10)  # type: ignore[func-returns-value]
    asked = {"from": format_instant(NOW - MS_PER_DAY), "to": format_instant(NOW), "limit": 50}
    assert len(told.house.rows(told.project["rk"], "query_events", **asked)) == 50
    told.house.db.connection.set_progress_handler(None, 0)
    return 10 * len(ticks)


def test_they_cost_the_same_however_many_events_the_day_has() -> None:
    assert steps(5_000) < 1.1 * steps(500)


def test_of_whom_is_forgotten_no_key_is_left() -> None:
    told = Told(1)
    told.send(60, NOW - 3_600_000, NOW)
    told.house.fold()
    told.house.post("/v1/forget", {"user_id": "ada"}, told.project["sk"])
    connection = told.house.db.connection
    (keys,) = connection.execute("SELECT keys FROM latest_events").fetchone()
    stored = connection.execute("SELECT json_group_array(json_array(ts, event, name, visitor)) FROM events")
    assert sorted(json.loads(keys)) == sorted(json.loads(stored.fetchone()[0]))
