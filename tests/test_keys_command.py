"""`npm run keys`: accounts, projects and keys, made, listed, ended and replaced; what it says and what then works."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import Any

import pytest

from access.cache import FOUND_MS
from access.token import mint_token
from analytics.window import format_instant, parse_instant
from dev import provision
from tests.house import ROOT, InProcess
from tests.runtime import NODE, Runtime


class Shell:
    """Runs the command in process against a house, as dev/session.mjs does for the program."""

    def __init__(self, house: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house
        self.shown = ""
        monkeypatch.setattr(provision, "ask", self._answer)
        monkeypatch.setattr(provision, "say", self._say)
        monkeypatch.setattr(provision, "now_ms", house._now_ms)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "apply" in message:
            self.house.apply(message["apply"])
            return {"ok": True}
        found = []
        for statement in message["query"]:
            rows = self.house.db.connection.execute(statement["sql"], statement["params"]).fetchall()
            found.append([dict(row) for row in rows])
        return {"rows": found}

    def _say(self, text: str) -> None:
        self.shown = text

    def run(self, *arguments: str) -> Any:
        provision.keys([*arguments, "--json"])
        return json.loads(self.shown)

    def passes(self, key: str) -> bool:
        """Whether the key reads data once no isolate remembers an older record."""
        self.house.now = format_instant(parse_instant(self.house.now) + FOUND_MS)
        return self.reads(key)

    def reads(self, key: str) -> bool:
        """Whether the key reads data now, whatever the isolate remembers."""
        answer = self.house.get("/v1/stats?from=2026-05-01&to=2026-05-02", key)
        assert answer.status in (200, 401), answer.text
        return answer.status == 200


@pytest.fixture
def shell(house: InProcess, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(house, monkeypatch)


def test_a_new_account_has_projects_and_working_keys_of_every_kind(shell: Shell) -> None:
    made = shell.run(
        "create-account", "--name", "Acme", "--plan", "business", "--project", "Shop", "--project", "My Blog!"
    )
    assert made["account"]["plan"] == "business"
    assert [(one["slug"], one["name"]) for one in made["projects"]] == [
        ("shop", "Shop"),
        ("my-blog", "My Blog!"),
    ]
    for project in made["projects"]:
        assert {kind: project[kind][:8] for kind in ("pk", "sk", "rk")} == {
            "pk": "pk_live_", "sk": "sk_live_", "rk": "rk_live_",
        }  # fmt: skip
        assert shell.reads(project["rk"])
    assert made["account"]["ak"].startswith("ak_live_")


def test_a_new_project_is_seen_by_the_accounts_key(shell: Shell) -> None:
    made = shell.run("create-account", "--name", "Acme", "--project", "Shop")
    added = shell.run("create-project", "--name", "Second Shop", "--origin", "https://two.example")
    assert added["slug"] == "second-shop"
    assert shell.passes(added["rk"])
    listed = shell.house.rows(made["account"]["ak"], "list_projects", "/mcp/account")
    assert [row["slug"] for row in listed] == ["shop", "second-shop"]
    sent = shell.house.post("/v1/track", {"event": "e"}, added["pk"], origin="https://two.example")
    assert sent.status == 202


def test_a_secret_is_shown_once_and_never_stored(shell: Shell) -> None:
    made = shell.run("create-account", "--name", "Acme", "--project", "Shop")
    created = shell.run("create", "--kind", "rk", "--project", "shop", "--label", "reports")
    secrets = [
        key.split("_", 3)[3] for key in (made["account"]["ak"], made["projects"][0]["sk"], created["key"])
    ]
    stored = shell.house.everything_stored()
    listed = json.dumps(shell.run("list"))
    for secret in secrets:
        assert secret not in stored
        assert secret not in listed
    assert created["prefix"] in stored
    assert created["prefix"] in listed


def test_listing_tells_keys_apart(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop", "--project", "Blog")
    created = shell.run("create", "--kind", "sk", "--project", "blog", "--env", "test", "--label", "ci")
    listed = shell.run("list", "--project", "blog")["keys"]
    assert [key["key"][:2] for key in listed] == ["pk", "rk", "sk", "sk"]
    (mine,) = [key for key in listed if key["id"] == created["id"]]
    assert mine == {
        "id": created["id"],
        "key": f"sk_test_{created['prefix']}_…{created['key'][-4:]}",
        "account": mine["account"],
        "project": "blog",
        "status": "active",
        "expires_at": None,
        "last_used_at": None,
        "label": "ci",
    }


@pytest.mark.parametrize("name", ["id", "prefix", "whole key"])
def test_a_revoked_key_reads_nothing_even_where_it_is_still_remembered(shell: Shell, name: str) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    created = shell.run("create", "--kind", "rk", "--project", "shop")
    assert shell.reads(created["key"])  # from here on the isolate remembers the key
    named = {"id": created["id"], "prefix": created["prefix"], "whole key": created["key"]}[name]
    assert shell.run("revoke", named) == {"id": created["id"], "status": "revoked"}
    assert not shell.reads(created["key"])
    assert not shell.passes(created["key"])
    tracked = shell.run("create", "--kind", "sk", "--project", "shop")
    shell.run("revoke", tracked["id"])
    assert shell.house.post("/v1/track", {"event": "e"}, tracked["key"]).status == 401


def test_revoking_once_more_changes_only_what_kv_lacks(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    created = shell.run("create", "--kind", "rk", "--project", "shop")
    active = dict(shell.house.kv.entries)

    def ended() -> Any:
        found = shell.house.db.connection.execute("SELECT revoked_at FROM api_keys WHERE status = 'revoked'")
        return [row["revoked_at"] for row in found]

    shell.run("revoke", created["id"])
    first, written = ended(), shell.house.kv.entries
    shell.house.kv.entries = active
    assert not shell.passes(created["key"])  # D1 has the word; and time has gone on
    shell.run("revoke", created["id"])
    assert ended() == first
    changed = [name for name in written if active[name] != written[name]]
    assert [json.loads(shell.house.kv.entries[name])["st"] for name in changed] == ["revoked"]
    actions = [one["action"] for one in shell.run("audit")["entries"]]
    assert actions.count("key.revoke") == 1


def test_a_stale_copy_in_kv_does_not_outlive_a_revocation(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    created = shell.run("create", "--kind", "rk", "--project", "shop")
    stale = dict(shell.house.kv.entries)
    shell.run("revoke", created["id"])
    shell.house.kv.entries.update(stale)
    assert not shell.passes(created["key"])


def test_rotating_lets_both_keys_work_until_the_overlap_ends(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    old = shell.run("create", "--kind", "rk", "--project", "shop", "--label", "reports")
    new = shell.run("rotate", old["id"], "--overlap", "1h")
    assert new["replaces"] == old["id"]
    assert new["old_key_expires_at"] == "2026-05-20T13:00:00.000Z"
    assert (gate(shell, old["key"]), gate(shell, new["key"])) == (True, True)
    shell.house.now = "2026-05-20T13:00:00Z"
    assert (gate(shell, old["key"]), gate(shell, new["key"])) == (False, True)
    states = {key["id"]: (key["status"], key["label"]) for key in shell.run("list")["keys"]}
    assert states[old["id"]] == ("expired", "reports")
    assert states[new["id"]] == ("active", "reports")


def gate(shell: Shell, key: str) -> bool:
    """Whether the gate lets a key in; reading no data, it asks only the house's own clock."""
    answer = shell.house.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, key)
    assert answer.status in (200, 401)
    return answer.status == 200


