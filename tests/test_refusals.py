"""Who is turned away, and with exactly which words: kinds of key, plans, scopes, wrong and malformed keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from access.token import mint_token
from storage.key_store import key_name
from tests.house import Answer, InProcess, Service

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
BARE = 'Bearer realm="millimetric"'
INVALID = 'Bearer realm="millimetric", error="invalid_token"'
AccountOf = Callable[[str], dict[str, Any]]
WINDOW = "from=2026-05-01&to=2026-06-01"


@pytest.fixture(scope="module")
def accounts() -> dict[tuple[str, str], dict[str, Any]]:
    return {}


@pytest.fixture
def account_of(service: Service, accounts: dict[tuple[str, str], dict[str, Any]]) -> AccountOf:
    """An account of a plan; on the Worker, where it takes a second to make, one for all tests."""

    def make(plan: str) -> dict[str, Any]:
        if isinstance(service, InProcess):
            return service.account(plan)
        if (service.url, plan) not in accounts:
            accounts[service.url, plan] = service.account(plan)  # type: ignore[attr-defined]
        return accounts[service.url, plan]

    return make


@pytest.fixture
def account(account_of: AccountOf) -> dict[str, Any]:
    return account_of("business")


def mcp(service: Service, authorization: str | None, path: str = "/mcp") -> Answer:
    headers = {} if authorization is None else {"authorization": authorization}
    return service.post(path, LIST, None, **headers)


def same(answer: Answer, status: int, body: Mapping[str, Any], challenge: str | None = None) -> None:
    assert (answer.status, answer.json) == (status, body)
    assert answer.headers.get("www-authenticate") == challenge
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dXNlcjpwYXNz", "rk_live_0011aabb_x"])
def test_no_bearer_token_is_missing(service: Service, header: str | None) -> None:
    same(mcp(service, header), 401, {"error": "missing_bearer_token"}, BARE)
    headers = {} if header is None else {"authorization": header}
    same(service.get(f"/v1/stats?{WINDOW}", **headers), 401, {"error": "missing_bearer_token"}, BARE)


@pytest.mark.parametrize(
    "token",
    [
        "abc", "rk_live", "rk_live_0011aabb", "rk_live_0011aabb_", "rk_prod_0011aabb_secret", "xk_live_0011aabb_secret",
        "rk_live_0011AABB_secret", "rk_live_0011aab_secret", "RK_live_0011aabb_secret", "rk_live_0011aabb_se cret",
        "rk_live_0011aabb_secret, Bearer rk_live_0011aabb_secret", "rk_live_0011aabb_" + "s" * 201,
    ],
)  # fmt: skip
def test_what_has_not_the_shape_of_a_key_is_malformed(service: Service, token: str) -> None:
    same(mcp(service, f"Bearer {token}"), 401, {"error": "malformed_api_key"}, INVALID)


def wrong_keys(right: str) -> dict[str, str]:
    kind, env, prefix, _secret = right.split("_", 3)
    stranger = mint_token("rk", "live", lambda alphabet: alphabet[3]).text
    # A well-made key at the address of the real one: only the digest can tell them apart.
    places = iter(prefix)
    twin = mint_token("rk", "live", lambda alphabet: next(places, alphabet[5])).text
    return {
        "another secret in the contract's shape": f"{kind}_{env}_{prefix}_under_score-dash",
        "one character changed": right[:-1] + ("a" if right[-1] != "a" else "b"),
        "cut short": right[:-1],
        "another environment": right.replace("_live_", "_test_"),
        "unknown prefix": stranger,
        "right prefix, right checksum, wrong secret": twin,
    }


@pytest.mark.parametrize("which", list(wrong_keys("rk_live_00112233_" + "x" * 49)))
def test_every_wrong_key_gets_the_same_bytes(service: Service, account: dict[str, Any], which: str) -> None:
    wrong = wrong_keys(account["projects"][0]["rk"])[which]
    same(mcp(service, f"Bearer {wrong}"), 401, {"error": "invalid_api_key"}, INVALID)
    same(service.get(f"/v1/stats?{WINDOW}", wrong), 401, {"error": "invalid_api_key"}, INVALID)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(
    service: Service, account: dict[str, Any], scheme: str
) -> None:
    assert mcp(service, f"{scheme} {account['projects'][0]['rk']}").status == 200


@pytest.mark.parametrize("kind", ["pk", "ak"])
def test_browser_and_account_keys_may_not_use_the_project_endpoint(
    service: Service, account: dict[str, Any], kind: str
) -> None:
    key = account["account"]["ak"] if kind == "ak" else account["projects"][0]["pk"]
    expected = {"error": "key_kind_not_allowed", "details": {"allowed": ["rk_", "sk_"]}}
    same(mcp(service, f"Bearer {key}"), 403, expected)
    same(mcp(service, f"Bearer {kind}_live_0011aabb_unknown"), 403, expected)


@pytest.mark.parametrize("kind", ["rk", "sk"])
def test_a_free_project_has_no_mcp(service: Service, account_of: AccountOf, kind: str) -> None:
    keys = account_of("free")["projects"][0]
    expected = {"error": "plan_limit", "details": {"plan": "free", "required": "pro"}}
    same(mcp(service, f"Bearer {keys[kind]}"), 402, expected)
    assert service.post("/v1/track", {"event": "e"}, keys["sk"]).status == 202
    assert service.get(f"/v1/stats?{WINDOW}", keys["rk"]).status == 200


def test_a_read_key_may_not_track_and_is_not_shown_the_tool(
    service: Service, account: dict[str, Any]
) -> None:
    keys = account["projects"][0]
    call = {"name": "track_event", "arguments": {"event": "e"}}
    assert service.rpc(keys["rk"], "tools/call", call)["error"] == {
        "code": -32000,
        "message": "insufficient_scope",
        "data": {"required": "ingest", "got": "read"},
    }
    shown = {kind: service.rpc(keys[kind], "tools/list")["result"]["tools"] for kind in ("rk", "sk")}
    names = {kind: [tool["name"] for tool in tools] for kind, tools in shown.items()}
    assert "track_event" not in names["rk"]
    assert names["sk"] == [*names["rk"], "track_event", "forget_user"]


WRITES = ["/v1/track", "/v1/batch", "/v1/identify"]
READS = [f"/v1/query?{WINDOW}", f"/v1/stats?{WINDOW}", f"/v1/sources?{WINDOW}"]


@pytest.mark.parametrize("kind", ["rk", "ak"])
@pytest.mark.parametrize("path", WRITES)
def test_reading_keys_may_not_write_over_rest(
    service: Service, account: dict[str, Any], kind: str, path: str
) -> None:
    key = account["account"]["ak"] if kind == "ak" else account["projects"][0]["rk"]
    answer = service.post(path, {"event": "e"}, key)
    assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("kind", ["pk", "sk", "ak"])
@pytest.mark.parametrize("path", READS)
def test_writing_keys_may_not_read_over_rest(
    service: Service, account: dict[str, Any], kind: str, path: str
) -> None:
    key = account["account"]["ak"] if kind == "ak" else account["projects"][0][kind]
    answer = service.get(path, key)
    assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://site.example", "null"])
def test_a_browser_key_needs_an_allowed_origin(
    service: Service, account: dict[str, Any], origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = service.post("/v1/track", {"event": "e"}, account["projects"][0]["pk"], **headers)
    assert (answer.status, answer.json["error"]) == (403, "origin_not_allowed")


def test_a_browser_key_with_its_origin_may_track(service: Service, account: dict[str, Any]) -> None:
    key = account["projects"][0]["pk"]
    assert service.post("/v1/track", {"event": "e"}, key, origin="https://site.example").status == 202


def test_a_record_of_another_kind_than_the_key_is_a_mismatch(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    prefix = keys["sk"].split("_")[2]
    stored = house.kv.entries[key_name("sk", "live", prefix)]
    house.kv.entries[key_name("sk", "live", prefix)] = stored.replace('"kind": "sk"', '"kind": "rk"')
    same(mcp(house, f"Bearer {keys['sk']}"), 401, {"error": "key_kind_mismatch"}, INVALID)
    logged = house.db.connection.execute("SELECT actor, action FROM audit_entries WHERE outcome = 'refused'")
    (key_id,) = house.db.connection.execute("SELECT id FROM api_keys WHERE prefix = ?", [prefix]).fetchone()
    assert [tuple(row) for row in logged] == [(key_id, "key_kind_mismatch")]
