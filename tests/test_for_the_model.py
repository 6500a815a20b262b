"""What a model reads: small lists, plain schemas, windows in its own words, errors it can act on."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from analytics.questions import MAX_ROWS
from analytics.window import format_instant, parse_instant
from tests.house import InProcess, Service
from tests.json_schema import misfits
from tests.test_demo_answers import NOW, ledgers

#: All that a key of any kind is shown, and one tool of it. Units: characters of compact JSON.
MAX_LIST = 24_000
MAX_TOOL = 1_750
WEEK = {"from_": "7d", "to": "now"}
ENDPOINTS = [("rk", "/mcp"), ("sk", "/mcp"), ("ak", "/mcp/account")]


def key_of(account: dict[str, Any], kind: str) -> str:
    key: str = account["account"]["ak"] if kind == "ak" else account["projects"][0][kind]
    return key


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_the_tools_of_a_key_fit_into_a_small_part_of_a_context(
    house: InProcess, capsys: pytest.CaptureFixture[str], kind: str, path: str
) -> None:
    key = key_of(house.account(), kind)
    listed = house.rpc(key, "tools/list", path=path)["result"]["tools"]
    size = length(listed)
    with capsys.disabled():
        print(f"\ntools/list for {kind}_ at {path}: {len(listed)} tools, {size} of {MAX_LIST} characters")
    assert size < MAX_LIST
    assert {tool["name"]: length(tool) for tool in listed if length(tool) > MAX_TOOL} == {}


def length(listed: Any) -> int:
    return len(json.dumps(listed, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_schemas_are_plain(house: InProcess, kind: str, path: str) -> None:
    for tool in house.rpc(key_of(house.account(), kind), "tools/list", path=path)["result"]["tools"]:
        for name in ("inputSchema", "outputSchema"):
            text = json.dumps(tool[name])
            assert tool[name]["type"] == "object", tool["name"]
            assert not any(noise in text for noise in ('"$ref"', '"$defs"', '"title": "')), tool["name"]
        closed = tool["inputSchema"].get("additionalProperties") is False
        selects = "project_id" in tool["inputSchema"]["properties"]
        assert closed or selects or tool["name"] == "track_event", "only events carry fields nobody knows"


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_output_schemas_are_tight(house: InProcess, kind: str, path: str) -> None:
    """Rows have so many columns, of these names and types and no others, unless the question itself names some."""
    for tool in house.rpc(key_of(house.account(), kind), "tools/list", path=path)["result"]["tools"]:
        schema = tool["outputSchema"]
        rows = schema["properties"].get("rows")
        if rows is None:
            assert schema["additionalProperties"] is False, tool["name"]
            continue
        assert "rows" in schema["required"]
        row = rows["items"]
        named = row.get("properties", {}) | row.get("patternProperties", {})
        assert named, tool["name"]
        assert row["minProperties"] >= 0
        named_by_the_question = "by" in tool["inputSchema"]["properties"] or tool["name"] in (
            "funnel",
            "lifecycle",
        )
        assert row["additionalProperties"] is False or named_by_the_question, tool["name"]
        assert misfits({"rows": [{"": object()}], "window": {}}, schema), tool["name"]


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_every_description_ends_with_a_call_that_works(house: InProcess, kind: str, path: str) -> None:
    key = key_of(house.account(), kind)
    for tool in house.rpc(key, "tools/list", path=path)["result"]["tools"]:
        (example,) = re.findall(r" Example: (\{.*\})\.", tool["description"])
        result = house.call(key, tool["name"], path, **json.loads(example))
        assert result["isError"] is False, (tool["name"], result)
        assert not misfits(json.loads(example), tool["inputSchema"]), tool["name"]
        assert tool["annotations"]["readOnlyHint"] is (tool["name"] not in ("track_event", "forget_user"))


@pytest.fixture(scope="module")
def demo() -> tuple[InProcess, dict[str, Any], dict[str, Any]]:
    """A house with an account that holds the demo data, where `u_1` of the examples signed up, and one that is empty."""
    house = InProcess(now=format_instant(NOW))
    full, empty = (house.account("business", "Demo Shop", "Demo SaaS") for _ in range(2))
    ledgers(house, full["projects"], NOW, scale=0.2)
    signup = {"event": "signup", "user_id": "u_1", "timestamp": format_instant(NOW - 3_600_000)}
    house.track(full["projects"][0]["sk"], signup)
    return house, full, empty


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_every_example_has_an_answer_on_the_demo_data(
    demo: tuple[InProcess, dict[str, Any], dict[str, Any]], kind: str, path: str
) -> None:
    """As its output schema says; with rows, and not those that an empty project has: zeros prove nothing."""
    house, full, empty = demo
    for tool in house.rpc(key_of(full, kind), "tools/list", path=path)["result"]["tools"]:
        name, schema = tool["name"], tool["outputSchema"]
        (example,) = re.findall(r" Example: (\{.*\})\.", tool["description"])
        told, nothing = (
            house.call(key_of(one, kind), name, path, **json.loads(example))["structuredContent"]
            for one in (full, empty)
        )
        assert misfits(told, schema) == [], name
        if "rows" in schema["properties"]:
            assert told["rows"], name
            assert name == "list_projects" or unnamed(told) != unnamed(nothing), name
        elif name == "forget_user":
            assert (told["status"], told["events"], nothing["events"]) == ("prepared", 1, 0)
        else:
            assert name == "track_event"
            assert told["ok"] is True


def unnamed(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows without what tells one project from another."""
    names = ("project_id", "slug", "name")
    return [{column: value for column, value in row.items() if column not in names} for row in told["rows"]]


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        (("7d", "now"), ("2026-05-13T12:00:00.000Z", "2026-05-20T12:00:00.000Z")),
        (("yesterday", "today"), ("2026-05-19T00:00:00.000Z", "2026-05-20T00:00:00.000Z")),
        (("last_month", "this_month"), ("2026-04-01T00:00:00.000Z", "2026-05-01T00:00:00.000Z")),
        (("2026-05-01", "now"), ("2026-05-01T00:00:00.000Z", "2026-05-20T12:00:00.000Z")),
        (("2026-05-01T02:00+02:00", "today"), ("2026-05-01T00:00:00.000Z", "2026-05-20T00:00:00.000Z")),
    ],
)
def test_every_answer_echoes_its_window_and_time_zone(
    house: InProcess, asked: tuple[str, str], window: tuple[str, str]
) -> None:
    key = house.account()["projects"][0]["rk"]
    for tool in house.rpc(key, "tools/list")["result"]["tools"]:
        (example,) = re.findall(r" Example: (\{.*\})\.", tool["description"])
        takes = tool["inputSchema"]["properties"]
        zone = {"timezone": "Europe/Berlin"} if "timezone" in takes else {}
        if "from" in takes:
            arguments = json.loads(example) | {"from": asked[0], "to": asked[1]} | zone
            echoed = house.call(key, tool["name"], **arguments)["structuredContent"]["window"]
            in_zone = zone.get("timezone", "UTC")
            assert echoed == {"from": window[0], "to": window[1], "timezone": in_zone}, tool["name"]


