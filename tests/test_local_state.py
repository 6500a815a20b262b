"""The local server's state: it outlives restarts and kills, wrangler sees it, and hostile bodies do not end the Worker."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.programs import run
from tests.runtime import NODE, Runtime

pytestmark = pytest.mark.worker

WINDOW = {"from_": "2026-05-01", "to": "2026-06-01"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A server of this module's own, to be stopped and killed."""
    runtime = Runtime(tmp_path_factory.mktemp("state"), "--no-demo")
    yield runtime
    runtime.stop()


def event(name: str, number: int) -> dict[str, Any]:
    return {
        "event": name,
        "event_id": f"{name}-{number}",
        "anonymous_id": f"visitor-{number}",
        "timestamp": f"2026-05-{1 + number % 28:02d}T10:00:00Z",
    }


def count(server: Runtime, project: dict[str, str], name: str) -> int:
    value: int = server.rows(project["rk"], "get_stats", **WINDOW, event=name)[0]["value"]
    return value


def wrangler(*arguments: str) -> Any:
    """`npx wrangler … ` with the project's own wrangler and Node; what it prints is JSON."""
    return json.loads(run([NODE, "dev/run.mjs", "wrangler", *arguments]).stdout)


def test_a_restart_keeps_events_accounts_and_keys(server: Runtime) -> None:
    project = server.account("business")["projects"][0]
    server.track(project["sk"], *[event("kept", number) for number in range(40)])
    before = server.rows(project["rk"], "query_events", **WINDOW)
    keys = server.keys
    server.stop()
    server.start()
    assert server.keys == keys
    assert server.rows(project["rk"], "query_events", **WINDOW) == before
    assert len(before) == 40


def test_a_first_start_that_lost_its_keys_mints_new_ones_for_the_same_accounts(tmp_path: Path) -> None:
    server = Runtime(tmp_path / "state", "--no-demo")
    try:
        lost = server.keys
        server.stop()
        (server.persist / "dev-keys.json").unlink()
        server.start()
        assert [project["id"] for project in server.keys["projects"]] == [
            one["id"] for one in lost["projects"]
        ]
        assert [other["account"]["plan"] for other in server.keys["others"]] == ["free", "pro"]
        assert server.rows(server.keys["projects"][0]["rk"], "get_stats", **WINDOW) == [{"value": 0}]
    finally:
        server.stop()


