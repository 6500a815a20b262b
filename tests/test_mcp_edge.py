"""The HTTP edge of both MCP endpoints: which pages may call, which verbs, and what stays plainly not found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.house import Answer, InProcess, Service
from web.origins import may_call_mcp

PATHS = ["/mcp", "/mcp/account"]
HEADERS = [
    "authorization", "content-type", "accept", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id",
    "last-event-id",
]  # fmt: skip


def key_of(account: dict[str, Any], path: str) -> str:
    key: str = account["projects"][0]["rk"] if path == "/mcp" else account["account"]["ak"]
    return key


def ping(service: Service, key: str | None, path: str = "/mcp", **headers: str) -> Answer:
    return service.post(path, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, key, **headers)


@pytest.mark.parametrize(
    ("origin", "url", "allowed"),
    [
        (None, "http://localhost:8787/mcp", True),
        (None, "https://api.example/mcp", True),
        ("http://localhost:6274", "http://localhost:8787/mcp", True),
        ("http://127.0.0.1:6274", "http://localhost:8787/mcp", True),
        ("http://[::1]:6274", "http://127.0.0.1:8787/mcp", True),
        ("https://localhost", "http://localhost:8787/mcp", True),
        ("https://api.example", "https://api.example/mcp", True),
        ("http://api.example", "https://api.example/mcp", False),
        ("https://api.example.evil", "https://api.example/mcp", False),
        ("https://evil.example", "https://api.example/mcp", False),
        ("http://localhost:3000", "https://api.example/mcp", False),
        ("https://evil.example", "http://localhost:8787/mcp", False),
        ("http://evil.example:8787", "http://evil.example:8787/mcp", False),  # rebound to this machine
        ("http://localhost.evil.example", "http://localhost:8787/mcp", False),
        ("null", "http://localhost:8787/mcp", False),
        ("", "http://localhost:8787/mcp", False),
        ("file://", "http://localhost:8787/mcp", False),
        ("chrome-extension://abc", "http://localhost:8787/mcp", False),
        ("http://[::1", "http://localhost:8787/mcp", False),
        ("https://api.example/path", "https://api.example/mcp", False),
    ],
)
def test_a_page_may_call_from_this_machine_or_from_the_host_itself_over_tls(
    origin: str | None, url: str, allowed: bool
) -> None:
    assert may_call_mcp(origin, url) is allowed


@pytest.mark.parametrize("path", PATHS)
def test_a_strange_page_is_refused_before_its_key_is_looked_at(
    service: Service, shared: dict[str, Any], path: str
) -> None:
    for key in (key_of(shared, path), None, "nonsense"):
        answer = ping(service, key, path, origin="https://evil.example")
        assert answer.status == 403
        assert answer.json == {"jsonrpc": "2.0", "error": {"code": -32600, "message": "origin_not_allowed"}}
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_a_local_page_may_read_answers_refusals_and_its_preflight(
    service: Service, shared: dict[str, Any], path: str
) -> None:
    origin = "http://localhost:6274"
    for key, status in ((key_of(shared, path), 200), (None, 401), ("rk_live_00000000_x", None)):
        answer = ping(service, key, path, origin=origin)
        assert status in (None, answer.status)
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "Origin"
        assert "www-authenticate" in answer.headers["access-control-expose-headers"]
    preflight = service.request("OPTIONS", path, headers={"origin": origin})
    assert (preflight.status, preflight.text) == (204, "")
    assert preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert set(HEADERS) <= set(preflight.headers["access-control-allow-headers"].split(", "))
    refused = service.request("OPTIONS", path, headers={"origin": "https://evil.example"})
    assert refused.status == 403
    bare = service.request("OPTIONS", path)
    assert bare.status == 204
    assert not any(name.startswith("access-control") for name in bare.headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_only_post_is_offered(service: Service, shared: dict[str, Any], verb: str, path: str) -> None:
    for key in (key_of(shared, path), None):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        answer = service.request(verb, path, headers=headers)
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
        assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/authorize", "/token",
        "/register", "/mcp/", "/mcp/nothing", "/MCP",
    ],
)  # fmt: skip
def test_what_clients_probe_for_is_plainly_not_found(service: Service, path: str) -> None:
    for answer in (service.get(path), service.post(path, {})):
        assert (answer.status, answer.json) == (404, {"error": "not_found"})
        assert answer.headers["content-type"] == "application/json"


def test_a_name_rebound_to_this_machine_is_refused_by_its_host(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    assert ping(house, key, host="evil.example:8787").json == {"error": "host_not_allowed"}
    assert ping(house, key, host="[::1]:8787").status == 200


def test_refusals_never_invite_a_step_up(service: Service, shared: dict[str, Any]) -> None:
    """A challenge on 403 or 402, or a pointer to OAuth metadata that is not there, sends clients astray."""
    keys = shared["projects"][0]
    for key in (None, "Bearer", "nonsense", "rk_live_00000000_x", keys["pk"], shared["account"]["ak"]):
        answer = ping(service, key)
        challenge = answer.headers.get("www-authenticate", "")
        assert bool(challenge) is (answer.status == 401)
        assert "resource_metadata" not in challenge
        assert "scope" not in challenge
