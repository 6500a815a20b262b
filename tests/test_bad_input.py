"""The bad-input table against every endpoint, in process and on the real runtime: each row gets its refusal."""

from __future__ import annotations

import json
import time
from itertools import cycle
from typing import Any

import pytest

from tests.data.bad_input import ARGUMENTS, BODIES, ENVELOPES, EVENTS, TRANSPORT
from tests.house import Answer, InProcess, Service

MCP = ("/mcp", "/mcp/account")
REST = ("/v1/track", "/v1/batch", "/v1/identify", "/v1/forget", "/v1/export")
JSON = {"content-type": "application/json"}


class Keys:
    """The key of each endpoint; those that take events take turns among projects, for their rates (docs/limits.md)."""

    def __init__(self, account: dict[str, Any]) -> None:
        self._account = account["account"]["ak"]
        self._projects = cycle(project["sk"] for project in account["projects"])

    def __getitem__(self, path: str) -> str:
        return self._account if path == "/mcp/account" else next(self._projects)


@pytest.fixture(scope="module")
def _made() -> dict[type, Keys]:
    return {}


@pytest.fixture
def keys(service: Service, _made: dict[type, Keys]) -> Keys:
    names = [f"Project {number}" for number in range(10)]
    if isinstance(service, InProcess):
        return Keys(service.account("business", *names))
    if type(service) not in _made:
        _made[type(service)] = Keys(service.account("business", *names))  # type: ignore[attr-defined]
    return _made[type(service)]


def send(
    service: Service, key: str | None, path: str, body: bytes, method: str = "POST", **more: Any
) -> Answer:
    bearer = {} if key is None else {"authorization": f"Bearer {key}"}
    given = {name: value for name, value in (JSON | bearer | more).items() if value is not None}
    while (answer := service.request(method, path, headers=given, body=body)).status == 429:
        time.sleep(int(answer.headers["retry-after"]))
    return answer


def alive(service: Service, key: str) -> None:
    """The same process answers the next request."""
    assert service.rpc(key, "ping") == {"jsonrpc": "2.0", "id": 1, "result": {}}


def refused(answer: Answer, status: int, error: str) -> bool:
    return (
        answer.status == status and set(answer.json) <= {"error", "details"} and answer.json["error"] == error
    )


def rpc_refused(answer: Answer, status: int, code: int) -> bool:
    message = answer.json
    return answer.status == status and "result" not in message and message["error"]["code"] == code


def test_no_endpoint_takes_a_bad_body(service: Service, keys: Keys) -> None:
    wrong = []
    for row in BODIES:
        for path in MCP + REST:
            answer = send(service, keys[path], path, row.body)
            right = rpc_refused(answer, 400, row.rpc) if path in MCP else refused(answer, 400, row.rest)
            if not right:
                wrong.append((row.name, path, answer.status, answer.text[:200]))
    assert wrong == []
    alive(service, keys["/mcp"])


def test_no_malformed_message_is_answered_otherwise_than_with_its_code(service: Service, keys: Keys) -> None:
    wrong = []
    for row in ENVELOPES:
        for path in MCP:
            answer = send(service, keys[path], path, json.dumps(row.message).encode())
            right = rpc_refused(answer, row.status, row.code)
            right = right and row.text in (None, answer.json["error"]["message"])
            if (
                right
                and isinstance(row.message.get("id"), int)
                and row.message["id"] is not True
                and row.status == 200
            ):
                right = answer.json["id"] == row.message["id"]
            if not right:
                wrong.append((row.name, path, answer.status, answer.text[:200]))
    assert wrong == []
    alive(service, keys["/mcp"])


def test_ids_are_echoed_exactly(service: Service, keys: Keys) -> None:
    for value in (0, -1, "", "１", 9007199254740990, "null", "\u202e", "x" * 256):
        answer = service.post("/mcp", {"jsonrpc": "2.0", "id": value, "method": "ping"}, keys["/mcp"])
        assert json.dumps(answer.json["id"]) == json.dumps(value)