def test_every_report_says_what_it_counted(demo: tuple[InProcess, dict[str, Any], dict[str, Any]]) -> None:
    """Counts, single events and the ranking of projects are what their names say; the rest has a definition."""
    house, full, _ = demo
    silent = []
    for tool in house.rpc(key_of(full, "ak"), "tools/list", path="/mcp/account")["result"]["tools"]:
        (example,) = re.findall(r" Example: (\{.*\})\.", tool["description"])
        told = house.call(key_of(full, "ak"), tool["name"], "/mcp/account", **json.loads(example))
        if not told["structuredContent"].get("definition"):
            silent.append(tool["name"])
    assert silent == ["list_projects", "compare_projects", "get_stats", "query_events"]


def test_the_seconds_of_a_funnel_run_since_its_first_step(house: InProcess) -> None:
    """As its definition says: 10 and 40, where one step after the other took 10 and 30."""
    keys = house.account()["projects"][0]
    at = {"seen": 0, "filled": 10, "bought": 40}
    house.track(
        keys["sk"],
        *(
            {"event": name, "anonymous_id": "a", "timestamp": f"2026-05-19T12:00:{second:02}Z"}
            for name, second in at.items()
        ),
    )
    told = house.call(keys["rk"], "funnel", **WEEK, steps=list(at))["structuredContent"]
    assert [(row["median_seconds"], row["mean_seconds"]) for row in told["rows"]] == [
        (None, None),
        (10, 10),
        (40, 40),
    ]
    assert "since their first step" in told["definition"]


