"""`/mcp/account`: one key over every project of an account. Counted by hand, selectors by a small model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp.tools import REPORTS
from tests.house import InProcess, Service

ACCOUNT = "/mcp/account"
MAY = {"from_": "2026-05-01", "to": "2026-06-01"}
READERS = ["get_stats", "top_sources", "query_events", "funnel"]


def arguments(tool: str, **more: Any) -> dict[str, Any]:
    steps = {"steps": ["$pageview", "signup"]} if tool == "funnel" else {}
    return {"from": "2026-05-01", "to": "2026-06-01", **steps, **more}


def seen(name: str, visitor: str, at: str, **more: Any) -> dict[str, Any]:
    return {"event": name, "anonymous_id": visitor, "timestamp": f"2026-05-{at}Z", **more}


def fill(service: Service, keys: dict[str, Any]) -> dict[str, Any]:
    """Shop: two visitors, one signs up. Blog: one visitor twice. Empty: nothing. The keys by slug."""
    shop, blog, _empty = keys["projects"]
    service.track(
        shop["sk"],
        seen("$pageview", "ada", "10T09:00:00", url="https://shop.example/?gclid=1"),
        seen("signup", "ada", "10T09:05:00"),
        seen("$pageview", "bob", "11T09:00:00"),
    )
    service.track(
        blog["sk"], seen("$pageview", "cyd", "10T10:00:00"), seen("$pageview", "cyd", "12T10:00:00")
    )
    return {"ak": keys["account"]["ak"], **{one["slug"]: one for one in keys["projects"]}}


@pytest.fixture(scope="module")
def running() -> dict[type, dict[str, Any]]:
    """The firm of the Worker, which all tests of it share: none of them writes into it."""
    return {}


@pytest.fixture
def firm(service: Service, running: dict[type, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(service, InProcess):
        return fill(service, service.account("business", "Shop", "Blog", "Empty"))
    if type(service) not in running:
        keys = service.account("business", "Shop", "Blog", "Empty")  # type: ignore[attr-defined]
        running[type(service)] = fill(service, keys)
    return running[type(service)]


def test_list_projects_and_its_resource_name_every_project(service: Service, firm: dict[str, Any]) -> None:
    expected = [
        {"project_id": firm[slug]["id"], "slug": slug, "name": slug.title()}
        for slug in ("shop", "blog", "empty")
    ]
    assert service.rows(firm["ak"], "list_projects", ACCOUNT) == expected
    assert service.read(firm["ak"], "projects://all", ACCOUNT) == expected


def test_compare_projects_ranks_every_project_with_zeros(service: Service, firm: dict[str, Any]) -> None:
    def row(slug: str, value: int) -> dict[str, Any]:
        return {"project_id": firm[slug]["id"], "slug": slug, "name": slug.title(), "value": value}

    result = service.call(firm["ak"], "compare_projects", ACCOUNT, **MAY)
    assert result["structuredContent"]["metric"] == "count"
    assert result["structuredContent"]["rows"] == [row("shop", 3), row("blog", 2), row("empty", 0)]
    assert service.rows(firm["ak"], "compare_projects", ACCOUNT, **MAY, metric="uniques") == [
        row("shop", 2), row("blog", 1), row("empty", 0),
    ]  # fmt: skip
    later = {"from_": "2026-05-12", "to": "2026-06-01"}
    assert service.rows(firm["ak"], "compare_projects", ACCOUNT, **later) == [
        row("blog", 1), row("empty", 0), row("shop", 0),
    ]  # fmt: skip


def test_without_a_selector_a_question_covers_every_project_and_rows_say_which(
    service: Service, firm: dict[str, Any]
) -> None:
    shop, blog = firm["shop"]["id"], firm["blog"]["id"]
    assert service.rows(firm["ak"], "get_stats", ACCOUNT, **MAY) == [
        {"project_id": shop, "value": 3}, {"project_id": blog, "value": 2},
    ]  # fmt: skip
    assert service.rows(firm["ak"], "top_sources", ACCOUNT, **MAY, limit=2) == [
        {
            "project_id": one,
            "source": "direct",
            "medium": "direct",
            "events": 2,
            "uniques": visitors,
            "paid_share": 0,
        }
        for one, visitors in sorted([(shop, 2), (blog, 1)])
    ]
    newest = service.rows(firm["ak"], "query_events", ACCOUNT, **MAY, limit=4)
    assert [(row["project_id"], row["timestamp"][8:13]) for row in newest] == [
        (blog, "12T10"), (shop, "11T09"), (blog, "10T10"), (shop, "10T09"),
    ]  # fmt: skip
    steps = service.rows(firm["ak"], "funnel", ACCOUNT, **MAY, steps=["$pageview", "signup"])
    assert [(row["project_id"], row["step"], row["visitors"]) for row in steps] == [
        (shop, 1, 2), (shop, 2, 1), (blog, 1, 1), (blog, 2, 0),
        (firm["empty"]["id"], 1, 0), (firm["empty"]["id"], 2, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("tool", READERS)
def test_every_selector_narrows_to_what_it_names_and_one_project_needs_no_label(
    service: Service, firm: dict[str, Any], tool: str
) -> None:
    shop, blog = firm["shop"]["id"], firm["blog"]["id"]

    def rows(**selectors: Any) -> Any:
        return service.rows(firm["ak"], tool, ACCOUNT, **arguments(tool, **selectors))

    alone = rows(project_id=shop)
    assert alone
    assert not any("project_id" in row for row in alone)
    assert alone == service.rows(firm["shop"]["rk"], tool, **arguments(tool))
    assert rows(project_slug="shop") == rows(project_ids=[shop]) == rows(project_ids=[shop, shop]) == alone
    assert rows(project_id=shop, project_slug="shop", project_ids=[shop]) == alone
    assert {row["project_id"] for row in rows(project_ids=[shop, blog])} == {shop, blog}


def test_get_stats_groups_by_project_even_when_there_is_one(service: Service, firm: dict[str, Any]) -> None:
    shop = firm["shop"]["id"]
    asked = {"project_slug": "shop", "group_by": ["project_id", "event_name"]}
    assert service.rows(firm["ak"], "get_stats", ACCOUNT, **MAY, **asked) == [
        {"project_id": shop, "event_name": "$pageview", "value": 2},
        {"project_id": shop, "event_name": "signup", "value": 1},
    ]
    all_days = service.rows(firm["ak"], "get_stats", ACCOUNT, **MAY, group_by="project_id", interval="day")
    assert [(row["bucket"][8:10], row["project_id"], row["value"]) for row in all_days] == [
        ("10", shop, 2), ("10", firm["blog"]["id"], 1), ("11", shop, 1), ("12", firm["blog"]["id"], 1),
    ]  # fmt: skip


def test_schema_events_names_the_events_of_each_project(service: Service, account: dict[str, Any]) -> None:
    keys = service.account("business", "One", "Two")  # type: ignore[attr-defined]
    one, two = keys["projects"]
    service.track(one["sk"], {"event": "a", "anonymous_id": "v"}, {"event": "a", "anonymous_id": "w"})
    service.track(two["sk"], {"event": "b", "anonymous_id": "v"})
    assert service.read(keys["account"]["ak"], "schema://events", ACCOUNT) == [
        {"project_id": one["id"], "event_name": "a", "count": 2},
        {"project_id": two["id"], "event_name": "b", "count": 1},
    ]
    lone = account["projects"][0]
    service.track(lone["sk"], {"event": "c", "anonymous_id": "v"})
    assert service.read(account["account"]["ak"], "schema://events", ACCOUNT) == [
        {"event_name": "c", "count": 1}
    ]


def test_tools_list_shows_account_keys_the_account_tools(service: Service, firm: dict[str, Any]) -> None:
    tools = service.rpc(firm["ak"], "tools/list", path=ACCOUNT)["result"]["tools"]
    by_name = {tool["name"]: tool for tool in tools}
    assert set(by_name) == {"list_projects", "compare_projects", *READERS, *(tool.name for tool in REPORTS)}
    for name in READERS:
        properties = by_name[name]["inputSchema"]["properties"]
        assert {"from", "to", "project_id"} <= set(properties)
        assert "project_ids, project_slug" in by_name["list_projects"]["description"], "accepted as well"
        assert "additionalProperties" not in by_name[name]["inputSchema"], "so that no client refuses those"
    assert by_name["list_projects"]["inputSchema"] == {
        "type": "object", "properties": {}, "additionalProperties": False,
    }  # fmt: skip
    grouping = by_name["get_stats"]["inputSchema"]["properties"]["group_by"]
    assert "project_id" in grouping["items"]["enum"]
    resources = service.rpc(firm["ak"], "resources/list", path=ACCOUNT)["result"]["resources"]
    assert {one["uri"] for one in resources} == {"projects://all", "schema://events"}


@pytest.mark.parametrize("kind", ["pk", "sk", "rk"])
def test_other_kinds_of_key_are_turned_away_before_any_look_up(service: Service, kind: str) -> None:
    unknown = f"{kind}_live_0123abcd_{'x' * 49}"
    answer = service.post(ACCOUNT, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, unknown)
    assert answer.status == 403
    assert answer.json == {"error": "account_key_required", "details": {"allowed": ["ak_"]}}


def test_account_keys_open_nothing_else(service: Service, firm: dict[str, Any]) -> None:
    ak = firm["ak"]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert service.post("/mcp", message, ak).json["error"] == "key_kind_not_allowed"
    assert service.get("/v1/stats?from=2026-05-01&to=2026-06-01", ak).json["error"] == "insufficient_scope"
    assert service.post("/v1/track", {"event": "x"}, ak).json["error"] == "insufficient_scope"


@pytest.mark.parametrize("plan", ["free", "pro"])
def test_plans_below_business_get_402(house: InProcess, plan: str) -> None:
    keys = house.account(plan)
    answer = house.post(ACCOUNT, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, keys["account"]["ak"])
    assert answer.status == 402
    assert answer.json == {"error": "plan_limit", "details": {"plan": plan, "required": "business"}}


def test_a_foreign_project_and_a_nonexistent_one_get_the_same_bytes(
    service: Service, firm: dict[str, Any]
) -> None:
    """T-ISO-5: the id of another account's project tells nothing, alone or beside an own one."""
    foreign = service.account("business", "Foreign")["projects"][0]  # type: ignore[attr-defined]
    own, ak = firm["shop"], firm["ak"]

    def bytes_of(tool: str, **selectors: Any) -> str:
        params = {"name": tool, "arguments": arguments(tool, **selectors)}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = service.post(ACCOUNT, message, ak)
        assert answer.status == 200
        return answer.text

    for tool in READERS:
        by_id = bytes_of(tool, project_id=foreign["id"])
        assert json.loads(by_id)["error"] == {"code": -32004, "message": "unknown_project_id"}
        assert by_id == bytes_of(tool, project_id="prj_00000000000000000000")
        assert by_id == bytes_of(tool, project_ids=[own["id"], foreign["id"]])
        assert by_id == bytes_of(tool, project_ids=[own["id"], "prj_none"])
        assert by_id == bytes_of(tool, project_id="*")
        by_slug = bytes_of(tool, project_slug=foreign["slug"])
        assert json.loads(by_slug)["error"] == {"code": -32004, "message": "unknown_project_slug"}
        assert by_slug == bytes_of(tool, project_slug="no-such-project")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("project_ids", []),
        ("project_ids", None),
        ("project_ids", "*"),
        ("project_ids", [1]),
        ("project_ids", [None]),
        ("project_ids", [""]),
        ("project_ids", {}),
        ("project_ids", ["a"] * 101),
        ("project_id", None),
        ("project_id", ""),
        ("project_id", 7),
        ("project_id", ["prj"]),
        ("project_id", True),
        ("project_slug", None),
        ("project_slug", ""),
        ("project_slug", {}),
        ("projects", ["prj"]),
        ("project", "prj"),
    ],
)
def test_an_empty_or_odd_selector_is_an_error_and_never_widens(
    house: InProcess, field: str, value: Any
) -> None:
    keys = fill(house, house.account("business", "Shop", "Blog", "Empty"))
    for tool in READERS:
        result = house.rpc(
            keys["ak"], "tools/call", {"name": tool, "arguments": arguments(tool, **{field: value})}, ACCOUNT
        )["result"]
        assert result["isError"] is True
        explained = json.loads(result["content"][0]["text"])
        assert explained["error"] == "invalid_arguments"
        assert all(problem["field"].startswith(field) for problem in explained["details"])