def test_what_was_acknowledged_survives_a_kill_and_a_resend_adds_nothing(server: Runtime) -> None:
    project = server.account("business")["projects"][0]
    acknowledged: set[int] = set()
    sent: set[int] = set()
    enough = threading.Event()

    def write(first: int) -> None:
        with httpx.Client(timeout=30, headers={"authorization": f"Bearer {project['sk']}"}) as client:
            for start in range(first, first + 100_000, 10):
                batch = range(start, start + 10)
                sent.update(batch)
                try:
                    answer = client.post(
                        f"{server.url}/v1/batch", json={"events": [event("hit", number) for number in batch]}
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code == 202:
                    acknowledged.update(batch)
                if len(acknowledged) >= 400:
                    enough.set()

    writers = [threading.Thread(target=write, args=(100_000 * number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    server.stop(signal.SIGKILL)
    for writer in writers:
        writer.join(60)
    server.start()

    stored = count(server, project, "hit")
    assert len(acknowledged) <= stored <= len(sent)
    resend(server, project, acknowledged)
    assert count(server, project, "hit") == stored
    resend(server, project, sent)
    assert count(server, project, "hit") == len(sent)


def resend(server: Runtime, project: dict[str, str], numbers: set[int]) -> None:
    ordered = sorted(numbers)
    for start in range(0, len(ordered), 1000):
        server.track(project["sk"], *[event("hit", number) for number in ordered[start : start + 1000]])


def test_wrangler_sees_the_same_database_and_keys(server: Runtime) -> None:
    account = server.account("pro", "Seen By Wrangler")
    project = account["projects"][0]
    local = ["--local", "--persist-to", str(server.persist)]
    sql = "SELECT slug, name FROM projects WHERE slug = 'seen-by-wrangler'"
    (result,) = wrangler("d1", "execute", "millimetric", *local, "--json", "--command", sql)
    assert result["results"] == [{"slug": "seen-by-wrangler", "name": "Seen By Wrangler"}]

    server.track(project["sk"], *[event("seen", number) for number in range(7)])
    assert count(server, project, "seen") == 7
    sql = (
        "SELECT (SELECT count(*) FROM events AS e JOIN projects AS p ON p.number = e.project"
        " WHERE p.slug = 'seen-by-wrangler') AS events"
    )
    (result,) = wrangler("d1", "execute", "millimetric", *local, "--json", "--command", sql)
    assert result["results"] == [{"events": 7}]

    names = {entry["name"] for entry in wrangler("kv", "key", "list", "--binding", "KEYS", *local)}
    prefix = project["rk"].split("_")[2]
    assert {f"key:v1:rk:live:{prefix}", f"acct:v1:{account['account']['id']}"} <= names


def test_no_secret_of_a_key_is_in_the_state_folder(server: Runtime) -> None:
    account = server.account("business")
    keys = [account["account"]["ak"], *(account["projects"][0][kind] for kind in ("pk", "sk", "rk"))]
    assert server.rpc(account["projects"][0]["rk"], "ping")["result"] == {}
    found = {
        path
        for path in server.persist.rglob("*")
        if path.is_file() and any(key.split("_", 3)[3].encode() in path.read_bytes() for key in keys)
    }
    assert found == set()
    demo = server.keys["projects"][0]["rk"].split("_", 3)[3].encode()
    holders = [
        path.name for path in server.persist.rglob("*") if path.is_file() and demo in path.read_bytes()
    ]
    assert holders == ["dev-keys.json"], "the look itself must find what is there"


@pytest.mark.parametrize("secret", ["KEY_PEPPER_V1", "IP_HASH_SALT"])
def test_without_a_secret_the_worker_refuses_to_serve(tmp_path: Path, secret: str) -> None:
    runtime = Runtime(tmp_path, "--no-demo", "--omit-secret", secret)
    try:
        project = runtime.keys["projects"][0]
        refused = {"error": "not_configured", "details": {"missing": "a secret; see README, Deploy"}}
        for answer in (
            runtime.post("/v1/track", {"event": "e"}, project["sk"]),
            runtime.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, project["rk"]),
            runtime.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            runtime.get("/healthz"),
        ):
            assert (answer.status, answer.json) == (503, refused)
    finally:
        runtime.stop()


DEEP = 100_000
NESTED = {
    "arrays": "[" * DEEP + "]" * DEEP,
    "unclosed arrays": "[" * DEEP,
    "objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "mixed": '[{"a":' * (DEEP // 2) + "1" + "}]" * (DEEP // 2),
    "properties": '{"event":"e","properties":{"a":' + "[" * DEEP + "]" * DEEP + "}}",
    "just below the limits": '{"event":"e","properties":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}",
}


@pytest.mark.parametrize("shape", list(NESTED))
@pytest.mark.parametrize("path", ["/mcp", "/v1/track", "/v1/batch", "/v1/identify"])
def test_nested_brackets_get_an_error_and_the_next_request_works(
    server: Runtime, path: str, shape: str
) -> None:
    project = server.keys["projects"][0]
    headers = {"content-type": "application/json", "authorization": f"Bearer {project['sk']}"}
    answer = server.request("POST", path, headers=headers, body=NESTED[shape].encode())
    assert answer.status in (400, 413), answer.text
    assert "error" in answer.json
    server.client.close()  # workerd hangs up on a body it was not asked to read
    server.client = httpx.Client(timeout=60)
    assert server.rpc(project["rk"], "ping")["result"] == {}
    assert not any("interpreter died" in line for line in server.lines)


def test_what_curl_sends_is_what_every_tool_counts(server: Runtime) -> None:
    """No Accept, no initialize, no version header: as the setup page prints it. Source: contract.md §7."""
    project = server.account("business")["projects"][0]
    for visitor, name, at, url in [
        ("ada", "$pageview", "2026-05-01T00:00:00Z", "/?utm_source=facebook&utm_medium=cpc&fbclid=abc"),
        ("ada", "signup", "2026-05-01T00:10:00Z", "/welcome?utm_source=facebook&utm_medium=cpc"),
        ("bob", "$pageview", "2026-05-31T23:59:59.999Z", "/?gclid=x"),
        ("cyd", "$pageview", "2026-06-01T00:00:00Z", "/"),
    ]:
        body = {"event": name, "anonymous_id": visitor, "timestamp": at, "url": f"https://site.example{url}"}
        stored = curl(server, "/v1/track", project["sk"], body)
        assert stored == {"ok": True, "event_id": stored["event_id"]}

    listed = curl(server, "/mcp", project["rk"], {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert {"top_sources", "get_stats", "query_events", "funnel"} <= {
        tool["name"] for tool in listed["result"]["tools"]
    }
    may = {"from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z"}

    def ask(tool: str, **arguments: Any) -> Any:
        params = {"name": tool, "arguments": {**may, **arguments}}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
        answered = curl(server, "/mcp", project["rk"], call)
        assert (answered["jsonrpc"], answered["id"]) == ("2.0", 2)
        return json.loads(answered["result"]["content"][0]["text"])

    assert ask("top_sources", breakdown="source_medium", limit=20) == [
        {"source": "facebook", "medium": "paid", "events": 2, "uniques": 1, "paid_share": 1},
        {"source": "google", "medium": "paid", "events": 1, "uniques": 1, "paid_share": 1},
    ]
    assert ask("get_stats") == [{"value": 3}]
    assert ask("get_stats", metric="uniques", group_by="event_name") == [
        {"event_name": "$pageview", "value": 2},
        {"event_name": "signup", "value": 1},
    ]
    newest = ask("query_events")
    assert [(row["timestamp"], row["anonymous_id"], row["path"], row["campaign"]) for row in newest] == [
        ("2026-05-31T23:59:59.999Z", "bob", "/", None),
        ("2026-05-01T00:10:00.000Z", "ada", "/welcome", None),
        ("2026-05-01T00:00:00.000Z", "ada", "/", None),
    ]
    steps = ask("funnel", steps=["$pageview", "signup"])
    assert [(row["event"], row["visitors"], row["dropped"], row["median_seconds"]) for row in steps] == [
        ("$pageview", 2, 0, None),
        ("signup", 1, 1, 600),
    ]
    read = {"jsonrpc": "2.0", "id": "r", "method": "resources/read", "params": {"uri": "events://recent"}}
    recent = json.loads(curl(server, "/mcp", project["rk"], read)["result"]["contents"][0]["text"])
    assert [row["anonymous_id"] for row in recent] == ["cyd", "bob", "ada", "ada"]


def curl(server: Runtime, path: str, key: str, body: dict[str, Any]) -> Any:
    command = ["curl", "-s", server.url + path, "-H", f"Authorization: Bearer {key}"]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_a_state_of_another_schema_is_refused_with_the_way_out(server: Runtime) -> None:
    """The last of these tests: the state is gone after it."""
    server.stop()
    (file,) = [one for one in server.persist.glob("v3/d1/**/*.sqlite") if one.stem != "metadata"]
    with closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE events ADD COLUMN payload TEXT")
    with pytest.raises(RuntimeError, match=r"events of the local state is of another version.*--fresh"):
        server.start()
    server.options += ("--fresh",)
    server.start()
    assert server.rows(server.keys["projects"][0]["rk"], "get_stats", **WINDOW) == [{"value": 0}]
