"""Isolation: what others do never changes an answer, and nothing but a verified key makes a scope.

Source: security.md T-ISO-1…8, T-KEY-8. Selectors and foreign projects over /mcp/account: tests/test_account.py.
"""

from __future__ import annotations

import ast
import asyncio
import json
import random
from typing import Any

import pytest

from access.audit import AuditEntry
from access.gate import Principal
from access.plans import PLANS
from analytics.scope import Project, Scope
from analytics.store import ScopeWithdrawnError
from storage.audit_log import record_write
from storage.guard import check, guard
from storage.key_store import key_name
from tests.figures import Figures
from tests.house import ROOT, InProcess
from tests.scale import scale
from web.concurrency import MOST
from web.messages import Request

MAY = {"from": "2026-05-04T06:30:00Z", "to": "2026-05-17T18:30:00Z"}
DAYS = {"from": "2026-05-01", "to": "2026-05-20"}
COLUMNS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]

CALLS: list[tuple[str, dict[str, Any]]] = [
    *[("get_stats", {**window, "group_by": [column], "metric": metric})
      for window in (MAY, DAYS) for column in COLUMNS for metric in ("count", "uniques")],
    *[("get_stats", {**window, "metric": metric, "interval": interval})
      for window in (MAY, DAYS) for metric in ("count", "uniques") for interval in ("hour", "day", "week", "month")],
    *[("get_stats", {**DAYS, "metric": "uniques", "group_by": ["source", "browser", "os"]}),
      ("get_stats", {**DAYS, "event": "seen", "group_by": ["path"]})],
    *[("top_sources", {**window, "breakdown": breakdown})
      for window in (MAY, DAYS) for breakdown in ("source_medium", "source")],
    ("query_events", DAYS), ("query_events", {**DAYS, "event": "seen"}), ("query_events", {**DAYS, "user_id": "u1"}),
    ("query_events", {**DAYS, "anonymous_id": "v1"}),
    *[("funnel", {**DAYS, "steps": ["seen", "bought"], **more})
      for more in ({}, {"breakdown": "source"}, {"entry": "first"}, {"order": "any"})],
]  # fmt: skip


def visits(chance: random.Random, count: int, **more: Any) -> list[dict[str, Any]]:
    """Events that look alike in every account: same names, visitors, people, ids and places."""
    return [
        {
            "event": chance.choice(["seen", "bought"]), "event_id": f"e{number % 7}",
            "anonymous_id": f"v{chance.randrange(3)}",
            "timestamp": f"2026-05-{chance.randrange(2, 19):02}T{chance.randrange(24):02}:00:00Z",
            "user_id": chance.choice([None, "u1", "u2"]) , "path": chance.choice(["/", "/a"]),
            "url": chance.choice(["https://x.example/?utm_source=s&utm_medium=cpc&utm_campaign=c", "https://x.example/"]),
        } | more
        for number in range(count)
    ]  # fmt: skip


def cleaned(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if value is not None} for one in events]


def answers(house: InProcess, keys: dict[str, Any]) -> list[str]:
    """Everything that can be asked of an account, as bytes."""
    project, ak = keys["projects"][0], keys["account"]["ak"]
    said = []
    for path, key in (("/mcp", project["rk"]), ("/mcp/account", ak)):
        for tool, arguments in CALLS:
            said.append(
                json.dumps(house.rpc(key, "tools/call", {"name": tool, "arguments": arguments}, path))
            )
        for resource in house.rpc(key, "resources/list", path=path)["result"]["resources"]:
            said.append(json.dumps(house.rpc(key, "resources/read", {"uri": resource["uri"]}, path)))
    for kind in ("event_name", "source", "path"):
        completion = {
            "ref": {"type": "ref/resource", "uri": "events://recent"},
            "argument": {"name": kind, "value": ""},
        }
        said.append(json.dumps(house.rpc(project["rk"], "completion/complete", completion)))
    scope = Scope(house_key_id(house, project["rk"]), keys["account"]["id"], projects_of(house, keys))
    for dimension in ("event_name", "source", "campaign"):
        said.append(repr(asyncio.run(house.wiring().events.values(scope, dimension, "", 50))))  # type: ignore[arg-type]
    return said


def projects_of(house: InProcess, keys: dict[str, Any]) -> tuple[Project, ...]:
    rows = house.db.connection.execute(
        "SELECT number, id, slug, name FROM projects WHERE id = ?", [keys["projects"][0]["id"]]
    )
    return tuple(Project(*row) for row in rows)


def house_key_id(house: InProcess, key: str) -> str:
    (row,) = house.db.connection.execute("SELECT id FROM api_keys WHERE prefix = ?", [key.split("_")[2]])
    return str(row["id"])