def test_selectors_that_disagree_are_an_error_naming_both(service: Service, firm: dict[str, Any]) -> None:
    result = service.call(
        firm["ak"], "get_stats", ACCOUNT, **MAY, project_id=firm["shop"]["id"], project_slug="blog"
    )
    assert result["isError"] is True
    explained = json.loads(result["content"][0]["text"])
    assert explained["error"] == "invalid_arguments"
    assert [problem["field"] for problem in explained["details"]] == ["project_id", "project_slug"]


@pytest.mark.parametrize("selector", ["project_id", "project_slug", "project_ids"])
def test_the_project_endpoint_takes_no_selector(
    service: Service, firm: dict[str, Any], selector: str
) -> None:
    """T-ISO-2: not even the key's own project; an argument that is not honoured is not accepted."""
    own = firm["shop"]
    value = {"project_id": own["id"], "project_slug": own["slug"], "project_ids": [own["id"]]}[selector]
    for tool in READERS:
        result = service.rpc(
            own["rk"], "tools/call", {"name": tool, "arguments": arguments(tool, **{selector: value})}
        )["result"]
        assert result["isError"] is True
        assert json.loads(result["content"][0]["text"])["details"][0]["field"] == selector


def test_the_project_endpoint_does_not_group_by_project(service: Service, firm: dict[str, Any]) -> None:
    result = service.call(firm["shop"]["rk"], "get_stats", **MAY, group_by="project_id")
    assert result["isError"] is True
    (problem,) = json.loads(result["content"][0]["text"])["details"]
    assert problem["field"] == "group_by[0]"
    assert "project_id" not in problem["allowed"]


