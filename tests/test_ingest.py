"""What becomes of an event on arrival: its identity, what is filled in, what is worked out, what is never kept.

Source: contract.md §2 (POST /v1/track, /v1/identify) and §4.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest

from analytics.event import default_session_id
from analytics.window import parse_instant
from tests.house import SALT, InProcess, Service

AT = "2026-05-10T09:00:00Z"
WINDOW = "from=2026-05-01&to=2026-06-01"
CHROME_ON_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Mobile Safari/537.36"
)


@pytest.fixture
def keys(house: InProcess) -> dict[str, str]:
    project: dict[str, str] = house.account()["projects"][0]
    return project


@pytest.fixture
def empty(account: dict[str, Any]) -> dict[str, str]:
    project: dict[str, str] = account["projects"][0]
    return project


def stored(service: Service, keys: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = service.get(f"/v1/query?{WINDOW}{query}", keys["rk"]).json["rows"]
    return rows


def kept(house: InProcess, keys: dict[str, str], column: str) -> list[Any]:
    """What the table of events holds that no answer shows."""
    stored(house, keys)
    return [row[0] for row in house.db.connection.execute(f"SELECT {column} FROM events ORDER BY ts")]


def track(house: InProcess, keys: dict[str, str], headers: dict[str, str] | None = None, **event: Any) -> Any:
    body = {"event": "signup", **event}
    return house.post("/v1/track", body, keys["sk"], **(headers or {})).json


# --- identity ---


def test_a_resend_stores_nothing_and_says_so(service: Service, empty: dict[str, str]) -> None:
    event = {"event": "signup", "event_id": "e-1", "anonymous_id": "ada", "timestamp": AT}
    assert service.post("/v1/track", event, empty["sk"]).json == {"ok": True, "event_id": "e-1"}
    for same in (event, {**event, "url": "https://site.example/other"}):
        answer = service.post("/v1/track", same, empty["sk"])
        assert (answer.status, answer.json) == (202, {"ok": True, "event_id": "e-1", "duplicate": True})
    different = [{"event": "other"}, {"anonymous_id": "bob"}, {"timestamp": "2026-05-10T09:00:00.001Z"}]
    for change in different:
        assert service.post("/v1/track", {**event, **change}, empty["sk"]).json == {
            "ok": True,
            "event_id": "e-1",
        }
    assert len(stored(service, empty)) == 4
    assert all(row["url"] is None for row in stored(service, empty))


def test_an_id_that_waits_under_another_name_is_another_event(
    service: Service, empty: dict[str, str]
) -> None:
    mine = {"anonymous_id": "a", "event_id": "e-1", "timestamp": "2026-05-20T10:00:00Z"}
    service.track(empty["sk"], {"event": "view", **mine}, {"event": "other", **mine, "event_id": "e-2"})
    for name, duplicate in (("buy", False), ("view", True), ("buy", True), ("other", False)):
        answer = service.post("/v1/track", {"event": name, **mine}, empty["sk"])
        assert answer.json.get("duplicate", False) is duplicate, name


def test_without_a_time_an_event_id_is_the_same_event_for_seven_days(
    house: InProcess, keys: dict[str, str]
) -> None:
    for now, duplicate in (
        ("2026-05-10T12:00:00Z", False),
        ("2026-05-10T12:00:01Z", True),
        ("2026-05-17T11:59:59.999Z", True),
        ("2026-05-17T12:00:00Z", False),
        ("2026-05-17T12:00:00.001Z", True),
    ):
        house.now = now
        house.fold()  # as the cron does every day
        assert track(house, keys, event_id="e-1").get("duplicate", False) is duplicate, now
    assert [row["timestamp"][:10] for row in stored(house, keys)] == ["2026-05-17", "2026-05-10"]


def test_an_event_without_an_id_gets_one_and_is_never_a_duplicate(
    house: InProcess, keys: dict[str, str]
) -> None:
    first, second = (track(house, keys, anonymous_id="ada", timestamp=AT) for _ in range(2))
    assert first["event_id"] != second["event_id"]
    assert "duplicate" not in second
    assert len(stored(house, keys)) == 2


def test_the_visitor_of_an_event_without_ids_follows_from_its_event_id(
    house: InProcess, keys: dict[str, str]
) -> None:
    for name in ("a", "b"):
        track(house, keys, event=name, event_id="e-1", timestamp=AT)
    track(house, keys, event="c", event_id="e-2", timestamp=AT)
    by_name = {row["event_name"]: row["anonymous_id"] for row in stored(house, keys)}
    assert by_name["a"] == by_name["b"] != by_name["c"]
    assert all(by_name.values())


# --- what is filled in ---


def test_the_time_defaults_to_arrival(house: InProcess, keys: dict[str, str]) -> None:
    track(house, keys)
    assert stored(house, keys)[0]["timestamp"] == "2026-05-20T12:00:00.000Z"


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"url": "https://site.example/cart?x=1#top"}, "/cart"),
        ({"url": "https://site.example"}, "/"),
        ({"url": "https://site.example/cart", "path": "/own"}, "/own"),
        ({"path": "/own"}, "/own"),
        ({}, None),
    ],
)
def test_the_path_comes_from_the_url_unless_it_is_given(
    house: InProcess, keys: dict[str, str], event: dict[str, str], path: str | None
) -> None:
    track(house, keys, timestamp=AT, **event)
    assert stored(house, keys)[0]["path"] == path


def test_identify_is_one_event_whose_properties_are_the_traits(
    service: Service, empty: dict[str, str]
) -> None:
    body = {"anonymous_id": "ada", "user_id": "u-ada", "traits": {"plan": "pro"}}
    assert service.post("/v1/identify", body, empty["sk"]).json == {"ok": True}
    rows = service.read(empty["rk"], "events://recent")
    told = [(row["event_name"], row["anonymous_id"], row["user_id"], row["properties"]) for row in rows]
    assert told == [("$identify", "ada", "u-ada", '{"plan":"pro"}')]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "u"}, "anonymous_id"),
        ({"anonymous_id": "a"}, "user_id"),
        ({"anonymous_id": "a", "user_id": "u" * 257}, "user_id"),
        ({"anonymous_id": "a", "user_id": "u", "traits": []}, "traits"),
    ],
)
def test_identify_needs_both_ids(
    house: InProcess, keys: dict[str, str], body: dict[str, Any], field: str
) -> None:
    answer = house.post("/v1/identify", body, keys["sk"])
    assert (answer.status, list(answer.json["details"]["fieldErrors"])) == (400, [field])


# --- what is worked out, and what is never kept ---


def test_country_and_device_are_worked_out_and_never_taken_from_the_client(
    house: InProcess, keys: dict[str, str]
) -> None:
    headers = {"user_agent": CHROME_ON_ANDROID, "x_test_country": "DE"}
    track(house, keys, headers, timestamp=AT, country="XX", device_type="toaster", browser="x", os="y")
    (row,) = stored(house, keys)
    assert (row["country"], row["device_type"]) == ("DE", "mobile")
    columns = "group_by=browser,os"
    answer = house.get(f"/v1/stats?{WINDOW}&{columns}", keys["rk"])
    assert answer.json["rows"] == [{"browser": "chrome", "os": "android", "value": 1}]


def test_what_nobody_says_is_empty(house: InProcess, keys: dict[str, str]) -> None:
    track(house, keys, timestamp=AT)
    assert stored(house, keys)[0]["country"] == ""
    answer = house.get(f"/v1/stats?{WINDOW}&group_by=browser,os,device_type", keys["rk"])
    assert answer.json["rows"] == [{"browser": "", "os": "", "device_type": "desktop", "value": 1}]


def test_an_address_is_kept_as_a_hash_of_the_day_only(house: InProcess, keys: dict[str, str]) -> None:
    address = {"cf_connecting_ip": "203.0.113.77"}
    for now in ("2026-05-10T09:00:00Z", "2026-05-10T23:00:00Z", "2026-05-11T09:00:00Z"):
        house.now = now
        track(house, keys, address)
    hashes = kept(house, keys, "printf('%016x%016x', ip_high, ip_low)")
    day = hmac.digest(f"{SALT}2026-05-10".encode(), b"203.0.113.77", sha256)[:16].hex()
    assert hashes[:2] == [day, day]
    assert hashes[2] != day
    assert len(hashes[2]) == 32


def test_the_session_is_the_visitors_half_hour_of_the_events_own_time(
    house: InProcess, keys: dict[str, str]
) -> None:
    assert default_session_id("ada", parse_instant(AT)) == "ada-988002"
    assert default_session_id("ada", parse_instant("2026-05-10T09:29:59.999Z")) == "ada-988002"
    assert default_session_id("ada", parse_instant("2026-05-10T09:30:00Z")) == "ada-988003"
    track(house, keys, anonymous_id="ada", timestamp=AT)
    track(house, keys, anonymous_id="ada", timestamp="2026-05-10T10:00:00Z", session_id="own")
    assert kept(house, keys, "session_id") == [None, "own"]


def test_no_table_holds_an_address_a_user_agent_or_a_cookie(house: InProcess, keys: dict[str, str]) -> None:
    headers = {
        "cf_connecting_ip": "203.0.113.77",
        "x_forwarded_for": "203.0.113.77",
        "user_agent": CHROME_ON_ANDROID + " Canary/1",
        "cookie": "session=canary-cookie",
        "origin": "https://site.example",
    }
    house.post("/v1/track", {"event": "a"}, keys["pk"], **headers)
    house.post("/v1/batch", {"events": [{"event": "b"}, {"event": "c"}]}, keys["sk"], **headers)
    house.post("/v1/identify", {"anonymous_id": "a", "user_id": "u"}, keys["sk"], **headers)

    waiting = house.everything_stored()
    house.fold()
    for text in (waiting, house.everything_stored()):
        assert "canary" not in text.lower()
        assert "203.0.113.77" not in text
        assert "AppleWebKit" not in text


# --- what a row leaves out comes back ---


def test_events_come_back_as_they_were_sent(service: Service, empty: dict[str, str]) -> None:
    """However ids, URLs and referrers are written: storage keeps only what it cannot put together again."""
    site, uuid = "https://site.example", "5f0c3b1e-9a1d-4c77-8e21-d0f1a2b3c4d5"
    sent: list[dict[str, Any]] = [
        {
            "url": f"{site}/a?utm_source=X&utm_medium=cpc&utm_content=1#f",
            "referrer": "https://www.google.com/",
        },
        {"url": f"{site}/a/b?x=utm_source=", "path": "/a", "referrer": f"{site}/a?b"},
        {"url": f"{site}?gclid=1", "path": "/elsewhere", "referrer": f"{site}"},
        {"url": "HTTPS://Site.Example:8443", "referrer": "https://www.google.de/?q=fbclid="},
        {"path": "/only", "referrer": "android-app://com.example"},
        {"url": f"{site}/?", "referrer": ""},
        {},
    ]
    ids = [
        uuid,
        uuid.upper(),
        uuid.replace("-4c77-", "-1c77-"),
        "7",
        "ä 'quoted' {id}",
        "anon_5f0c",
        uuid[:-1] + "6",
    ]
    for minute, (event, visitor) in enumerate(zip(sent, ids, strict=True)):
        event |= {"event": "view", "anonymous_id": visitor, "timestamp": f"2026-05-10T09:{minute:02}:00.000Z"}
    sent[0] |= {"user_id": uuid, "properties": {"a": 1.50, "b": [None, "ü"], "": {}}}
    service.track(empty["sk"], *sent)
    rows = service.get("/v1/query?from=2026-05-10&to=2026-05-11", empty["rk"]).json["rows"][::-1]
    for event, row in zip(sent, rows, strict=True):
        for name in ("timestamp", "anonymous_id", "user_id", "url", "referrer"):
            assert row[name] == event.get(name), event
        assert json.loads(row["properties"]) == event.get("properties", {})
    assert [row["path"] for row in rows] == ["/a", "/a", "/elsewhere", "/", "/only", "/", None]
    assert rows[0]["properties"] == '{"a":1.5,"b":[null,"ü"],"":{}}'
    for event in sent:
        found = service.get(
            f"/v1/query?from=2026-05-10&to=2026-05-11&anonymous_id={quote(event['anonymous_id'])}",
            empty["rk"],
        )
        assert [row["timestamp"] for row in found.json["rows"]] == [event["timestamp"]]
    sessions = service.rows(empty["rk"], "sessions", from_="2026-05-10", to="2026-05-11")
    assert [row["anonymous_id"] for row in sessions] == ids[::-1]
    journey = service.rows(
        empty["rk"], "user_journey", from_="2026-05-10", to="2026-05-11", anonymous_id=uuid
    )
    assert [(row["anonymous_id"], row["user_id"], row["properties"]) for row in journey] == [
        (uuid, uuid, rows[0]["properties"])
    ]
    hosts = service.rows(empty["rk"], "breakdown", from_="2026-05-10", to="2026-05-11", by="referrer_host")
    assert {row["referrer_host"]: row["events"] for row in hosts} == {
        "google.com": 1, "site.example": 2, "google.de": 1, "com.example": 1, None: 2,
    }  # fmt: skip