def test_rest_understands_the_same_times(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    assert house.get("/v1/stats?from=7d&to=now", key).json == {"metric": "count", "rows": [{"value": 0}]}
    refused = house.get("/v1/stats?from=7days&to=now", key)
    assert (refused.status, refused.json["error"]) == (400, "invalid_params")


def problems(
    service: Service, key: str, tool: str, path: str = "/mcp", /, **arguments: Any
) -> list[dict[str, Any]]:
    result = service.call(key, tool, path, **arguments)
    assert result["isError"] is True
    told = json.loads(result["content"][0]["text"])
    assert told["error"] == "invalid_arguments"
    listed: list[dict[str, Any]] = told["details"]
    return listed


def test_every_problem_is_told_at_once_with_what_is_allowed(service: Service, shared: dict[str, Any]) -> None:
    key = shared["projects"][0]["rk"]
    found = problems(
        service, key, "get_stats", from_="last_mounth", to="now", metric="unique", group_by=["sourc"], evnt="a", limit=0
    )  # fmt: skip
    by_field = {one["field"]: one for one in found}
    assert set(by_field) == {"from", "metric", "group_by[0]", "evnt", "limit"}
    assert by_field["from"]["value"] == "last_mounth"
    assert by_field["from"]["did_you_mean"] == "last_month"
    assert by_field["metric"] | {"reason": ""} == {
        "field": "metric", "reason": "", "value": "unique", "allowed": ["count", "uniques"], "did_you_mean": "uniques",
    }  # fmt: skip
    assert by_field["group_by[0]"]["value"] == "sourc"
    assert by_field["group_by[0]"]["did_you_mean"] == "source"
    assert "source" in by_field["group_by[0]"]["allowed"]
    assert by_field["evnt"]["did_you_mean"] == "event"
    assert by_field["limit"]["value"] == 0


def test_an_unknown_argument_inside_a_step_is_told_by_its_own_names(
    service: Service, shared: dict[str, Any]
) -> None:
    steps = ["a", {"event": "b", "filter": []}]
    (found,) = problems(service, shared["projects"][0]["rk"], "funnel", **WEEK, steps=steps)
    assert found == {
        "field": "steps[1].filter",
        "reason": "unknown argument",
        "value": "[]",
        "allowed": ["event", "filters"],
        "did_you_mean": "filters",
    }


def test_the_longest_and_the_shortest_allowed_are_told(service: Service, shared: dict[str, Any]) -> None:
    key = shared["projects"][0]["rk"]
    (found,) = problems(service, key, "query_events", **WEEK, limit=MAX_ROWS + 1)
    assert (found["field"], found["value"]) == ("limit", MAX_ROWS + 1)
    assert str(MAX_ROWS) in found["reason"]
    (found,) = problems(service, key, "funnel", **WEEK, steps=["a"])
    assert found["field"] == "steps"
    assert "2" in found["reason"]


def test_now_is_the_instant_of_the_request(house: InProcess) -> None:
    house.now = "2026-01-01T00:00:00Z"
    key = house.account()["projects"][0]["rk"]
    window = house.call(key, "get_stats", **WEEK)["structuredContent"]["window"]
    assert parse_instant(window["to"]) == parse_instant(house.now)


#: Of each type what an argument is not, and a text that is near to one that is allowed.
WRONG: dict[str, list[Any]] = {
    "string": [1, None, [], {}],
    "integer": ["x", None, 1.5, -1, [], {}],
    "boolean": ["x", 2, []],
    "array": [1, "", {}, [[]]],
}


@pytest.mark.parametrize(("kind", "path"), ENDPOINTS)
def test_every_wrong_argument_is_told_with_its_value_and_what_is_allowed(
    house: InProcess, kind: str, path: str
) -> None:
    """Of every tool every argument, with every type that it is not; and of every list of values one misspelt."""
    key = key_of(house.account(), kind)
    asked = 0
    for tool in house.rpc(key, "tools/list", path=path)["result"]["tools"]:
        (example,) = re.findall(r" Example: (\{.*\})\.", tool["description"])
        for name, schema in tool["inputSchema"]["properties"].items():
            if "type" not in schema or schema["type"] == "object":
                continue
            enum = schema.get("enum") or schema.get("items", {}).get("enum")
            misspelt = [enum[-1] + "z"] if enum else []
            values = WRONG[schema["type"]] + ([misspelt] if schema["type"] == "array" and enum else misspelt)
            for value in values:
                if (
                    value is None
                    and name not in tool["inputSchema"].get("required", ())
                    and "default" not in schema
                ):
                    continue  # left out
                if misfits(value, schema) == [] or (value == "" and enum):
                    continue  # fits, or is a list written with commas
                (found, *more) = problems(
                    house, key, tool["name"], path, **json.loads(example) | {name: value}
                )
                assert more == [], (tool["name"], name, value)
                assert found["field"].startswith(name), (tool["name"], found)
                assert found["reason"], (tool["name"], found)
                assert "value" in found, (tool["name"], found)
                asked += 1
                if enum and value in (misspelt, *misspelt):
                    assert found["did_you_mean"] == enum[-1], (tool["name"], found)
                    assert set(found["allowed"]) == set(enum)
    assert asked > 100


def test_of_two_arguments_of_which_one_is_meant_the_other_is_named(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    (neither,) = problems(house, key, "user_journey")
    assert (neither["field"], neither["reason"]) == ("user_id", "give either user_id or anonymous_id")
    (both,) = problems(house, key, "user_journey", user_id="u", anonymous_id="a")
    assert both["field"] == "anonymous_id"


@pytest.mark.parametrize(("path", "kind"), [("/mcp", "rk"), ("/mcp/account", "ak")])
@pytest.mark.parametrize(
    "asked", [{"tool": "breakdown", "by": "path"}, {"tool": "timeseries"}, {"tool": "diagnose"}]
)
def test_a_conversion_rate_needs_a_goal(
    house: InProcess, asked: dict[str, str], path: str, kind: str
) -> None:
    """Without one it would be 0 for every value: an answer, but to no question."""
    key, tool = key_of(house.account(), kind), asked["tool"]
    more = {name: value for name, value in asked.items() if name != "tool"} | {"metric": "conversion_rate"}
    assert problems(house, key, tool, path, **more) == [
        {"field": "goal", "reason": "Required: conversion_rate needs a goal, the name of an event"}
    ]
    assert house.call(key, tool, path, **more, goal="signup")["isError"] is False


def test_a_list_is_told_what_it_is_of(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    bare = {"field": "os", "value": "ios"}
    for value in ("os=ios", bare):
        (found,) = problems(house, key, "overview", filters=value)
        assert (found["field"], found["reason"]) == ("filters", "must be a list of {field,op,value}")
    (found,) = problems(house, key, "compare_segments", goal="signup", a=bare, b=[])
    assert (found["field"], found["reason"]) == ("a", "must be a list of {field,op,value}")
    (found,) = problems(house, key, "compare_segments", goal="signup", a=[["os", "ios"]], b=[])
    assert (found["field"], found["reason"]) == ("a[0]", "must be {field,op,value}")
    (found,) = problems(house, key, "funnel", **WEEK, steps=["signup", {"event": "b", "filters": bare}])
    assert (found["field"], found["reason"]) == ("steps[1].filters", "must be a list of {field,op,value}")
    (found,) = problems(house, key, "funnel", **WEEK, steps="signup")
    assert (found["field"], found["reason"]) == ("steps", "must be a list")


def test_a_filter_that_does_not_fit_is_told_once(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    (found,) = problems(house, key, "paths", filters=[{"field": "source", "value": None}])
    assert found["field"] == "filters[0].value"
    (found,) = problems(house, key, "paths", filters=[{"field": "sorce", "value": "x"}])
    assert (found["value"], found["did_you_mean"]) == ("sorce", "source")
    (found,) = problems(house, key, "paths", filters=[{"field": "source", "op": "in", "value": "x"}])
    assert found["value"] == '{"field":"source","op":"in","value":"x"}'
