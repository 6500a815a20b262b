"""The official clients against the Worker itself: they list everything, call each tool, read each resource, see errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.programs import inspector, python_client, typescript_client
from tests.runtime import Runtime

pytestmark = pytest.mark.worker

WINDOW = {"from": "2026-05-01", "to": "2026-06-01"}
READERS = ["get_stats", "top_sources", "funnel", "query_events"]
EVENTS = [
    {"event": "$pageview", "anonymous_id": "ada", "timestamp": "2026-05-10T09:00:00Z"},
    {"event": "signup", "anonymous_id": "ada", "timestamp": "2026-05-10T09:00:30Z", "event_id": "s1"},
    {"event": "$pageview", "anonymous_id": "bob", "timestamp": "2026-05-11T09:00:00Z"},
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_stats", {**WINDOW, "metric": "uniques"}),
    ("top_sources", WINDOW),
    ("funnel", {**WINDOW, "steps": ["$pageview", "signup"]}),
    ("query_events", {**WINDOW, "event": "signup"}),
]
STEPS = [
    {
        "step": 1, "event": "$pageview", "visitors": 2, "conversion_from_previous": 1, "conversion_from_first": 1,
        "dropped": 0, "median_seconds": None, "mean_seconds": None,
    },
    {
        "step": 2, "event": "signup", "visitors": 1, "conversion_from_previous": 0.5, "conversion_from_first": 0.5,
        "dropped": 1, "median_seconds": 30, "mean_seconds": 30,
    },
]  # fmt: skip
ANSWERS: list[Any] = [
    [{"value": 2}],
    [{"source": "direct", "medium": "direct", "events": 3, "uniques": 2, "paid_share": 0}],
    STEPS,
]
SCHEMA = [{"event_name": "$pageview", "count": 2}, {"event_name": "signup", "count": 1}]

#: mode → the version that client and server then agree on.
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
CLIENTS = pytest.mark.parametrize("client", [python_client, typescript_client])
MODES = pytest.mark.parametrize("mode", list(VERSIONS))

Client = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def project(worker: Runtime) -> dict[str, str]:
    keys: dict[str, str] = worker.account("pro")["projects"][0]
    worker.track(keys["sk"], *EVENTS)
    return keys


def job(worker: Runtime, key: str, mode: str, calls: list[Any], reads: list[str]) -> dict[str, Any]:
    return {"url": f"{worker.url}/mcp", "key": key, "mode": mode, "calls": calls, "reads": reads}


@CLIENTS
@MODES
def test_a_reader_lists_and_calls_everything(
    worker: Runtime, project: dict[str, str], client: Client, mode: str
) -> None:
    report = client(job(worker, project["rk"], mode, CALLS, ["events://recent", "schema://events"]))
    assert report["version"] == VERSIONS[mode]
    assert report["tools"][: len(READERS)] == READERS
    assert "track_event" not in report["tools"]
    assert {"events://recent", "schema://events"} <= set(report["resources"])
    texts = [json.loads(call["text"]) for call in report["calls"]]
    assert texts[:3] == ANSWERS
    assert [row["timestamp"] for row in texts[3]] == ["2026-05-10T09:00:30.000Z"]
    for call, text in zip(report["calls"], texts, strict=True):
        assert call["is_error"] is False
        assert call["structured"]["rows"] == text
    recent = json.loads(report["reads"][0]["text"])
    assert [row["anonymous_id"] for row in recent] == ["bob", "ada", "ada"]
    assert isinstance(json.loads(report["reads"][1]["text"]), list)


@CLIENTS
@MODES
def test_a_server_key_tracks_once(worker: Runtime, client: Client, mode: str) -> None:
    keys = worker.account("pro")["projects"][0]
    event = {"event": "ping", "event_id": "p1", "anonymous_id": "me"}
    report = client(job(worker, keys["sk"], mode, [("track_event", event)] * 2, ["schema://events"]))
    assert "track_event" in report["tools"]
    first = {"ok": True, "event_id": "p1"}
    assert [call["structured"] for call in report["calls"]] == [first, first | {"duplicate": True}]
    assert json.loads(report["reads"][0]["text"]) == [{"event_name": "ping", "count": 1}]


@CLIENTS
@MODES
def test_documented_errors_arrive_as_such(
    worker: Runtime, project: dict[str, str], client: Client, mode: str
) -> None:
    calls = [
        ("track_event", {"event": "x"}),
        ("no_such_tool", {}),
        ("get_stats", {**WINDOW, "metric": "mean"}),
    ]
    report = client(job(worker, project["rk"], mode, calls, ["nothing://here"]))
    denied, unknown, invalid = report["calls"]
    assert denied["error"]["code"] == -32000
    assert "insufficient_scope" in denied["error"]["message"]
    assert denied["error"]["data"] == {"required": "ingest", "got": "read"}
    assert unknown["error"]["code"] == -32602
    assert "unknown_tool" in unknown["error"]["message"]
    assert unknown["error"]["data"] == {"name": "no_such_tool"}
    assert invalid["is_error"] is True
    assert json.loads(invalid["text"])["error"] == "invalid_arguments"
    (missing,) = report["reads"]
    assert missing["error"]["code"] == -32602
    assert missing["error"]["data"] == {"uri": "nothing://here"}


@CLIENTS
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_errors_about_projects_arrive_as_documented(worker: Runtime, client: Client, mode: str) -> None:
    account = worker.account("business")
    calls = [
        ("get_stats", {**WINDOW, "project_id": "prj_none"}),
        ("top_sources", {**WINDOW, "project_slug": "none"}),
        ("overview", {"project_ids": [account["projects"][0]["id"], "prj_none"]}),
        ("track_event", {"event": "x"}),
        ("overview", {"project_id": account["projects"][0]["id"]}),
    ]
    asked = job(worker, account["account"]["ak"], mode, calls, ["projects://none"])
    report = client(asked | {"url": f"{worker.url}/mcp/account"})
    *refused, answered = report["calls"]
    codes = [(one["error"]["code"], one["error"]["message"].rpartition(" ")[2]) for one in refused]
    assert codes == [
        (-32004, "unknown_project_id"),
        (-32004, "unknown_project_slug"),
        (-32004, "unknown_project_id"),
        (-32602, "unknown_tool"),
    ]
    assert answered["is_error"] is False
    assert report["reads"][0]["error"]["code"] == -32602


#: What a client says of HTTP 402: the Python client drops the body of an error, a pinned TypeScript client says only that
#: nothing was negotiated. The body itself: test_gates.py.
REFUSED = {
    (python_client, "legacy"): "Server returned an error response",
    (python_client, "auto"): "Server returned an error response",
    (python_client, "2026-07-28"): "Server returned an error response",
    (typescript_client, "legacy"): '{"error":"plan_limit","details":{"plan":"free","required":"pro"}}',
    (typescript_client, "auto"): '{"error":"plan_limit","details":{"plan":"free","required":"pro"}}',
    (typescript_client, "2026-07-28"): "Version negotiation failed",
}


@CLIENTS
@MODES
def test_a_plan_without_mcp_gets_no_connection(worker: Runtime, client: Client, mode: str) -> None:
    key = worker.account("free")["projects"][0]["rk"]
    assert REFUSED[client, mode] in client(job(worker, key, mode, [], []))["refused"]


@pytest.fixture(scope="module")
def bare_account(worker: Runtime) -> str:
    """The account key of a business account whose only project is gone."""
    account = worker.account("business")
    gone = f"UPDATE projects SET status = 'deleted' WHERE id = '{account['projects'][0]['id']}'"
    worker.wrangler("d1", "execute", "millimetric", "--command", gone)
    worker.wrangler("kv", "key", "delete", "--binding", "KEYS", f"acct:v1:{account['account']['id']}")
    key: str = account["account"]["ak"]
    return key


@CLIENTS
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_an_account_without_projects_hears_so(
    worker: Runtime, bare_account: str, client: Client, mode: str
) -> None:
    asked = job(worker, bare_account, mode, [("list_projects", {}), ("get_stats", WINDOW)], [])
    report = client(asked | {"url": f"{worker.url}/mcp/account"})
    for call in report["calls"]:
        assert call["error"]["code"] == -32005
        assert "no_projects_visible" in call["error"]["message"]


@CLIENTS
@MODES
def test_prompts_completions_and_progress_arrive(
    worker: Runtime, project: dict[str, str], client: Client, mode: str
) -> None:
    slow = ("funnel", {**WINDOW, "steps": ["$pageview", "signup"]})
    asked = job(worker, project["rk"], mode, [slow, ("get_stats", WINDOW)], [])
    report = client(
        asked
        | {
            "prompts": [
                ("weekly_review", {"goal": "signup"}),
                ("incident_review", {}),
                ("no_such_prompt", {}),
            ],
            "completions": [("weekly_review", "goal", "sig"), ("weekly_review", "goal", "nothing")],
        }
    )
    assert {"weekly_review", "channel_report", "funnel_analysis", "incident_review"} <= set(report["prompts"])
    given, missing, unknown = report["prompted"]
    assert "`signup`" in given["text"]
    assert missing["error"]["code"] == unknown["error"]["code"] == -32602
    assert missing["error"]["data"]["missing"] == ["what"]
    assert unknown["error"]["data"] == {"name": "no_such_prompt"}
    assert report["completed"] == [{"values": ["signup"]}, {"values": []}]
    assert [call["progress"] for call in report["calls"]] == [[0], []]
    assert [call["is_error"] for call in report["calls"]] == [False, False]


INSPECTED = [
    ("get_stats", ANSWERS[0]),
    ("top_sources", ANSWERS[1]),
    ("funnel", ANSWERS[2]),
    ("query_events", None),
]


@pytest.mark.parametrize("mode", ["legacy", "auto", "modern"])
def test_the_inspector_lists_calls_and_reads(worker: Runtime, project: dict[str, str], mode: str) -> None:
    def ask(*arguments: str, key: str = "rk") -> Any:
        done = inspector(f"{worker.url}/mcp", project[key], mode, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]

    assert [tool["name"] for tool in ask("--method", "tools/list")["tools"]][: len(READERS)] == READERS
    uris = {one["uri"] for one in ask("--method", "resources/list")["resources"]}
    assert {"events://recent", "schema://events"} <= uris
    for tool, arguments in CALLS:
        call = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
        rows = json.loads(ask(*call)["content"][0]["text"])
        expected = dict(INSPECTED)[tool]
        assert rows == expected or (expected is None and len(rows) == 1)
    for uri in ("events://recent", "schema://events"):
        assert json.loads(ask("--method", "resources/read", "--uri", uri)["contents"][0]["text"]) is not None
    templates = ask("--method", "resources/templates/list")["resourceTemplates"]
    assert [one["name"] for one in templates] == ["events-of-a-name", "journey-of-a-user"]
    assert "weekly_review" in {one["name"] for one in ask("--method", "prompts/list")["prompts"]}
    prompt = ["--method", "prompts/get", "--prompt-name", "weekly_review", "--prompt-args", "goal=signup"]
    assert "`signup`" in ask(*prompt)["messages"][0]["content"]["text"]
    event = json.dumps(
        {"event": "signup", "event_id": "s1", "anonymous_id": "ada", "timestamp": "2026-05-10T09:00:30Z"}
    )
    tracked = ask("--method", "tools/call", "--tool-name", "track_event", "--tool-args-json", event, key="sk")
    assert json.loads(tracked["content"][0]["text"]) == {"ok": True, "event_id": "s1", "duplicate": True}


@pytest.mark.parametrize("mode", ["legacy", "auto", "modern"])
def test_the_inspector_shows_documented_errors(worker: Runtime, project: dict[str, str], mode: str) -> None:
    def refused(*arguments: str, key: str) -> tuple[int, str]:
        done = inspector(f"{worker.url}/mcp", key, mode, *arguments)
        return done.returncode, done.stderr + done.stdout

    call = ["--method", "tools/call", "--tool-name"]
    code, shown = refused(*call, "track_event", "--tool-arg", "event=x", key=project["rk"])
    assert code != 0
    code, shown = refused("--method", "tools/list", key=project["rk"][:-1] + "!")
    assert code == 3, shown
    free = worker.account("free")["projects"][0]["rk"]
    code, shown = refused("--method", "tools/list", key=free)
    assert code == 1
    # Pinned to a revision, the Inspector reports that it could not discover it, whatever the reason.
    assert ("Version negotiation failed" if mode == "modern" else "plan_limit") in shown