@pytest.mark.parametrize("seed", range(scale(2, 30)))
def test_what_others_add_change_and_delete_never_changes_an_answer(seed: int, figures: Figures) -> None:
    """T-ISO-4: byte for byte. A pair is an answer before and after others did something."""
    chance = random.Random(seed)
    house = InProcess()
    others = house.account("business", "Site", "Two")
    ours = house.account("business", "Site", "Two")
    house.track(ours["projects"][0]["sk"], *cleaned(visits(chance, 25)))
    before = answers(house, ours)
    assert any('"value":' in one for one in before)
    for project in others["projects"]:
        foreign = cleaned(visits(chance, 40)) + cleaned(visits(chance, 5, event="theirs", path="/theirs"))
        house.track(project["sk"], *foreign)
    assert answers(house, ours) == before
    sk = others["projects"][0]["sk"]
    assert house.post("/v1/forget", {"user_id": "u1", "include_anonymous": True}, sk).json["deleted"] > 0
    assert answers(house, ours) == before
    house.db.connection.execute(
        "UPDATE projects SET status = 'deleted' WHERE id = ?", [others["projects"][1]["id"]]
    )
    house.db.connection.execute("UPDATE accounts SET plan = 'free' WHERE id = ?", [others["account"]["id"]])
    assert answers(house, ours) == before
    figures.count("isolation: pairs of answers compared byte by byte", 3 * len(before))


def test_forgetting_leaves_the_same_person_of_others_alone() -> None:
    """T-GDPR-4, from the other side: what we forget, others keep."""
    house = InProcess()
    ours, theirs = house.account(), house.account()
    for keys in (ours, theirs):
        house.track(keys["projects"][0]["sk"], *cleaned(visits(random.Random(1), 20, user_id="u1")))
    before = answers(house, theirs)
    answer = house.post("/v1/forget", {"user_id": "u1"}, ours["projects"][0]["sk"])
    assert answer.json["deleted"] > 0
    assert answers(house, theirs) == before


@pytest.mark.parametrize("event", [
    {"event": "e", "event_id": "same", "anonymous_id": "v", "timestamp": "2026-05-10"}, {"event": "e", "event_id": "same"},
])  # fmt: skip
@pytest.mark.parametrize("folded", [False, True])
def test_the_same_event_id_in_two_projects_is_no_duplicate(
    house: InProcess, event: dict[str, Any], folded: bool
) -> None:
    """T-ISO-6."""
    for keys in (house.account(), house.account()):
        assert house.post("/v1/track", event, keys["projects"][0]["sk"]).json == {
            "ok": True,
            "event_id": "same",
        }
        if folded:
            house.fold()
        assert house.post("/v1/track", event, keys["projects"][0]["sk"]).json["duplicate"] is True


def test_calls_that_overlap_get_the_answers_they_get_alone() -> None:
    """T-ISO-7: 200 requests of 8 accounts on one isolate, taking turns at every call to D1 and KV."""
    house = InProcess()
    chance = random.Random(7)
    accounts = [house.account("business", f"Site {number}") for number in range(8)]
    for number, keys in enumerate(accounts):
        house.track(keys["projects"][0]["sk"], *cleaned(visits(chance, 5 + number, event=f"own {number}")))
    house.fold()
    asked = [
        (keys["projects"][0]["rk"], tool, arguments)
        for keys in accounts
        for tool, arguments in chance.sample(CALLS, 25)
    ]
    chance.shuffle(asked)

    def request(key: str, tool: str, arguments: dict[str, Any]) -> Request:
        params = {"name": tool, "arguments": arguments}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()

        async def read_body(_limit: int) -> bytes:
            await asyncio.sleep(0)
            return body

        headers = {
            "host": "localhost:8787",
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
        }
        return Request("POST", "http://localhost:8787/mcp", headers, read_body)

    class Turns:
        """A database that lets others go first, a random number of times."""

        async def batch(self, statements: Any) -> Any:
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
            results = await house.db.batch(statements)
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
            return results

    house.faults.of = lambda _database: Turns()  # type: ignore[method-assign,assignment]
    house.forget_records()
    app = type(house.app)(house.wiring())

    async def one(call: tuple[str, str, dict[str, Any]]) -> str:
        body = (await app.handle(request(*call))).body
        while house.deferred:
            await house.deferred.pop(0)
        return body

    async def together() -> list[str]:
        """In as large groups as an isolate takes at once (src/web/concurrency.py)."""
        groups = [asked[first : first + MOST] for first in range(0, len(asked), MOST)]
        return [said for group in groups for said in await asyncio.gather(*map(one, group))]

    overlapping = asyncio.run(together())
    assert overlapping == [asyncio.run(one(call)) for call in asked]
    assert len(asked) == 200


def principal(*projects: Project) -> Principal:
    return Principal("key_1", "rk", "0011aabb", "acc_1", PLANS["business"], projects, frozenset())


