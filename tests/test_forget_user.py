"""forget_user: what would go is told first; a token or a person lets it go, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from analytics.erasure import TOKEN_LIFE_MS, ErasureTokens
from analytics.window import format_instant
from storage import forget as forgetting
from storage.database import Result, Statement
from tests.clients.programs import python_client
from tests.house import InProcess, Service
from tests.json_schema import misfits
from tests.runtime import Runtime

META = "io.modelcontextprotocol/"
#: Ada on two devices, of which the first also has events of nobody and of Bob.
EVENTS = [
    {"event": "seen", "anonymous_id": "d1", "timestamp": "2026-05-01T09:00:00Z"},
    {"event": "seen", "anonymous_id": "d1", "timestamp": "2026-05-02T09:00:00Z", "user_id": "ada"},
    {"event": "bought", "anonymous_id": "d1", "timestamp": "2026-05-02T10:00:00Z", "user_id": "ada"},
    {"event": "seen", "anonymous_id": "d1", "timestamp": "2026-05-02T11:00:00Z", "user_id": "bob"},
    {"event": "seen", "anonymous_id": "d2", "timestamp": "2026-05-03T09:00:00Z", "user_id": "ada"},
    {"event": "seen", "anonymous_id": "d3", "timestamp": "2026-05-04T09:00:00Z"},
]
WOULD_GO = {
    "events": 3, "visitor_days": 2, "devices": 2, "anonymous_events": 1,
    "from": "2026-05-02T09:00:00.000Z", "to": "2026-05-03T09:00:00.000Z",
}  # fmt: skip
WITH_ANONYMOUS = WOULD_GO | {"events": 4, "visitor_days": 3, "from": "2026-05-01T09:00:00.000Z"}


@pytest.fixture
def keys(service: Service, account: dict[str, Any]) -> dict[str, str]:
    project: dict[str, str] = account["projects"][0]
    service.track(project["sk"], *EVENTS)
    return project


def said(service: Service, key: str, **arguments: Any) -> dict[str, Any]:
    result = service.call(key, "forget_user", **arguments)
    assert not result["isError"], result
    found: dict[str, Any] = result["structuredContent"]
    return found


def refused(service: Service, key: str, **arguments: Any) -> str:
    """The reason, of a field `token`."""
    result = service.call(key, "forget_user", **arguments)
    assert result["isError"], result
    (problem,) = json.loads(result["content"][0]["text"])["details"]
    assert problem["field"] == "token"
    return str(problem["reason"])


def users(service: Service, key: str) -> list[str | None]:
    rows = service.rows(key, "query_events", from_="2026-05-01", to="2026-05-20")
    return [row["user_id"] for row in rows][::-1]


def modern(service: Service, key: str, capabilities: dict[str, Any], **params: Any) -> Any:
    meta = {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": capabilities}
    headers = {
        "mcp_protocol_version": "2026-07-28",
        "mcp_method": "tools/call",
        "mcp_name": "forget_user",
    }
    return service.rpc(key, "tools/call", {"name": "forget_user", "_meta": meta, **params}, **headers)


def test_prepare_tells_what_would_go_and_execute_erases_it(service: Service, keys: dict[str, str]) -> None:
    told = said(service, keys["sk"], user_id="ada")
    token = told.pop("token")
    assert told.pop("expires_at")
    assert told == {"status": "prepared", **WOULD_GO}
    assert len(users(service, keys["sk"])) == 6
    done = said(service, keys["sk"], user_id="ada", step="execute", token=token)
    assert done == {"status": "erased", "events": 3}
    assert users(service, keys["sk"]) == [None, "bob", None]
    again = said(service, keys["sk"], user_id="ada", step="execute", token=token)
    assert again == {"status": "erased", "events": 0}


def test_what_is_told_of_anonymous_events_is_what_goes_when_they_are_included(
    service: Service, keys: dict[str, str]
) -> None:
    told = said(service, keys["sk"], user_id="ada", include_anonymous=True)
    assert {name: told[name] for name in WOULD_GO} == WITH_ANONYMOUS
    done = said(
        service, keys["sk"], user_id="ada", include_anonymous=True, step="execute", token=told["token"]
    )
    assert done["events"] == WITH_ANONYMOUS["events"]
    assert users(service, keys["sk"]) == ["bob", None]


def test_a_device_that_came_from_two_sources_on_a_day_is_told_once(house: InProcess) -> None:
    key = house.account()["projects"][0]["sk"]
    seen = {"event": "seen", "anonymous_id": "d1", "user_id": "ada"}
    landings = [("09", "a"), ("10", "b"), ("11", "b")]
    house.track(
        key,
        *(
            seen
            | {"timestamp": f"2026-05-02T{hour}:00:00Z", "url": f"https://site.example/?utm_source={source}"}
            for hour, source in landings
        ),
    )
    told = said(house, key, user_id="ada")
    assert {name: told[name] for name in WOULD_GO} == {
        "events": 3, "visitor_days": 1, "devices": 1, "anonymous_events": 0,
        "from": "2026-05-02T09:00:00.000Z", "to": "2026-05-02T11:00:00.000Z",
    }  # fmt: skip
    assert said(house, key, user_id="ada", step="execute", token=told["token"])["events"] == 3


def test_without_a_token_and_without_a_person_nothing_is_erased(
    service: Service, keys: dict[str, str]
) -> None:
    assert "Prepare" in refused(service, keys["sk"], user_id="ada", step="execute")
    mute = modern(service, keys["sk"], {}, arguments={"user_id": "ada", "step": "execute"})["result"]
    assert mute["isError"]
    only_urls = modern(
        service, keys["sk"], {"elicitation": {"url": {}}}, arguments={"user_id": "ada", "step": "execute"}
    )
    assert only_urls["result"]["isError"]
    assert len(users(service, keys["sk"])) == 6


@pytest.mark.parametrize("form", [{}, {"form": {}}])
def test_a_client_that_can_ask_a_person_is_told_to(
    service: Service, keys: dict[str, str], form: dict[str, Any]
) -> None:
    capabilities, arguments = {"elicitation": form}, {"user_id": "ada", "step": "execute"}
    asked = modern(service, keys["sk"], capabilities, arguments=arguments)["result"]
    assert asked["resultType"] == "input_required"
    request = asked["inputRequests"]["confirm"]
    assert request["method"] == "elicitation/create"
    assert "3 events on 2 devices" in request["params"]["message"]
    assert request["params"]["requestedSchema"]["properties"]["confirm"]["type"] == "boolean"
    assert len(users(service, keys["sk"])) == 6

    def answer(response: Any, **changed: Any) -> Any:
        params = {"requestState": asked["requestState"], "inputResponses": {"confirm": response}} | changed
        return modern(service, keys["sk"], capabilities, **({"arguments": arguments} | params))

    for no in (
        {"action": "decline"},
        {"action": "cancel"},
        {"action": "accept", "content": {"confirm": False}},
    ):
        assert answer(no)["result"]["structuredContent"] == {"status": "declined", "events": 0}
    yes = {"action": "accept", "content": {"confirm": True}}
    for changed in (
        {"requestState": asked["requestState"][:-2] + "__"},
        {"arguments": {**arguments, "user_id": "bob"}},
        {"arguments": {**arguments, "include_anonymous": True}},
        {"requestState": 7},
    ):
        assert answer(yes, **changed)["error"]["message"] == "invalid_params"
    assert answer(yes, inputResponses={"other": yes})["result"]["resultType"] == "input_required"
    assert len(users(service, keys["sk"])) == 6
    for events in (3, 0):
        assert answer(yes)["result"]["structuredContent"] == {"status": "erased", "events": events}
    assert users(service, keys["sk"]) == [None, "bob", None]


def test_a_token_is_good_for_one_person_and_one_choice(service: Service, keys: dict[str, str]) -> None:
    token = said(service, keys["sk"], user_id="ada")["token"]
    for wrong in ("", "x", "\u00e4", token[:-1], token + "A", "A" * len(token), token.swapcase()):
        assert refused(service, keys["sk"], user_id="ada", step="execute", token=wrong)
    for other in ({"user_id": "bob"}, {"user_id": "ada", "include_anonymous": True}):
        assert "was not issued" in refused(service, keys["sk"], **other, step="execute", token=token)
    assert len(users(service, keys["sk"])) == 6


def test_a_token_is_of_one_project(house: InProcess) -> None:
    keys = house.account("business", "One", "Two")["projects"]
    for project in keys:
        house.track(project["sk"], *EVENTS)
    token = said(house, keys[0]["sk"], user_id="ada")["token"]
    assert "was not issued" in refused(house, keys[1]["sk"], user_id="ada", step="execute", token=token)
    assert said(house, keys[0]["sk"], user_id="ada", step="execute", token=token)["events"] == 3
    assert len(users(house, keys[1]["sk"])) == 6, "T-GDPR-4: the same user_id of another project"


def test_a_token_ends_after_ten_minutes(house: InProcess) -> None:
    key = house.account()["projects"][0]["sk"]
    house.track(key, *EVENTS)
    told = said(house, key, user_id="ada")
    start = house._now_ms()
    assert told["expires_at"] == format_instant(start + TOKEN_LIFE_MS)
    house.now = format_instant(start + TOKEN_LIFE_MS)
    assert "expired" in refused(house, key, user_id="ada", step="execute", token=told["token"])
    house.now = format_instant(start + TOKEN_LIFE_MS - 1)
    assert said(house, key, user_id="ada", step="execute", token=told["token"])["events"] == 3


@pytest.mark.parametrize(
    "more",
    [
        {"anonymous_id": "d1", "timestamp": "2026-05-02T12:00:00Z"},
        {"anonymous_id": "d9", "timestamp": "2026-05-09T12:00:00Z"},
    ],
)
def test_a_token_does_not_take_more_than_was_told(house: InProcess, more: dict[str, str]) -> None:
    key = house.account()["projects"][0]["sk"]
    house.track(key, *EVENTS)
    token = said(house, key, user_id="ada")["token"]
    house.track(key, {"event": "late", "user_id": "ada", **more})
    reason = refused(house, key, user_id="ada", step="execute", token=token)
    assert "issued for 3 events" in reason
    assert "are 4" in reason
    token = said(house, key, user_id="ada")["token"]
    assert said(house, key, user_id="ada", step="execute", token=token)["events"] == 4


def test_the_secret_makes_the_token(house: InProcess) -> None:
    key = house.account()["projects"][0]["sk"]
    token = said(house, key, user_id="ada")["token"]
    from web.app import App

    wiring = house.wiring()
    object.__setattr__(wiring, "erasures", ErasureTokens(b"another secret"))
    house.app = App(wiring)
    assert "was not issued" in refused(house, key, user_id="ada", step="execute", token=token)


def test_sending_execute_again_is_one_entry_of_the_audit_log(house: InProcess) -> None:
    key = house.account()["projects"][0]["sk"]
    house.track(key, *EVENTS)
    token = said(house, key, user_id="ada")["token"]
    for _ in range(3):
        said(house, key, user_id="ada", step="execute", token=token)
    rows = house.db.connection.execute("SELECT action, outcome, times FROM audit_entries").fetchall()
    assert [tuple(row) for row in rows] == [("person.forget", "done", 1)]


def test_an_erasure_that_was_interrupted_goes_on_with_the_same_token(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-GDPR-1: in rounds, each a transaction of its own."""
    monkeypatch.setattr(forgetting, "EVENTS_PER_ROUND", 1)
    key = house.account()["projects"][0]["sk"]
    house.track(key, *EVENTS)
    token = said(house, key, user_id="ada")["token"]
    erase = {"name": "forget_user", "arguments": {"user_id": "ada", "step": "execute", "token": token}}
    real, rounds = house.db.batch, 0

    async def failing(statements: Sequence[Statement]) -> list[Result]:
        nonlocal rounds
        rounds += any("UPDATE events SET fold" in one.sql for one in statements)
        if rounds == 2:
            raise RuntimeError("the isolate is gone")
        return await real(statements)

    house.db.batch = failing  # type: ignore[method-assign]
    assert house.rpc(key, "tools/call", erase)["error"]["message"] == "tool_failed"
    house.db.batch = real  # type: ignore[method-assign]
    assert len(users(house, key)) == 5
    assert said(house, key, **erase["arguments"])["events"] == 2  # type: ignore[arg-type]
    assert users(house, key) == [None, "bob", None]