def test_an_account_key_expires_after_ninety_days_unless_told(shell: Shell) -> None:
    made = shell.run("create-account", "--name", "Acme", "--project", "Shop")
    usual = shell.run("create", "--kind", "ak", "--account", made["account"]["id"])
    short = shell.run("create", "--kind", "ak", "--expires-days", "1")
    assert usual["expires_at"] == "2026-08-18T12:00:00.000Z"
    assert short["expires_at"] == "2026-05-21T12:00:00.000Z"


def test_a_plan_and_origins_can_be_changed(shell: Shell) -> None:
    made = shell.run("create-account", "--name", "Acme", "--plan", "free", "--project", "Shop")
    project = made["projects"][0]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert shell.house.post("/mcp", ping, project["rk"]).status == 402
    assert shell.run("set-plan", "--plan", "pro") == {"account": made["account"]["id"], "plan": "pro"}
    assert shell.passes(project["rk"])
    assert shell.house.post("/mcp", ping, project["rk"]).status == 200
    origins = shell.run("set-origins", "--project", "shop", "--origin", "https://new.example")
    assert origins == {"project": "shop", "allowed_origins": ["https://new.example"]}
    assert shell.passes(project["rk"])
    track = {"event": "e"}
    assert shell.house.post("/v1/track", track, project["pk"], origin="https://new.example").status == 202
    assert shell.house.post("/v1/track", track, project["pk"], origin="https://old.example").status == 403


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["revoke", "key_unknown"], "no such key"),
        (["rotate", "0011aabb"], "no such key"),
        (["create", "--kind", "rk"], "a rk key belongs to a project: --project <id or slug>, one of shop"),
        (["create", "--kind", "rk", "--project", "nope"], "no project is called 'nope'"),
        (["create-project", "--name", "Shop"], "already has a project 'shop'"),
        (["create-project", "--name", "???"], "makes no slug"),
        (["create-project", "--name", "X", "--origin", "https://a.example/path"], "is not an origin"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, arguments: list[str], said: str) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    before = shell.house.everything_stored()
    with pytest.raises(provision.CommandError, match=said.replace("?", r"\?")):
        shell.run(*arguments)
    assert shell.house.everything_stored() == before


