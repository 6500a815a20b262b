"""Streams: progress ahead of an answer for clients that take it, and one JSON object for all others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.data.ladder import META, NEW, OLD
from tests.house import Answer, Service

BOTH = "application/json, text/event-stream"
ASKED = {"from": "2026-05-01", "to": "2026-06-01", "steps": ["$pageview", "signup"]}


def ask(service: Service, key: str, method: str, params: dict[str, Any], version: str, accept: str) -> Answer:
    meta = (META if version == NEW else {}) | params.get("_meta", {})
    message = {"jsonrpc": "2.0", "id": "ask", "method": method, "params": {**params, "_meta": meta}}
    headers = {"accept": accept, "mcp_protocol_version": version, "mcp_method": method}
    if "name" in params:
        headers["mcp_name"] = params["name"]
    return service.post("/mcp", message, key, **headers)


def messages(answer: Answer) -> list[dict[str, Any]]:
    """The messages of a stream of server-sent events."""
    assert answer.headers["content-type"] == "text/event-stream", answer.text
    blocks = answer.text.removesuffix("\n\n").split("\n\n")
    assert all(block.startswith("event: message\ndata: ") for block in blocks)
    return [json.loads(block.removeprefix("event: message\ndata: ")) for block in blocks]


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("token", ["p-1", 7])
def test_a_slow_tool_reports_progress_and_ends_with_its_answer(
    service: Service, shared: dict[str, Any], version: str, token: str | int
) -> None:
    key = shared["projects"][0]["rk"]
    params = {"name": "funnel", "arguments": ASKED}
    answer = ask(service, key, "tools/call", {**params, "_meta": {"progressToken": token}}, version, BOTH)
    progress, last = messages(answer)
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-store")
    assert progress == {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": token, "progress": 0, "message": "Funnel: reading events"},
    }
    assert last == ask(service, key, "tools/call", params, version, BOTH).json
    assert last["result"]["isError"] is False


@pytest.mark.parametrize(
    ("accept", "meta", "tool"),
    [
        (BOTH, {}, "funnel"),
        (BOTH, {"progressToken": True}, "funnel"),
        ("application/json", {"progressToken": "p"}, "funnel"),
        ("*/*", {"progressToken": "p"}, "funnel"),
        (BOTH, {"progressToken": "p"}, "track_event"),
    ],
)
def test_everything_else_stays_one_json_object(
    service: Service, shared: dict[str, Any], accept: str, meta: dict[str, Any], tool: str
) -> None:
    arguments = ASKED if tool == "funnel" else {"event": "signup"}
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    answer = ask(service, shared["projects"][0]["sk"], "tools/call", params, OLD, accept)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["result"]["isError"] is False


def test_what_is_wrong_from_the_start_is_no_stream(service: Service, shared: dict[str, Any]) -> None:
    params = {"name": "funnel", "arguments": {}, "_meta": {"progressToken": "p"}}
    answer = ask(service, shared["projects"][0]["rk"], "tools/call", params, NEW, BOTH)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["result"]["isError"] is True


def test_a_batch_is_never_streamed(service: Service, shared: dict[str, Any]) -> None:
    params = {"name": "funnel", "arguments": ASKED, "_meta": {"progressToken": "p"}}
    batch = [{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}]
    answer = service.post("/mcp", batch, shared["projects"][0]["rk"], accept=BOTH)
    assert [message["id"] for message in answer.json] == [1]


def test_a_subscription_is_acknowledged_empty_and_over(service: Service, shared: dict[str, Any]) -> None:
    key = shared["projects"][0]["rk"]
    wanted = {"notifications": {"toolsListChanged": True}}
    first, last = messages(ask(service, key, "subscriptions/listen", wanted, NEW, BOTH))
    subscription = "io.modelcontextprotocol/subscriptionId"
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"] == {"_meta": {subscription: "ask"}, "notifications": {}}
    assert (last["id"], last["result"]["resultType"]) == ("ask", "complete")
    assert last["result"]["_meta"][subscription] == "ask"
    assert ask(service, key, "subscriptions/listen", wanted, OLD, BOTH).json["error"]["code"] == -32601