def test_a_scope_holds_only_the_principals_own_projects() -> None:
    own, other = Project(1, "prj_1", "one", "One"), Project(2, "prj_2", "two", "Two")
    assert principal(own).scope().projects == (own,)
    for stolen in ((other,), (own, other), (Project(2, "prj_1", "one", "One"),)):
        with pytest.raises(ValueError, match="own projects"):
            principal(own).scope(stolen)


def test_only_a_verified_key_makes_a_scope() -> None:
    """T-ISO-8: nowhere else in the source is one made, and `storage` is handed it."""
    makers = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Scope":
                makers.add(path.relative_to(ROOT / "src").as_posix())
    assert makers == {"access/gate.py"}


def test_d1_refuses_a_scope_with_a_foreign_project() -> None:
    """Even a scope that was wrongly made opens nothing: D1 has the last word."""
    house = InProcess()
    ours, theirs = house.account(), house.account()
    scope = Scope(
        house_key_id(house, ours["account"]["ak"]), ours["account"]["id"], projects_of(house, theirs)
    )
    (verdict,) = asyncio.run(house.db.batch([guard(scope)]))
    with pytest.raises(ScopeWithdrawnError):
        check(scope, verdict)


def test_d1_refuses_a_key_of_one_project_the_others_of_its_account() -> None:
    """Reading and writing: the key of a project opens that project alone, whoever made the scope."""
    house = InProcess()
    one, two = house.account("business", "One", "Two")["projects"]
    project = Project(*house.db.connection.execute(
        "SELECT number, id, slug, name FROM projects WHERE id = ?", [two["id"]]).fetchone())  # fmt: skip
    scope = Scope(house_key_id(house, one["sk"]), "acc", (project,))
    with pytest.raises(ScopeWithdrawnError):
        check(scope, asyncio.run(house.db.batch([guard(scope)]))[0])
    entry = AuditEntry("x", "key", "person.forget", "someone")
    asyncio.run(house.db.batch([record_write(scope, entry)]))
    assert house.db.connection.execute("SELECT count(*) FROM audit_entries").fetchone()[0] == 0
    own = Scope(house_key_id(house, two["sk"]), "acc", (project,))
    check(own, asyncio.run(house.db.batch([guard(own)]))[0])
    asyncio.run(house.db.batch([record_write(own, entry)]))
    assert house.db.connection.execute("SELECT count(*) FROM audit_entries").fetchone()[0] == 1


def test_a_key_revoked_in_d1_alone_writes_and_reads_nothing() -> None:
    """T-KEY-4: KV and the isolate still say that it is active."""
    house = InProcess()
    keys = house.account()["projects"][0]
    house.track(keys["sk"], {"event": "before"})
    house.get("/v1/stats?from=2026-05-01&to=2026-06-01", keys["rk"])
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked'")
    for answer in (
        house.post("/v1/track", {"event": "after"}, keys["sk"]),
        house.post("/v1/batch", {"events": [{"event": "after"}] * 3}, keys["sk"]),
        house.get("/v1/stats?from=2026-05-01&to=2026-06-01", keys["rk"]),
        house.post("/v1/forget", {"user_id": "u"}, keys["sk"]),
    ):
        assert (answer.status, answer.json) == (401, {"error": "invalid_api_key"})
    house.db.connection.execute("UPDATE api_keys SET status = 'active'")
    assert [
        row["value"] for row in house.rows(keys["rk"], "get_stats", from_="2026-05-01", to="2026-06-01")
    ] == [1]


@pytest.mark.parametrize(
    ("offset_ms", "status"), [(-1_000, 200), (-1, 200), (0, 401), (1, 401), (1_000, 401)]
)
def test_a_key_ends_at_its_instant(house: InProcess, offset_ms: int, status: int) -> None:
    """T-KEY-8: one second before, at, and after the end."""
    key = house.account()["projects"][0]["rk"]
    name = key_name("rk", "live", key.split("_")[2])
    end_ms = house._now_ms() + 60_000
    house.kv.entries[name] = json.dumps(json.loads(house.kv.entries[name]) | {"exp": end_ms})
    original = house._now_ms
    house._now_ms = lambda: end_ms + offset_ms  # type: ignore[method-assign]
    house.app = type(house.app)(house.wiring())
    assert house.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, key).status == status
    house._now_ms = original  # type: ignore[method-assign]


def test_digests_are_compared_in_constant_time() -> None:
    """T-TIME-1, statically: `_genuine` returns what `hmac.compare_digest` says, on a hit and on a miss."""
    tree = ast.parse((ROOT / "src/access/gate.py").read_text())
    (genuine,) = [
        one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == "_genuine"
    ]
    calls = {ast.unparse(one.func) for one in ast.walk(genuine) if isinstance(one, ast.Call)}
    assert "hmac.compare_digest" in calls
    compared = [ast.unparse(one) for one in ast.walk(genuine) if isinstance(one, ast.Compare)]
    assert compared == ["pepper is not None"]
