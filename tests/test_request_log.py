"""What the Worker prints: for each request one line of JSON, which holds nothing that a caller wrote; docs/log.md."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from access.token import mint_token
from tests.house import ROOT, Answer, InProcess, Service
from tests.runtime import Runtime
from web.app import _FILES, App
from web.request_log import RequestLog, Wanted

WINDOW = {"from_": "2026-05-01", "to": "2026-06-01"}
#: What a caller writes: text that ends a line, JSON, a key, and characters that no terminal should see.
HOSTILE = 'x"}\n{"event":"request","forged":true}\r\n\x1b[31m\u2028\x07'
#: Words that stand in bodies, headers and query strings, and in no line.
SECRET = "canary7531"
ADDRESS = "203.0.113.77"
DOCUMENT = (ROOT / "docs" / "log.md").read_text()
#: As docs/log.md names them.
MEMBERS = {name for row in re.findall(r"^\| (`.+?) \|", DOCUMENT.split("## ")[1], re.MULTILINE)
           for name in re.findall(r"`(\w+)`", row)} | {"event"}  # fmt: skip


def logging(house: InProcess, wanted: Wanted) -> list[dict[str, Any]]:
    """From now on the house writes lines; here they are."""
    lines: list[dict[str, Any]] = []
    requests = RequestLog(wanted, lambda line: lines.append(dict(line)))
    house.app = App(replace(house.wiring(), requests=requests))
    return lines


def call(service: Service, key: str, tool: str, **arguments: Any) -> Any:
    return service.rpc(key, "tools/call", {"name": tool, "arguments": arguments})


def test_a_line_says_who_asked_for_what(house: InProcess) -> None:
    account = house.account()
    keys, lines = account["projects"][0], logging(house, "on")
    call(house, keys["rk"], "get_stats", **{"from": "7d", "to": "now"})
    house.rpc(account["account"]["ak"], "tools/list", path="/mcp/account")
    house.get(f"/v1/query?from=7d&to=now&user_id={SECRET}", keys["rk"])
    ids = [line.pop("request_id") for line in lines]
    keys_ids = [line.pop("key_id") for line in lines]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"req_[0-9a-f]{16}", one) for one in ids)
    assert keys_ids[0] == keys_ids[2] != keys_ids[1]
    account_id = account["account"]["id"]
    mine = {"kind": "rk", "project_id": keys["id"], "account_id": account_id}
    posted = {"event": "request", "method": "POST", "status": 200}
    assert lines == [
        {**posted, "path": "/mcp", "rpc": "tools/call", "tool": "get_stats", **mine},
        {**posted, "path": "/mcp/account", "rpc": "tools/list", "kind": "ak", "account_id": account_id},
        {**posted, "method": "GET", "path": "/v1/query", **mine},
    ]


def test_what_was_refused_or_failed_says_so(house: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, lines = house.account()["projects"][0], logging(house, "on")
    at = {"cf_connecting_ip": ADDRESS}
    house.get("/v1/stats?from=7d&to=now", **at)
    house.post("/mcp", {"jsonrpc": "1.0"}, keys["rk"], **at)
    house.rpc(keys["rk"], f"tools/{SECRET}", **at)
    house.rpc(keys["rk"], "tools/call", {"name": SECRET}, **at)
    house.rpc(keys["rk"], "tools/call", {"name": "get_stats", "arguments": {"from": SECRET}}, **at)
    house.get(f"/{SECRET}", **at)
    house.request(SECRET, "/mcp")
    monkeypatch.setitem(_FILES, "/openapi.json", lambda _request: 1 / 0)
    house.get("/openapi.json", **at)
    told = [
        (line["path"], line["status"], line.get("rpc"), line.get("tool"), line["error"]) for line in lines
    ]
    assert told == [
        ("/v1/stats", 401, None, None, "missing_bearer_token"),
        ("/mcp", 400, None, None, "invalid_request"),
        ("/mcp", 200, None, None, "method_not_found"),
        ("/mcp", 200, "tools/call", None, "unknown_tool"),
        ("/mcp", 200, "tools/call", "get_stats", "invalid_arguments"),
        ("(other)", 404, None, None, "not_found"),
        ("/mcp", 405, None, None, "method_not_allowed"),
        ("/openapi.json", 500, None, None, "internal_error"),
    ]
    assert [line["method"] for line in lines] == [*["GET"], *["POST"] * 4, "GET", "(other)", "GET"]
    assert {line.get("network") for line in lines if line["method"] != "(other)"} == {"203.0.113.0/24"}
    assert lines[-1]["request_id"] == house.logged_ids[-1]
    assert SECRET not in json.dumps(lines)


def test_a_batch_says_all_that_it_called(house: InProcess) -> None:
    keys, lines = house.account()["projects"][0], logging(house, "on")
    batch = [
        {"jsonrpc": "2.0", "id": place, "method": name}
        for place, name in enumerate(("ping", "tools/list", "x"))
    ]
    house.post("/mcp", batch, keys["rk"])
    assert [(line["rpc"], line["error"]) for line in lines] == [("ping,tools/list", "method_not_found")]


@pytest.mark.parametrize(("wanted", "paths"), [
    ("on", ["/healthz", "/mcp", "/mcp", "/v1/stats", "(other)"]),
    ("errors", ["/mcp", "/v1/stats", "(other)"]),
    ("off", []),
])  # fmt: skip
def test_the_operator_says_which_requests_get_a_line(
    house: InProcess, wanted: Wanted, paths: list[str]
) -> None:
    key, lines = house.account()["projects"][0]["rk"], logging(house, wanted)
    house.get("/healthz")
    call(house, key, "overview")
    call(house, key, "overview", nothing=1)
    house.get("/v1/stats", key)
    house.get("/nothing")
    assert [line["path"] for line in lines] == paths


def test_every_member_is_told_in_the_document(house: InProcess) -> None:
    keys, lines = house.account()["projects"][0], logging(house, "on")
    call(house, keys["rk"], "overview")
    house.get("/v1/stats", keys["rk"], cf_connecting_ip="2001:db8:1:2::3")
    assert {name for line in lines for name in line} == MEMBERS
    assert lines[-1]["network"] == "2001:db8:1::/48"


# --- the Worker itself ------------------------------------------------------------------------------------------------


def printed(runtime: Runtime, since: int, count: int) -> list[str]:
    """What the Worker has printed behind `since` lines, once `count` requests have theirs: all but what its server says."""
    deadline = time.monotonic() + 20
    while True:
        lines = [line for line in runtime.lines[since:] if not line.startswith(("[worker:", "ready "))]
        if sum('"event": "request"' in line for line in lines) >= count or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def hostile_requests(service: Service, keys: Mapping[str, str]) -> list[Answer]:
    """Requests with what a line must not hold wherever a caller can write. Of a key in an address or
    an argument only the secret part: the local server prints the one, an answer echoes the other."""
    key, part = mint_token("rk", "live", lambda alphabet: alphabet[5]).text, keys["rk"].split("_")[-1]
    own = {"cf-connecting-ip": ADDRESS, "user-agent": f"{SECRET} agent", "x-forwarded-for": ADDRESS}
    bearer = {"authorization": f"Bearer {keys['rk']}", "content-type": "application/json", **own}
    event = {
        "event": SECRET,
        "anonymous_id": HOSTILE[:40],
        "properties": {SECRET: HOSTILE, "key": keys["sk"]},
    }
    named = {"jsonrpc": "2.0", "id": HOSTILE, "method": "tools/call"}

    def rpc(message: Mapping[str, Any]) -> Answer:
        return service.request("POST", "/mcp", headers=bearer, body=json.dumps(message).encode())

    return [
        service.request("POST", "/v1/track", headers=bearer | {"authorization": f"Bearer {keys['sk']}"},
                        body=json.dumps(event).encode()),
        service.request("GET", f"/v1/query?from=7d&to=now&user_id={SECRET}%0A%22{part}", headers=bearer),
        service.request("GET", f"/{SECRET}/%0a%0d%22/{part}", headers=own),
        service.request("GET", "/v1/stats?from=7d&to=now", headers=own | {"authorization": f"Bearer {key}"}),
        rpc({**named, "params": {"name": HOSTILE + SECRET}}),
        rpc({**named, "params": {"name": "get_stats", "arguments": {"from": HOSTILE, SECRET: part}}}),
        rpc({**named, "method": HOSTILE}),
        service.request("POST", "/mcp", headers=bearer, body=b'{"' + SECRET.encode() + b'"\n'),
        rpc({**named, "params": {"name": "overview", "arguments": {"goal": SECRET}}}),
    ]  # fmt: skip


@pytest.mark.worker
def test_the_worker_prints_one_line_of_json_for_each_request_and_nothing_of_its_caller(
    worker: Runtime,
) -> None:
    account = worker.account()
    keys = account["projects"][0]
    since = len(worker.lines)
    answers = hostile_requests(worker, keys)
    lines = [json.loads(line) for line in printed(worker, since, len(answers))]
    assert [(line["event"], line["status"]) for line in lines] == [("request", one.status) for one in answers]
    assert [line["status"] for line in lines] == [202, 200, 404, 401, 200, 200, 200, 400, 200]
    assert [line.get("tool") for line in lines] == [
        None,
        None,
        None,
        None,
        None,
        "get_stats",
        None,
        None,
        "overview",
    ]
    assert all(line.keys() <= MEMBERS for line in lines)
    said = json.dumps(lines)
    for foreign in (SECRET, ADDRESS, "forged", *(key.split("_")[-1] for key in (keys["rk"], keys["sk"]))):
        assert foreign not in said
    assert said.count("203.0.113.0/24") == 6  # with what was refused
    assert lines[0]["project_id"] == keys["id"]


@pytest.mark.worker
def test_with_errors_the_worker_prints_only_what_was_refused_or_failed(tmp_path: Path) -> None:
    """A failure has two lines: its stack, whose line breaks do not end the line, and the request it ended."""
    worker = Runtime(tmp_path / "state", "--no-demo", "--var", "LOG_REQUESTS=errors")
    try:
        since = len(worker.lines)
        answers = hostile_requests(worker, worker.keys["projects"][0])
        lines = [json.loads(line) for line in printed(worker, since, 6)]
        assert [line["status"] for line in lines] == [404, 401, 200, 200, 200, 400]
        assert len(answers) == 9
        rename = "ALTER TABLE inbox RENAME TO gone"
        worker.wrangler("d1", "execute", "millimetric", "--command", rename)
        since = len(worker.lines)
        assert worker.get("/healthz").status == 503
        failure, request = (json.loads(line) for line in printed(worker, since, 1))
        assert (failure["event"], request["error"], request["path"]) == ("not_ready", "not_ready", "/healthz")
        assert failure["request_id"] == request["request_id"]
        assert failure["error"].startswith("Traceback")
        assert failure["error"].count("\n") > 5
    finally:
        worker.stop()


def test_the_default_is_the_one_that_the_document_tells() -> None:
    assert 'LOG_REQUESTS = "on"' in (ROOT / "wrangler.toml").read_text()
    assert "It is on, because" in DOCUMENT
