"""The browser script as an answer, and the body key of its requests. In a page: tests/browser/."""

from __future__ import annotations

import gzip
import json
import subprocess
from typing import Any

import pytest

from tests.house import ROOT, Answer, InProcess, Service
from tests.runtime import NODE

SITE = "https://site.example"
VIEW = {"event": "$pageview", "anonymous_id": "ada", "timestamp": "2026-05-10T09:00:00Z", "url": f"{SITE}/"}
MAY = {"from_": "2026-05-01", "to": "2026-06-01"}


def test_what_is_served_is_made_from_the_readable_source() -> None:
    done = subprocess.run(
        [NODE, "dev/run.mjs", "script", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_is_public_and_smaller_than_two_kilobytes_gzipped(service: Service) -> None:
    answer = service.get("/v1/a.js")
    assert answer.status == 200
    assert len(gzip.compress(answer.text.encode())) < 2000
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


def test_whoever_holds_the_script_is_not_sent_it_again(service: Service) -> None:
    tag = service.get("/v1/a.js").headers["etag"]
    for held in (tag, f"W/{tag}", f'"older", {tag}', "*"):
        again = service.get("/v1/a.js", if_none_match=held)
        assert (again.status, again.text, again.headers["etag"]) == (304, "", tag)
    assert service.get("/v1/a.js", if_none_match='"older"').status == 200


def test_the_script_answers_get_and_head_alone(service: Service) -> None:
    head = service.request("HEAD", "/v1/a.js")
    assert (head.status, head.text, head.headers["content-type"]) == (
        200,
        "",
        "text/javascript; charset=utf-8",
    )
    refused = service.post("/v1/a.js", {})
    assert (refused.status, refused.json["error"], refused.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD, OPTIONS",
    )


def beacon(
    service: Service, path: str, body: Any, content_type: str = "text/plain;charset=UTF-8", **headers: str
) -> Answer:
    """A POST as `navigator.sendBeacon` sends it: no Authorization header."""
    given = {"content-type": content_type, "origin": SITE} | headers
    return service.request("POST", path, headers=given, body=json.dumps(body).encode())


@pytest.fixture
def keys(house: InProcess) -> dict[str, str]:
    project: dict[str, str] = house.account()["projects"][0]
    return project


def stored(service: Service, keys: dict[str, str]) -> Any:
    return [row["event_name"] for row in service.rows(keys["rk"], "query_events", **MAY)]


def test_a_beacon_carries_its_browser_key_in_a_text_body(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    one = beacon(service, "/v1/track", {"key": keys["pk"], "event_id": "a", **VIEW})
    assert (one.status, one.json) == (202, {"ok": True, "event_id": "a"})
    many = beacon(
        service, "/v1/batch", {"key": keys["pk"], "events": [{**VIEW, "event": "signup"}]}, "text/plain"
    )
    assert (many.status, many.json) == (202, {"ok": True, "count": 1})
    assert sorted(stored(service, keys)) == ["$pageview", "signup"]


def test_the_key_of_a_body_is_not_stored(house: InProcess, keys: dict[str, str]) -> None:
    assert beacon(house, "/v1/track", {"key": keys["pk"], **VIEW}).status == 202
    assert stored(house, keys) == ["$pageview"]
    assert keys["pk"] not in house.everything_stored()


def test_a_key_in_a_json_body_is_no_key(house: InProcess, keys: dict[str, str]) -> None:
    refused = beacon(house, "/v1/track", {"key": keys["pk"], **VIEW}, "application/json")
    assert (refused.status, refused.json) == (401, {"error": "missing_bearer_token"})
    assert stored(house, keys) == []


@pytest.mark.parametrize("kind", ["sk", "rk"])
def test_only_a_browser_key_may_stand_in_a_body(house: InProcess, keys: dict[str, str], kind: str) -> None:
    refused = beacon(house, "/v1/batch", {"key": keys[kind], "events": [VIEW]})
    assert (refused.status, refused.json) == (
        403,
        {"error": "key_kind_not_allowed", "details": {"allowed": ["pk_"]}},
    )
    assert stored(house, keys) == []


def test_an_account_key_may_not_stand_in_a_body(house: InProcess) -> None:
    refused = beacon(house, "/v1/batch", {"key": house.account()["account"]["ak"], "events": [VIEW]})
    assert (refused.status, refused.json["error"]) == (403, "key_kind_not_allowed")


def test_the_origin_is_checked_for_a_key_in_a_body_too(house: InProcess, keys: dict[str, str]) -> None:
    body = {"key": keys["pk"], "events": [VIEW]}
    foreign = beacon(house, "/v1/batch", body, origin="https://evil.example")
    assert (foreign.status, foreign.json) == (403, {"error": "origin_not_allowed"})
    program = house.request(
        "POST", "/v1/batch", headers={"content-type": "text/plain"}, body=json.dumps(body).encode()
    )
    assert (program.status, program.json) == (401, {"error": "missing_bearer_token"})
    assert stored(house, keys) == []


@pytest.mark.parametrize("path", ["/v1/identify", "/v1/query", "/mcp"])
def test_a_body_brings_its_key_only_where_events_are_taken_in(
    house: InProcess, keys: dict[str, str], path: str
) -> None:
    refused = beacon(
        house, path, {"key": keys["pk"], "anonymous_id": "ada", "user_id": "u"}, origin=house.url
    )
    assert refused.status in (401, 405)


def test_a_header_wins_over_the_body(house: InProcess, keys: dict[str, str]) -> None:
    refused = beacon(
        house, "/v1/track", {"key": keys["pk"], **VIEW}, authorization="Bearer pk_live_00000000_wrong"
    )
    assert (refused.status, refused.json) == (401, {"error": "invalid_api_key"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"key"', b'{"key":', b"\xff"])
def test_a_broken_beacon_is_an_invalid_payload(house: InProcess, body: bytes) -> None:
    headers = {"content-type": "text/plain", "origin": SITE}
    answer = house.request("POST", "/v1/batch", headers=headers, body=body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_payload")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "missing_bearer_token"),
        (7, "missing_bearer_token"),
        ("x", "malformed_api_key"),
        ("pk_live_a b", "malformed_api_key"),
    ],
)
def test_a_body_without_a_usable_key_is_refused_as_a_header_would_be(
    house: InProcess, key: Any, code: str
) -> None:
    answer = beacon(house, "/v1/batch", {"key": key, "events": [VIEW]})
    assert (answer.status, answer.json) == (401, {"error": code})


def test_a_beacon_is_no_larger_than_a_browser_sends_it(house: InProcess, keys: dict[str, str]) -> None:
    answer = beacon(house, "/v1/batch", {"key": keys["pk"], "events": [VIEW], "padding": ["x" * 8000] * 9})
    assert (answer.status, answer.json) == (
        413,
        {"error": "payload_too_large", "details": {"limit_bytes": 65536}},
    )