def test_a_leaked_key_is_ended_by_its_whole_text_and_by_nothing_less(shell: Shell) -> None:
    key = shell.run("create-account", "--name", "Acme", "--project", "Shop")["projects"][0]["rk"]
    prefix = "_".join(key.split("_")[:3])
    places = iter(key.split("_")[2])
    twin = mint_token("rk", "live", lambda alphabet: next(places, alphabet[5])).text
    for less, said in (
        (prefix, "not a whole key"),
        (key[:-1] + "~", "not a whole key"),
        (twin, "nothing was changed"),
    ):
        with pytest.raises(provision.CommandError, match=said):
            shell.run("report-leak", less)
        assert shell.passes(key)
    assert shell.run("report-leak", key)["was"] == "active"
    assert not shell.reads(key), "at once, whatever is remembered"
    assert shell.run("report-leak", key)["was"] == "revoked"


def test_every_change_is_in_the_audit_log_once_and_in_the_same_batch(shell: Shell) -> None:
    account = shell.run("create-account", "--name", "Acme", "--project", "Shop")
    created = shell.run("create", "--kind", "rk", "--project", "shop")
    rotated = shell.run("rotate", created["id"])
    shell.run("revoke", rotated["id"])
    shell.run("set-plan", "--plan", "pro")
    shell.run("set-origins", "--project", "shop", "--origin", "https://a.example")
    shell.run("create-project", "--name", "Blog")
    shown = shell.run("audit")
    assert [(one["action"], one["target"]) for one in shown["entries"]][:5] == [
        ("account.create", account["account"]["id"]),
        ("key.create", created["id"]),
        ("key.rotate", f"{created['id']} to {rotated['id']}"),
        ("key.revoke", rotated["id"]),
        ("account.plan=pro", account["account"]["id"]),
    ]
    assert len(shown["entries"]) == 7
    assert shown["intact"] is True
    assert created["key"] not in json.dumps(shown)
    # An entry that cannot be written takes its change with it.
    (row,) = shell.house.db.connection.execute("SELECT entry FROM audit_entries WHERE id = 7").fetchall()
    twice = {
        "sql": "INSERT INTO audit_entries SELECT * FROM audit_entries WHERE entry = ?1",
        "params": [row["entry"]],
    }
    update = {"sql": "UPDATE api_keys SET status = 'revoked'", "params": []}
    with pytest.raises(sqlite3.IntegrityError):
        shell.house.apply({"d1": [update, twice], "kv": []})
    assert shell.passes(account["projects"][0]["rk"])


@pytest.mark.worker
def test_the_command_itself_on_a_running_worker(worker: Runtime) -> None:
    project = worker.account("pro", "Cli Shop")["projects"][0]
    created = worker.manage("create", "--kind", "rk", "--project", project["id"])
    window = {"from_": "2026-05-01", "to": "2026-05-02"}
    assert worker.rows(created["key"], "get_stats", **window) == [{"value": 0}]
    new = worker.manage("rotate", created["prefix"])
    assert worker.rows(new["key"], "get_stats", **window) == [{"value": 0}]
    assert worker.rows(created["key"], "get_stats", **window) == [{"value": 0}]
    worker.manage("report-leak", created["key"])
    assert worker.manage("audit")["entries"][-1]["action"] == "key.leaked", (
        "the triggers came through the splitter"
    )
    assert worker.get("/v1/stats?from=2026-05-01&to=2026-05-02", created["key"]).status == 401
    listed = worker.manage("list", "--project", project["id"])["keys"]
    assert {key["status"] for key in listed if key["id"] == created["id"]} == {"revoked"}
    failed = subprocess.run(
        [NODE, "dev/run.mjs", "keys", "revoke", "nothing", "--persist", str(worker.persist)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert "no such key" in failed.stderr