def test_a_key_without_projects_hears_so(house: InProcess) -> None:
    keys = house.account("business", "Gone")
    house.db.connection.execute("UPDATE projects SET status = 'deleted'")
    house.kv.entries.clear()
    ak = keys["account"]["ak"]
    for tool in [*READERS, "list_projects", "compare_projects"]:
        given = {} if tool == "list_projects" else arguments(tool)
        answer = house.rpc(ak, "tools/call", {"name": tool, "arguments": given}, ACCOUNT)
        assert answer["error"] == {"code": -32005, "message": "no_projects_visible"}
    for uri in ("projects://all", "schema://events"):
        answer = house.rpc(ak, "resources/read", {"uri": uri}, ACCOUNT)
        assert answer["error"] == {"code": -32005, "message": "no_projects_visible"}


def test_a_project_deleted_behind_a_stale_record_answers_as_if_it_had_never_been(house: InProcess) -> None:
    """T-FLT-K8: the key's cached record still shows the project, D1 does not."""
    keys = house.account("business", "Kept", "Gone")
    ak, gone = keys["account"]["ak"], keys["projects"][1]
    never = house.rpc(
        ak,
        "tools/call",
        {"name": "get_stats", "arguments": arguments("get_stats", project_id="prj_0")},
        ACCOUNT,
    )
    house.db.connection.execute("UPDATE projects SET status = 'deleted' WHERE id = ?", [gone["id"]])
    for selector in ({"project_id": gone["id"]}, {"project_ids": [gone["id"]]}, {}):
        given = {"name": "get_stats", "arguments": arguments("get_stats", **selector)}
        assert house.rpc(ak, "tools/call", given, ACCOUNT) == never
    slug = {"name": "get_stats", "arguments": arguments("get_stats", project_slug="gone")}
    assert house.rpc(ak, "tools/call", slug, ACCOUNT)["error"]["message"] == "unknown_project_slug"
    assert house.rows(ak, "get_stats", ACCOUNT, **MAY, project_slug="kept") == [{"value": 0}]


