"""Forgetting a person: what is left answers as if they had never been there, and no table remembers them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from analytics.event import Event
from analytics.store import StoreUnavailableError
from storage import forget as forgetting
from storage.database import Database, Result, Statement
from storage.dictionary import KINDS
from storage.event_store import SqlEventStore
from storage.inbox import KEPT_PLACES
from storage.paths import PATHS
from storage.tiers import OCTET_DAYS, OCTET_TAILS, TAILS
from tests.house import InProcess, Service
from tests.test_rollups import Folded, compare_once

PEOPLE = ["ann@example.org", "bob@example.org"]


def people_at(chance: random.Random) -> Any:
    """Gives events to nobody or to somebody, some devices to two people; texts that only one person has brought."""

    def changed(event: Event) -> Event:
        user = chance.choice([None, None, *PEOPLE])
        event = replace(event, user_id=user, timed_by_client=chance.random() < 0.7)
        if user and chance.random() < 0.3:
            address = {
                "url": f"https://{user.split('@')[0]}.example/of/{user}?of={user}",
                "path": f"/of/{user}",
            }
            return replace(event, **address, campaign=user, event_name=f"by {user}")
        return replace(event, url=chance.choice([None, f"https://site.example{event.path or '/'}"]))

    return changed


def contents(store: Folded, first_day: int = 0) -> dict[str, Any]:
    """The tables with texts in place of their ids: what must not depend on how the events came to be there.

    Of the tails, those that a window beginning at `first_day` or later can ask for. Days that are not added up are, first.
    """
    store.add_all_up(first_day)
    rows = store.db.connection.execute("SELECT id, kind, value FROM dictionary").fetchall()
    text = {id_: (kind, value) for id_, kind, value in rows} | {0: None, None: None}

    def table(sql: str, texts: range) -> list[Any]:
        found = store.db.connection.execute(sql).fetchall()
        return sorted(
            (tuple(text[v] if i in texts else v for i, v in enumerate(row)) for row in found), key=repr
        )

    tails = ", ".join(f"CASE WHEN day - {first_day} >= {k} THEN t{k} END" for k in range(TAILS))
    wide = ", ".join(
        f"CASE WHEN octet * {OCTET_DAYS} - {first_day} >= {k} THEN t{k} END" for k in range(OCTET_TAILS)
    )
    of_days = [
        f"CASE place.value {' '.join(f'WHEN {p} THEN e{p * OCTET_DAYS + day}' for p in range(PATHS))} END"
        for day in range(OCTET_DAYS)
    ]
    of_path, of_any_day = ", ".join(of_days), " + ".join(of_days)
    return {
        "eight_days": table(f"SELECT a, b, kind, octet, events, {wide} FROM eight_days", range(2)),
        "daily": table(f"SELECT a, b, kind, day, events, {tails} FROM daily", range(2)),
        "path_counts": table(
            f"SELECT paths * {PATHS} + place.value, site, octet, {of_path} FROM path_counts"
            f" CROSS JOIN json_each('{list(range(PATHS))}') AS place WHERE {of_any_day} > 0",
            range(2),
        ),
        "visitor_days": table(
            "SELECT source, medium, campaign, country, device_type, browser, os, visitor, day, events"
            " FROM visitor_days",
            range(7),
        ),
        "events": table(
            f"SELECT name, path, campaign, site, day, visitor, ts, event, {', '.join(KEPT_PLACES)} FROM events",
            range(4),
        ),
        "people": table("SELECT person, visitor FROM people", range(0)),
        "arrivals": table("SELECT event, ts FROM arrivals", range(0)),
        "dictionary": sorted(entry for entry in text.values() if entry and entry[0] != KINDS["rule"]),
    }


def rebuilt(folded: Folded, first_day: int = 0) -> dict[str, Any]:
    """The tables of a new store that is only ever given the events that remain."""
    fresh = Folded(random.Random(0), 0)
    add(fresh, *([event] for event in folded.events))
    return contents(fresh, first_day)


def add(folded: Folded, *requests: Sequence[Event]) -> None:
    """Stores and folds the events of some requests."""

    async def feed() -> None:
        for events in requests:
            await folded.store.append(folded.scope, events, quota=10**9)
        while folded.deferred:
            await folded.deferred.pop()
        await folded.store.fold_waiting()

    asyncio.run(feed())


def without(events: Sequence[Event], user: str, include_anonymous: bool) -> list[Event]:
    """The events that remain, the slow and obvious way."""
    devices = {event.anonymous_id for event in events if event.user_id == user}
    return [
        event
        for event in events
        if not (
            event.user_id == user
            or (include_anonymous and event.user_id is None and event.anonymous_id in devices)
        )
    ]


def forget(folded: Folded, user: str, include_anonymous: bool) -> None:
    """Forgets in the store and in the list of events; both must agree on how many there were."""
    remaining = without(folded.events, user, include_anonymous)
    deleted = asyncio.run(folded.store.forget(folded.scope, user, include_anonymous=include_anonymous))
    assert deleted == len(folded.events) - len(remaining)
    folded.events = remaining


@pytest.mark.parametrize("seed", range(12))
def test_after_forgetting_every_answer_and_every_table_is_as_if_the_events_had_never_come(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(forgetting, "EVENTS_PER_ROUND", chance.choice([3, 20, 1000]))
    monkeypatch.setattr(forgetting, "DEVICES_PER_ROUND", chance.choice([1, 2, 50]))
    folded = Folded(chance, chance.choice([30, 120, 200]), people_at(chance))
    for user in chance.sample(PEOPLE, 2):
        forget(folded, user, include_anonymous=chance.random() < 0.5)
        assert contents(folded) == rebuilt(folded)
        for _ in range(22):
            compare_once(folded, chance)
        late = Folded(random.Random(seed + 100), 20, people_at(chance)).events
        more = [replace(event, event_id=f"late {seed} {user} {event.event_id}") for event in late]
        folded.events += more
        add(folded, more)
    forget(folded, PEOPLE[0], include_anonymous=True)
    assert contents(folded) == rebuilt(folded)


class Failing:
    """A database that fails once, at its n-th batch: before it is carried out, or after it, when the answer is lost."""

    def __init__(self, real: Database, at: int, *, lost: bool) -> None:
        self.real, self.left, self.lost = real, at, lost

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        self.left -= 1
        if self.left == -1 and not self.lost:
            raise StoreUnavailableError("killed before")
        results = await self.real.batch(statements)
        if self.left == -1:
            raise StoreUnavailableError("killed after")
        return results


@pytest.mark.parametrize("lost", [False, True])
def test_an_interrupted_forget_is_finished_by_the_next_whenever_it_was_killed(
    lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "EVENTS_PER_ROUND", 9)
    monkeypatch.setattr(forgetting, "DEVICES_PER_ROUND", 2)
    killed = 0
    for at in range(100):
        folded = Folded(random.Random(7), 60, people_at(random.Random(7)))
        broken = SqlEventStore(Failing(folded.db, at, lost=lost), folded.deferred.append)
        try:
            asyncio.run(broken.forget(folded.scope, PEOPLE[0], include_anonymous=True))
        except StoreUnavailableError:
            killed += 1
            asyncio.run(folded.store.forget(folded.scope, PEOPLE[0], include_anonymous=True))
        folded.events = without(folded.events, PEOPLE[0], include_anonymous=True)
        assert contents(folded) == rebuilt(folded), at
        if killed <= at:
            break
    assert killed >= 6


# --- over HTTP --------------------------------------------------------------------------------------------------------

USER = "carla.person@example.org"
WINDOW = {"from_": "2026-05-01T00:00:00Z", "to": "2026-05-21T00:00:00Z"}


def visit(event: str, device: str, user: str | None = None, day: int = 2, **more: Any) -> dict[str, Any]:
    given = {"event": event, "anonymous_id": device, "timestamp": f"2026-05-{day:02}T10:00:00Z", **more}
    return given | ({"user_id": user} if user else {})


STORY = [
    visit("view", "laptop", path="/start"),
    visit("signup", "laptop", USER, path=f"/users/{USER}"),
    visit(
        f"mail {USER}", "laptop", USER, 3, url=f"https://site.example/?utm_source={USER}&utm_campaign={USER}"
    ),
    visit("view", "laptop", "someone else", 4),
    visit("buy", "phone", USER, 4, properties={"mail": USER}),
    visit("view", "tablet", day=4),
]


def told(service: Service, account: dict[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = account["projects"][0]
    service.track(keys["sk"], *STORY)
    service.post(
        "/v1/identify", {"anonymous_id": "phone", "user_id": USER, "traits": {"a": USER}}, keys["sk"]
    )
    return keys


def everything_said(service: Service, account: dict[str, Any]) -> str:
    """What every tool, resource and route says about the project."""
    keys = account["projects"][0]
    span = "from=2026-05-01T00:00:00Z&to=2026-12-31T00:00:00Z"
    wide = {"from_": "2026-05-01T00:00:00Z", "to": "2026-12-31T00:00:00Z"}
    columns = ["event_name", "source", "medium", "campaign", "path"]
    said = [
        *(service.rows(keys["rk"], "get_stats", group_by=[name], **wide) for name in columns),
        service.rows(keys["rk"], "query_events", **wide),
        service.rows(keys["rk"], "top_sources", **wide),
        service.rows(account["account"]["ak"], "query_events", "/mcp/account", **wide),
        service.read(keys["rk"], "events://recent"),
        service.read(keys["rk"], "schema://events"),
        service.read(account["account"]["ak"], "schema://events", "/mcp/account"),
        *(service.get(f"/v1/{route}?{span}", keys["rk"]).text for route in ("query", "sources", "stats")),
        service.get(f"/v1/stats?{span}&group_by=path,campaign", keys["rk"]).text,
    ]
    return repr(said)


def test_forget_deletes_the_events_of_the_user_and_nothing_says_the_id_any_more(
    service: Service, account: dict[str, Any]
) -> None:
    keys = told(service, account)
    assert USER in everything_said(service, account)
    answer = service.post("/v1/forget", {"user_id": USER}, keys["sk"])
    assert (answer.status, answer.json) == (200, {"ok": True, "queued": False, "deleted": 4})
    assert USER not in everything_said(service, account)
    left = service.rows(keys["rk"], "query_events", **WINDOW)
    assert sorted((row["event_name"], row["anonymous_id"], row["user_id"] or "") for row in left) == [
        ("view", "laptop", ""),
        ("view", "laptop", "someone else"),
        ("view", "tablet", ""),
    ]
    assert service.rows(keys["rk"], "get_stats", metric="uniques", **WINDOW) == [{"value": 2}]
    again = service.post("/v1/forget", {"user_id": USER}, keys["sk"])
    assert again.json == {"ok": True, "queued": False, "deleted": 0}


def test_forget_with_include_anonymous_takes_their_devices_events_but_never_those_of_somebody_else(
    service: Service, account: dict[str, Any]
) -> None:
    keys = told(service, account)
    answer = service.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    assert answer.json == {"ok": True, "queued": False, "deleted": 5}
    left = service.rows(keys["rk"], "query_events", **WINDOW)
    assert sorted((row["anonymous_id"], row["user_id"] or "") for row in left) == [
        ("laptop", "someone else"),
        ("tablet", ""),
    ]


def test_no_table_holds_the_forgotten_users_id_and_other_projects_keep_theirs(house: InProcess) -> None:
    account = house.account("business", "One", "Two")
    one, two = account["projects"]
    for keys in (one, two):
        house.track(keys["sk"], *STORY)
    assert house.post("/v1/forget", {"user_id": USER}, one["sk"]).json["deleted"] == 3
    assert USER in house.everything_stored()
    assert house.rows(two["rk"], "get_stats", **WINDOW) == [{"value": 6}]
    assert house.post("/v1/forget", {"user_id": USER}, two["sk"]).json["deleted"] == 3
    assert USER not in house.everything_stored()


def test_texts_of_a_resend_that_was_not_stored_are_forgotten_too(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    resent_with_the_id(house, keys["sk"])
    assert USER in house.everything_stored()
    assert house.post("/v1/forget", {"user_id": USER}, keys["sk"]).json["deleted"] == 0
    assert USER not in house.everything_stored()
    assert house.rows(keys["rk"], "get_stats", group_by=["path"], **WINDOW) == [{"path": "/", "value": 1}]


def resent_with_the_id(house: InProcess, key: str) -> None:
    """Leaves texts that nothing refers to: one that is the id, and one that holds it."""
    first = {"event": "view", "event_id": "one", "anonymous_id": "d", "url": "https://site.example/"}
    house.track(key, first, first)
    house.fold()
    resend = first | {"user_id": USER, "url": f"https://site.example/users/{USER}?utm_campaign={USER}"}
    house.track(key, resend, resend)
    house.fold()


@pytest.mark.parametrize("path", ["/page/{}", f"/{USER}/{{}}"])
def test_texts_of_a_resend_are_found_among_a_thousand_others(house: InProcess, path: str) -> None:
    keys = house.account("business")["projects"][0]
    pages = [
        {"event": "view", "anonymous_id": f"a{n}", "url": f"https://site.example{path.format(n)}"}
        for n in range(1_000)
    ]

    def others() -> None:
        house.track(keys["sk"], *pages)
        house.fold()

    def resend() -> None:
        resent_with_the_id(house, keys["sk"])

    for step in (others, resend) if USER in path else (resend, others):  # with the id: older, and used
        step()
    assert f"/users/{USER}" in house.everything_stored()
    assert house.post("/v1/forget", {"user_id": USER}, keys["sk"]).json["deleted"] == 0
    assert f"/users/{USER}" not in house.everything_stored()


def test_only_a_secret_key_may_forget(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    body = {"user_id": "u"}
    browser = service.post("/v1/forget", body, keys["pk"], origin="https://site.example")
    assert (browser.status, browser.json["error"]) == (403, "forget_requires_secret_key")
    for key in (keys["rk"], account["account"]["ak"]):
        answer = service.post("/v1/forget", body, key)
        assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")
    for wrong in ({}, {"user_id": ""}, {"user_id": 5}, {"user_id": "u", "include_anonymous": "yes"}):
        answer = service.post("/v1/forget", wrong, keys["sk"])
        assert (answer.status, answer.json["error"]) == (400, "invalid_payload"), wrong
    assert service.get("/v1/forget", keys["sk"]).status == 405


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [(StoreUnavailableError("away"), 502, "upstream_failed"), (RuntimeError("bug"), 500, "forget_failed")],
)
def test_a_forget_that_fails_says_so_and_can_be_repeated(
    house: InProcess, failure: Exception, status: int, code: str
) -> None:
    account = house.account("business")
    keys = told(house, account)
    real = house.db.batch

    async def failing(statements: Sequence[Statement]) -> list[Result]:
        if any("UPDATE events SET fold" in one.sql for one in statements):
            raise failure
        return await real(statements)

    house.db.batch = failing  # type: ignore[method-assign]
    answer = house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    assert (answer.status, answer.json["error"]) == (status, code)
    house.db.batch = real  # type: ignore[method-assign]
    assert house.post("/v1/forget", {"user_id": USER}, keys["sk"]).json["deleted"] == 4
