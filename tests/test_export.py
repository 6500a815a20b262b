"""Exporting a person: all that is stored about the events that forgetting would delete, page by page, in the log once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.event import Event, Origin
from analytics.scope import Project, Scope
from analytics.store import StorageFullError
from analytics.subject_export import ExportPages, ExportQuestion
from analytics.window import MS_PER_DAY, format_instant, parse_instant
from dev import provision
from storage import subject_export
from storage.database import Result, Statement
from storage.event_store import SqlEventStore
from tests.house import InProcess, Service
from tests.test_audit import entries
from tests.test_forget import without
from web.answers import ExportedEvent

START = parse_instant("2026-05-01T23:59:59.998Z")
ADA, BOB = "ada@example.org", "bob@example.org"
ORIGINS: list[Origin] = ["browser", "server", "agent"]


# --- against a full scan (T-GDPR-3) -----------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Few devices, people, names and instants, so that everything collides; what is kept beside them varies."""
    events = []
    for number in range(draw(st.integers(0, 40))):
        ts_ms = (
            START + draw(st.sampled_from([0, 0, 1, 2, MS_PER_DAY, 9 * MS_PER_DAY])) + draw(st.integers(0, 1))
        )
        device = draw(
            st.sampled_from(["v1", "v2", "9b2f7c1e-4d3a-4f60-8a1b-2c3d4e5f6a7b", "anon \u00fc\U0001f600"])
        )
        user = draw(st.sampled_from([None, None, ADA, ADA, BOB]))
        own = draw(st.booleans())
        events.append(
            Event(
                event_id=f"e{number}" if own else f"0b2f7c1e-4d3a-4f60-9a1b-{number:012x}",
                event_name=draw(st.sampled_from(["view", "view", "buy"])),
                ts_ms=ts_ms,
                received_ms=ts_ms + draw(st.sampled_from([0, -3_600_000, 12, 9 * MS_PER_DAY])),
                anonymous_id=device,
                user_id=user,
                session_id="mine" if own else f"{device}-{ts_ms // 1_800_000}",
                url=draw(
                    st.sampled_from(
                        [None, "https://site.example/a?utm_source=x&gclid=1#f", "http://other.example"]
                    )
                ),
                path=draw(st.sampled_from([None, "/a", ""])),
                referrer=draw(
                    st.sampled_from(
                        [None, "https://site.example/b", "https://t.co/x", "https://deep.example"]
                    )
                ),
                properties=draw(st.sampled_from(["{}", '{"n":1.5,"\u00e4":[null,true]}'])),
                source=draw(st.sampled_from(["direct", "x"])),
                medium=draw(st.sampled_from(["direct", "paid"])),
                campaign=draw(st.sampled_from([None, "spring"])),
                source_confidence=draw(st.sampled_from(["high", "low"])),
                source_rule_id=draw(st.sampled_from(["direct", "utm"])),
                country=draw(st.sampled_from(["", "DE"])),
                device_type=draw(st.sampled_from(["desktop", "mobile"])),
                browser=draw(st.sampled_from(["", "firefox"])),
                os=draw(st.sampled_from(["", "linux"])),
                ip_hash=draw(st.sampled_from(["", "00" * 16, "ff" * 16, "8" + "0" * 30 + "1"])),
                origin=draw(st.sampled_from(ORIGINS)),
                timed_by_client=True,
                named_by_client=True,
            )
        )
    return events


def whole(event: Event) -> dict[str, Any]:
    """An event as an export shows it, the obvious way."""
    return {
        "timestamp": format_instant(event.ts_ms), "event_name": event.event_name, "anonymous_id": event.anonymous_id,
        "user_id": event.user_id, "source": event.source, "medium": event.medium, "campaign": event.campaign,
        "source_confidence": event.source_confidence, "source_rule_id": event.source_rule_id, "referrer": event.referrer,
        "url": event.url, "path": event.path, "country": event.country, "device_type": event.device_type,
        "browser": event.browser, "os": event.os, "session_id": event.session_id, "event_id": event.event_id,
        "ip_hash": event.ip_hash, "origin": event.origin, "received_at": format_instant(event.received_ms),
        "properties": event.properties,
    }  # fmt: skip