def test_a_revoked_account_key_reads_nothing_more(house: InProcess) -> None:
    keys = house.account("business")
    ak = keys["account"]["ak"]
    assert house.rows(ak, "get_stats", ACCOUNT, **MAY) == [{"value": 0}]
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked' WHERE kind = 'ak'")
    params = {"name": "get_stats", "arguments": arguments("get_stats")}
    answer = house.post(ACCOUNT, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, ak)
    assert (answer.status, answer.json["error"]) == (401, "invalid_api_key")


@pytest.fixture(scope="module")
def two_firms() -> tuple[InProcess, dict[str, Any], dict[str, Any]]:
    """Two accounts whose every text holds the account's own mark, OURS or THEIRS."""
    house = InProcess()
    firms = []
    for mark in ("OURS", "THEIRS"):
        keys = house.account("business", f"{mark} a", f"{mark} b")
        for project in keys["projects"]:
            house.track(
                project["sk"],
                seen(f"{mark} $pageview", f"{mark} v", "10T09:00:00", user_id=f"{mark} u", event_id="shared"),
                seen(
                    "$pageview",
                    "v",
                    "10T10:00:00",
                    properties={mark: mark},
                    url=f"https://{mark}.example/{mark}",
                ),
            )
        firms.append(keys)
    return house, firms[0], firms[1]