def test_only_the_server_key_sees_it_and_may_call_it(service: Service, shared: dict[str, Any]) -> None:
    keys = shared["projects"][0]

    def listed(key: str, path: str = "/mcp") -> dict[str, Any]:
        return {tool["name"]: tool for tool in service.rpc(key, "tools/list", path=path)["result"]["tools"]}

    assert "forget_user" not in listed(keys["rk"])
    assert "forget_user" not in listed(shared["account"]["ak"], "/mcp/account")
    mine = listed(keys["sk"])["forget_user"]
    assert mine["annotations"] == {
        "readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False,
    }  # fmt: skip
    assert len(json.dumps(mine, separators=(",", ":"))) <= 950
    assert misfits({"status": "erased", "events": "3"}, mine["outputSchema"])
    call = {"name": "forget_user", "arguments": {"user_id": "ada"}}
    assert service.rpc(keys["rk"], "tools/call", call)["error"] == {
        "code": -32000, "message": "insufficient_scope", "data": {"required": "ingest", "got": "read"},
    }  # fmt: skip
    unknown = service.rpc(shared["account"]["ak"], "tools/call", call, "/mcp/account")["error"]
    assert (unknown["code"], unknown["message"]) == (-32602, "unknown_tool")


@pytest.mark.worker
@pytest.mark.parametrize(("action", "left"), [("accept", 3), ("decline", 6)])
def test_the_official_client_asks_its_person(worker: Runtime, action: str, left: int) -> None:
    key = worker.account("pro")["projects"][0]["sk"]
    worker.track(key, *EVENTS)
    calls = [("forget_user", {"user_id": "ada", "step": "execute"})]
    job = {"url": f"{worker.url}/mcp", "key": key, "mode": "auto", "calls": calls, "reads": []}
    report = python_client(job | {"person": {"action": action, "content": {"confirm": True}}})
    (call,) = report["calls"]
    status = "erased" if action == "accept" else "declined"
    assert call["structured"] == {"status": status, "events": 6 - left}
    assert len(users(worker, key)) == left
    assert "3 events on 2 devices" in report["asked"][0]