def scopes(house: InProcess) -> list[Scope]:
    """Two projects of one account, each with its secret key."""
    account = house.account("business", "One", "Two")
    found = house.db.connection.execute(
        "SELECT k.id, p.number, p.id AS project, p.slug, p.name"
        " FROM api_keys AS k JOIN projects AS p ON p.number = k.project WHERE k.kind = 'sk' ORDER BY p.number"
    )
    return [
        Scope(
            row["id"],
            account["account"]["id"],
            (Project(row["number"], row["project"], row["slug"], row["name"]),),
        )
        for row in found
    ]


async def read(pages: ExportPages, scope: Scope, limit: int, **asked: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    for _ in range(500):
        question = ExportQuestion.model_validate({"limit": limit, "cursor": cursor, **asked})
        page = await pages.read(scope, question, "req")
        assert len(page.answer.rows) <= limit
        rows += page.answer.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows
    raise AssertionError("the pages do not end")


@settings(max_examples=60, deadline=None)
@given(
    history=histories(),
    others=histories(),
    limit=st.sampled_from([1, 2, 7, 1000]),
    budget=st.sampled_from([1, 4, 10_000]),
    include=st.booleans(),
    split=st.integers(0, 40),
)
def test_an_export_is_what_a_full_scan_finds_and_what_forgetting_then_deletes(
    history: list[Event], others: list[Event], limit: int, budget: int, include: bool, split: int
) -> None:
    """Part of it folded, part of it still in the inbox; another project has a history of the same person."""
    house = InProcess()
    ours, theirs = scopes(house)
    store = SqlEventStore(house.db, house.deferred.append)
    pages = ExportPages(store, b"s" * 32)

    async def run() -> tuple[list[dict[str, Any]], int, list[dict[str, Any]]]:
        for scope, events in ((ours, history), (theirs, others)):
            if events[:split]:
                await store.append(scope, events[:split], quota=10**9)
            await store.fold_waiting()
            for event in (*events[split:], *events[: split // 4]):  # some are sent once more
                await store.append(scope, [event], quota=10**9)
        shown = await read(pages, ours, limit, user_id=ADA, include_anonymous=include)
        deleted = await store.forget(ours, ADA, include_anonymous=include)
        assert await read(pages, ours, limit, user_id=ADA, include_anonymous=include) == []
        return shown, deleted, await read(pages, theirs, 1000, user_id=ADA, include_anonymous=include)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subject_export, "EVENTS_PER_CALL", budget)
        shown, deleted, foreign = asyncio.run(run())
    while house.deferred:
        house.deferred.pop().close()  # type: ignore[attr-defined]

    def scanned(events: Sequence[Event]) -> list[str]:
        left = without(events, ADA, include)
        return sorted(json.dumps(whole(event)) for event in events if event not in left)

    assert sorted(map(json.dumps, shown)) == scanned(history)
    assert sorted(map(json.dumps, foreign)) == scanned(others)
    assert deleted == len(shown)
    assert [row["timestamp"] for row in shown] == sorted(row["timestamp"] for row in shown)


def test_the_order_is_the_same_whatever_the_pages(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    house.track(
        keys["sk"],
        *(
            {"event": f"n{n % 3}", "anonymous_id": f"v{n % 5}", "user_id": ADA, "timestamp": f"2026-05-{day}"}
            for n in range(20)
            for day in ("10", "11")
        ),
    )
    once = exported(house, keys["sk"], user_id=ADA)
    assert len(once) == 40
    for limit in (1, 3, 39, 40):
        assert exported(house, keys["sk"], user_id=ADA, limit=limit) == once


def test_a_device_of_many_people_is_read_in_bounded_calls(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be short, or empty, though it goes on; what is shown in the end is everything."""
    monkeypatch.setattr(subject_export, "EVENTS_PER_CALL", 10)
    keys = house.account()["projects"][0]
    crowd = [
        {
            "event": "seen",
            "anonymous_id": "kiosk",
            "user_id": f"u{n}",
            "timestamp": f"2026-05-{1 + n % 12:02}",
        }
        for n in range(240)
    ]
    mine = [
        {"event": "seen", "anonymous_id": "kiosk", "user_id": ADA, "timestamp": f"2026-05-{day}T09:00:00Z"}
        for day in ("01", "09", "12")
    ]
    house.track(keys["sk"], *crowd, *mine)
    sizes = [len(page["rows"]) for page in pages_of(house, keys["sk"], user_id=ADA)]
    assert sizes == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1]


# --- over HTTP --------------------------------------------------------------------------------------------------------


def pages_of(service: Service, key: str, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(100):
        answer = service.post("/v1/export", asked | cursor, key)
        assert answer.status == 200, answer.text
        found.append(answer.json)
        if "next_cursor" not in answer.json:
            return found
        cursor = {"cursor": answer.json["next_cursor"]}
    raise AssertionError("the pages do not end")


def exported(service: Service, key: str, **asked: Any) -> list[dict[str, Any]]:
    return [row for page in pages_of(service, key, **asked) for row in page["rows"]]


def visit(name: str, device: str, day: int, user: str | None = None) -> dict[str, Any]:
    given = {
        "event": name,
        "anonymous_id": device,
        "timestamp": f"2026-05-{day:02}T10:00:00Z",
        "event_id": name,
    }
    return given | ({"user_id": user} if user else {})


STORY = [
    visit("came", "laptop", 2),
    visit("signed up", "laptop", 3, ADA),
    visit("bought", "phone", 4, ADA),
    visit("looked", "laptop", 5, BOB),
    visit("left", "tablet", 6),
]


def test_everything_stored_about_an_event_is_told(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    event = {
        "event": "bought", "event_id": "e1", "anonymous_id": "phone", "user_id": ADA, "session_id": "s1",
        "timestamp": "2026-05-04T10:00:00Z", "url": "https://site.example/cart?utm_source=x&utm_campaign=spring",
        "referrer": "https://news.ycombinator.com/item", "properties": {"mail": ADA},
    }  # fmt: skip
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    headers = {"user_agent": agent, "cf_connecting_ip": "203.0.113.9", "x_test_country": "DE"}
    house.track(keys["sk"], event, **headers)
    (page,) = pages_of(house, keys["sk"], user_id=ADA)
    (row,) = page.pop("rows")
    assert page == {"ok": True}
    ip_hash = row.pop("ip_hash")
    assert len(ip_hash) == 32
    assert ip_hash.strip("0123456789abcdef") == ""
    assert row == {
        "timestamp": "2026-05-04T10:00:00.000Z", "event_name": "bought", "anonymous_id": "phone", "user_id": ADA,
        "source": "x", "medium": "unknown", "campaign": "spring", "source_confidence": "high", "source_rule_id": "utm",
        "referrer": "https://news.ycombinator.com/item", "url": "https://site.example/cart?utm_source=x&utm_campaign=spring",
        "path": "/cart", "country": "DE", "device_type": "desktop", "browser": "firefox", "os": "linux", "session_id": "s1",
        "event_id": "e1", "origin": "server", "received_at": "2026-05-20T12:00:00.000Z",
        "properties": '{"mail":"ada@example.org"}',
    }  # fmt: skip


def test_every_column_of_an_event_is_in_an_export_or_says_only_where_it_is(house: InProcess) -> None:
    """A column that is added to the table has to be added to the export, or here."""
    columns = {row["name"] for row in house.db.connection.execute("PRAGMA table_info(events)")}
    told = {
        "name": "event_name", "visitor": "anonymous_id", "event": "event_id", "ts": "timestamp", "rule": "source_rule_id",
        "site": "url", "tail": "url", "ip_high": "ip_hash", "ip_low": "ip_hash", "delay_ms": "received_at",
    }  # fmt: skip
    places = {"project", "day", "fold"}
    assert {
        told.get(column, column) for column in columns - places
    } - ExportedEvent.model_fields.keys() == set()


def test_an_export_shows_what_forgetting_then_deletes(service: Service, account: dict[str, Any]) -> None:
    sk = account["projects"][0]["sk"]
    service.track(sk, *STORY)
    service.post("/v1/identify", {"anonymous_id": "tablet", "user_id": ADA, "traits": {"a": ADA}}, sk)
    own = exported(service, sk, user_id=ADA)
    assert [row["event_name"] for row in own] == ["signed up", "bought", "$identify"]
    assert {row["user_id"] for row in own} == {ADA}
    both = exported(service, sk, user_id=ADA, include_anonymous=True, limit=2)
    assert [row["event_name"] for row in both] == ["came", "signed up", "bought", "left", "$identify"]
    assert [row for row in both if row["user_id"]] == own
    forgot = service.post("/v1/forget", {"user_id": ADA, "include_anonymous": True}, sk)
    assert forgot.json["deleted"] == 5
    assert exported(service, sk, user_id=ADA, include_anonymous=True) == []
    assert [row["event_name"] for row in exported(service, sk, user_id=BOB)] == ["looked"]


def test_the_same_person_of_another_project_is_neither_shown_nor_counted(service: Service) -> None:
    """T-GDPR-4."""
    one, two = service.account("business", "One", "Two")["projects"]  # type: ignore[attr-defined]
    service.track(one["sk"], visit("mine", "laptop", 2, ADA))
    service.track(two["sk"], visit("theirs", "laptop", 2, ADA), visit("unnamed", "laptop", 3))
    for include in (False, True):
        shown = exported(service, one["sk"], user_id=ADA, include_anonymous=include)
        assert [row["event_name"] for row in shown] == ["mine"]
    assert len(exported(service, two["sk"], user_id=ADA, include_anonymous=True)) == 2


def test_only_a_secret_key_may_export(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    browser = service.post("/v1/export", {"user_id": "u"}, keys["pk"], origin="https://site.example")
    assert (browser.status, browser.json["error"]) == (403, "export_requires_secret_key")
    for key in (keys["rk"], account["account"]["ak"]):
        answer = service.post("/v1/export", {"user_id": "u"}, key)
        assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")
    assert service.get("/v1/export", keys["sk"]).status == 405


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"), ({"user_id": ""}, "user_id"), ({"user_id": 5}, "user_id"), ({"user_id": "u" * 257}, "user_id"),
        ({"user_id": "u", "include_anonymous": "yes"}, "include_anonymous"), ({"user_id": "u", "limit": 0}, "limit"),
        ({"user_id": "u", "limit": 1001}, "limit"), ({"user_id": "u", "limit": "5"}, "limit"),
        ({"user_id": "u", "limit": True}, "limit"), ({"user_id": "u", "cursor": ""}, "cursor"),
        ({"user_id": "u", "cursor": "x"}, "cursor"), ({"user_id": "u", "cursor": "A" * 400}, "cursor"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(house: InProcess, body: dict[str, Any], field: str) -> None:
    answer = house.post("/v1/export", body, house.account()["projects"][0]["sk"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_payload")
    assert list(answer.json["details"]["fieldErrors"]) == [field]
    assert [one["action"] for one in entries(house)] == []


def test_a_cursor_opens_for_the_key_the_project_and_the_question_it_was_made_for(house: InProcess) -> None:
    account = house.account("business", "One", "Two")
    one, two = account["projects"]
    for project in (one, two):
        house.track(project["sk"], *(visit(f"e{n}", "laptop", 2, ADA) for n in range(4)))
    of_one = Project(1, one["id"], one["slug"], one["name"])
    second, _, change = provision.put_key("sk", "live", account["account"]["id"], of_one, "", None)
    house.apply(change)
    asked = {"user_id": ADA, "limit": 2}
    cursor = house.post("/v1/export", asked, one["sk"]).json["next_cursor"]
    assert house.post("/v1/export", asked | {"cursor": cursor, "limit": 1}, one["sk"]).status == 200
    query = "/v1/query?from=2026-05-01&to=2026-05-20&limit=2"
    of_a_list = house.get(query, one["rk"]).json["next_cursor"]
    flipped = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    wrong: list[tuple[str, dict[str, Any]]] = [
        (two["sk"], {"cursor": cursor}), (second.text, {"cursor": cursor}), (one["sk"], {"cursor": cursor, "user_id": BOB}),
        (one["sk"], {"cursor": cursor, "include_anonymous": True}), (one["sk"], {"cursor": of_a_list}),
        (one["sk"], {"cursor": flipped}),
    ]  # fmt: skip
    for key, changed in wrong:
        answer = house.post("/v1/export", asked | changed, key)
        assert (answer.status, list(answer.json["details"]["fieldErrors"])) == (400, ["cursor"]), changed
    assert house.get(f"{query}&cursor={cursor}", one["rk"]).status == 400
    house.app = type(house.app)(house.wiring(b"\1" * 32))
    assert house.post("/v1/export", asked | {"cursor": cursor}, one["sk"]).status == 400


def test_an_event_that_arrives_between_two_pages_is_on_a_later_one(house: InProcess) -> None:
    sk = house.account()["projects"][0]["sk"]
    house.track(sk, *(visit(f"e{day}", "laptop", day, ADA) for day in range(2, 6)))
    first = house.post("/v1/export", {"user_id": ADA, "limit": 2}, sk).json
    house.track(sk, visit("late", "phone", 19, ADA))
    rest = exported(house, sk, user_id=ADA, cursor=first["next_cursor"])
    assert [row["event_name"] for row in (*first["rows"], *rest)] == ["e2", "e3", "e4", "e5", "late"]


# --- the audit log ----------------------------------------------------------------------------------------------------


def test_an_export_is_one_entry_whatever_its_pages_that_does_not_say_of_whom(house: InProcess) -> None:
    account = house.account()
    project, sk = account["projects"][0], account["projects"][0]["sk"]
    house.track(sk, *(visit(f"e{n}", "laptop", 2, ADA) for n in range(5)))
    assert len(pages_of(house, sk, user_id=ADA, limit=2)) == 3
    house.post("/v1/forget", {"user_id": ADA}, sk)
    pages_of(house, sk, user_id="nobody")
    first, forgot, other = entries(house)
    assert {name: first[name] for name in ("account_id", "action", "outcome", "times")} == {
        "account_id": account["account"]["id"], "action": "person.export", "outcome": "done", "times": 1,
    }  # fmt: skip
    assert first["actor"].startswith("key_")
    assert first["request_id"].startswith("req_")
    assert first["target"].startswith(f"{project['id']} person ")
    assert first["target"] == forgot["target"] != other["target"]
    assert other["action"] == "person.export"
    assert ADA not in json.dumps(entries(house))


def test_a_key_without_the_right_is_shown_nothing_and_writes_no_entry(house: InProcess) -> None:
    sk = house.account()["projects"][0]["sk"]
    house.track(sk, visit("e", "laptop", 2, ADA))
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked'")
    answer = house.post("/v1/export", {"user_id": ADA}, sk)
    assert (answer.status, answer.json["error"]) == (401, "invalid_api_key")
    assert [one["action"] for one in entries(house)] == ["invalid_api_key:withdrawn"]


def test_a_full_database_exports_nothing_rather_than_part_of_it(house: InProcess) -> None:
    """What waits cannot be folded then, and an export without it would not say so."""
    sk = house.account()["projects"][0]["sk"]
    house.track(sk, visit("e", "laptop", 2, ADA))
    house.fold()
    house.track(sk, visit("waiting", "laptop", 3, ADA))
    real = house.db.batch

    async def full(statements: Sequence[Statement]) -> list[Result]:
        if any(one.sql.lstrip().startswith("INSERT") for one in statements):
            raise StorageFullError
        return await real(statements)

    house.db.batch = full  # type: ignore[method-assign]
    answer = house.post("/v1/export", {"user_id": ADA}, sk)
    assert (answer.status, answer.json["error"]) == (507, "storage_full")