SELECTED = st.sampled_from(["own a", "own b", "foreign a", "none", ""])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tool=st.sampled_from(READERS),
    id_=st.none() | SELECTED,
    slug=st.none() | SELECTED,
    ids=st.none() | st.lists(SELECTED, max_size=3),
)
def test_selectors_follow_the_algebra_of_sets_and_show_no_foreign_row(
    two_firms: Any, tool: str, id_: str | None, slug: str | None, ids: list[str] | None
) -> None:
    """T-ISO-1, T-ISO-3: the model below says what a selection means; no answer holds a foreign text."""
    house, ours, theirs = two_firms
    places = {
        "own a": ours["projects"][0], "own b": ours["projects"][1], "foreign a": theirs["projects"][0],
        "none": {"id": "prj_none", "slug": "none"}, "": {"id": "", "slug": ""},
    }  # fmt: skip
    selectors: dict[str, Any] = {}
    if id_ is not None:
        selectors["project_id"] = places[id_]["id"]
    if slug is not None:
        selectors["project_slug"] = places[slug]["slug"]
    if ids is not None:
        selectors["project_ids"] = [places[one]["id"] for one in ids]
    answer = house.post(
        ACCOUNT,
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments(tool, **selectors)},
        },
        ours["account"]["ak"],
    )
    assert "THEIRS" not in answer.text
    assert "THEIRS" not in str(answer.headers)

    named = [{one} for one in (id_, slug) if one is not None] + ([set(ids)] if ids is not None else [])
    every = set().union(*named)
    if "" in every or ids == []:
        assert answer.json["result"]["isError"] is True
    elif not every <= {"own a", "own b"}:
        assert answer.json["error"]["code"] == -32004
    elif any(one != named[0] for one in named):
        assert answer.json["result"]["isError"] is True
    else:
        wanted = {places[one]["id"] for one in named[0]} if named else {one["id"] for one in ours["projects"]}
        rows = json.loads(answer.json["result"]["content"][0]["text"])
        if len(wanted) > 1:
            assert {row["project_id"] for row in rows} == wanted
        else:
            assert rows
            assert not any("project_id" in row for row in rows)


def test_the_same_event_id_in_two_projects_is_two_events(two_firms: Any) -> None:
    """T-ISO-6: identity ends at the project; nobody learns of another's ids from an answer."""
    house, ours, _theirs = two_firms
    ak = ours["account"]["ak"]
    rows = house.rows(ak, "get_stats", ACCOUNT, **MAY, event="OURS $pageview")
    assert [row["value"] for row in rows] == [1, 1]
    foreign = house.account("business")["projects"][0]["sk"]
    same = seen("OURS $pageview", "OURS v", "10T09:00:00", event_id="shared")
    assert house.post("/v1/track", same, foreign).json == {
        "ok": True, "event_id": "shared",
    }  # fmt: skip


def test_rows_of_other_accounts_never_change_an_answer(house: InProcess) -> None:
    """T-ISO-4: byte for byte the same before and after others add, change and delete."""
    keys = fill(house, house.account("business", "Shop", "Blog", "Empty"))

    def everything() -> list[str]:
        calls = [(tool, arguments(tool)) for tool in READERS]
        calls += [("list_projects", {}), ("compare_projects", arguments("compare_projects"))]
        params = [{"name": name, "arguments": given} for name, given in calls]
        return [json.dumps(house.rpc(keys["ak"], "tools/call", one, ACCOUNT)) for one in params]

    before = everything()
    other = house.account("business", "Shop", "Blog")
    for project in other["projects"]:
        house.track(
            project["sk"], seen("$pageview", "ada", "10T09:00:00"), seen("signup", "ada", "10T09:05:00")
        )
    assert everything() == before
    house.db.connection.execute(
        "UPDATE projects SET status = 'deleted' WHERE id = ?", [other["projects"][0]["id"]]
    )
    assert everything() == before