def test_every_bad_argument_is_named(service: Service, keys: Keys) -> None:
    wrong = []
    for row in ARGUMENTS:
        for path in MCP:
            if path == "/mcp/account" and row.field == "project_ids":
                continue  # an argument there; tests/test_account.py
            params = {"name": row.tool, "arguments": row.arguments}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = service.post(path, message, keys[path])
            result = answer.json.get("result", {})
            right = answer.status == 200 and result.get("isError") is True
            if right:
                explained = json.loads(result["content"][0]["text"])
                right = explained["error"] == "invalid_arguments"
                right = right and any(one["field"].startswith(row.field) for one in explained["details"])
            if not right:
                wrong.append((row.tool, row.arguments, path, answer.text[:300]))
    assert wrong == []
    alive(service, keys["/mcp"])


def test_arguments_that_are_no_object_are_an_error(service: Service, keys: Keys) -> None:
    for given in ([], "x", 1, True):
        answer = service.rpc(keys["/mcp"], "tools/call", {"name": "get_stats", "arguments": given})
        assert answer.get("error", {}).get("code") == -32602 or answer["result"]["isError"] is True


def test_every_bad_event_is_refused_for_its_field_and_nothing_is_stored(service: Service, keys: Keys) -> None:
    wrong = []
    for row in EVENTS:
        single = service.post("/v1/track", row.event, keys["/v1/track"])
        among = service.post("/v1/batch", {"events": [{"event": "good"}, row.event]}, keys["/v1/batch"])
        right = refused(single, 400, "invalid_payload") and row.field in single.json["details"]["fieldErrors"]
        right = right and refused(among, 400, "invalid_payload") and among.json["details"]["index"] == 1
        tool = service.rpc(keys["/mcp"], "tools/call", {"name": "track_event", "arguments": row.event})
        right = right and tool["result"]["isError"] is True
        if not right:
            wrong.append((str(row.event)[:80], single.text[:200], among.text[:200], str(tool)[:200]))
    assert wrong == []
    window = {"from_": "2026-01-01", "to": "2027-01-01"}
    for _ in range(10):
        assert service.rows(keys["/mcp"], "query_events", **window, event="good") == []


def test_every_bad_request_is_refused_before_its_body_counts(service: Service, keys: Keys) -> None:
    wrong = []
    for row in TRANSPORT:
        for path in MCP if row.only_mcp else MCP + REST:
            if path in MCP and row.name == "1 MiB and more":
                continue  # refused at 64 KiB already
            answer = send(
                service, keys[path] if row.bearer else None, path, row.body, row.method, **row.headers
            )
            body = answer.json
            error = body["error"]["message"] if isinstance(body.get("error"), dict) else body.get("error")
            if answer.status != row.status or error != row.error:
                wrong.append((row.name, path, answer.status, answer.text[:200]))
    assert wrong == []
    alive(service, keys["/mcp"])


def test_a_name_that_looks_like_sql_is_a_name(service: Service, account: dict[str, Any]) -> None:
    """Among other events, which a pattern would find too."""
    window, day, key = {"from_": "2026-05-01", "to": "2026-06-01"}, "2026-05-10", account["projects"][0]["sk"]
    service.track(key, *({"event": name, "timestamp": day} for name in ("e", "signup", "y" * 51)))
    for text in (
        "%",
        "_",
        "*",
        "' OR 1=1--",
        "x" * 51,
        "😀",
        "שלום",
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
    ):
        assert service.rows(key, "get_stats", **window, event=text) == [{"value": 0}]
        assert service.rows(key, "query_events", **window, event=text) == []
        service.track(key, {"event": text, "timestamp": day})
        assert service.rows(key, "get_stats", **window, event=text) == [{"value": 1}]
        assert [row["event_name"] for row in service.rows(key, "query_events", **window, event=text)] == [
            text
        ]


def test_no_unknown_path_is_found(service: Service) -> None:
    for path in (
        "/",
        "/mcp/",
        "/MCP",
        "/mcp/account/",
        "/v1",
        "/v1/track/",
        "/v1/../mcp",
        "/.env",
        "/admin",
        "//mcp",
        "/v1/track%00",
    ):
        answer = service.request("POST", path, headers=JSON, body=b"{}")
        assert answer.status in (401, 404), (path, answer.text)
        if answer.status == 401:
            assert path == "/v1/../mcp", "a client may resolve dots itself"
