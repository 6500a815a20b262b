"""Prompts, resource templates and completions: what a client offers its user before any question is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.house import Service

NAMES = [
    "weekly_review", "channel_report", "funnel_analysis", "retention_analysis", "data_quality_audit",
    "incident_review",
]  # fmt: skip
#: The tools that serve each best.
SERVING = {
    "weekly_review": {"overview", "breakdown", "diagnose"},
    "channel_report": {"top_sources", "channel_roi", "attribution"},
    "funnel_analysis": {"funnel"},
    "retention_analysis": {"retention", "lifecycle"},
    "data_quality_audit": {"describe_schema", "health", "scan"},
    "incident_review": {"scan", "timeseries", "diagnose"},
}
PAID = "https://site.example/?utm_source=facebook&utm_medium=cpc&utm_campaign=spring_sale"
GIVEN = {"steps": "$pageview, signup", "first_event": "signup", "what": "no purchases since noon"}


@pytest.fixture
def project(service: Service, account: dict[str, Any]) -> dict[str, str]:
    keys: dict[str, str] = account["projects"][0]
    service.track(
        keys["sk"],
        {"event": "signup", "anonymous_id": "a", "user_id": "u/1", "url": PAID, "timestamp": service.ago(90)},
        {"event": "sign_out", "anonymous_id": "a", "user_id": "u/1", "timestamp": service.ago(60)},
        {"event": "purchase", "anonymous_id": "b", "timestamp": service.ago(30)},
    )  # fmt: skip
    return keys


def complete(
    service: Service, key: str, ref: dict[str, str], name: str, value: str, path: str = "/mcp"
) -> Any:
    params = {"ref": ref, "argument": {"name": name, "value": value}}
    return service.rpc(key, "completion/complete", params, path)["result"]["completion"]


def prompt(name: str) -> dict[str, str]:
    return {"type": "ref/prompt", "name": name}


@pytest.mark.parametrize(("kind", "path"), [("rk", "/mcp"), ("sk", "/mcp"), ("ak", "/mcp/account")])
def test_prompts_name_only_tools_and_resources_that_are_there(
    service: Service, shared: dict[str, Any], kind: str, path: str
) -> None:
    key = shared["account"]["ak"] if kind == "ak" else shared["projects"][0][kind]
    tools = {tool["name"] for tool in service.rpc(key, "tools/list", path=path)["result"]["tools"]}
    resources = {one["uri"] for one in service.rpc(key, "resources/list", path=path)["result"]["resources"]}
    prompts = service.rpc(key, "prompts/list", path=path)["result"]["prompts"]
    assert [one["name"] for one in prompts] == NAMES
    for one in prompts:
        wanted = {argument["name"] for argument in one["arguments"] if argument["required"]}
        arguments = {name: GIVEN[name] for name in wanted}
        got = service.rpc(key, "prompts/get", {"name": one["name"], "arguments": arguments}, path)["result"]
        (message,) = got["messages"]
        text = message["content"]["text"]
        named = set(re.findall(r"[Cc]all `(\w+)`", text)) | set(re.findall(r"with `(\w+)` by", text))
        assert named, one["name"]
        assert named <= tools, one["name"]
        assert SERVING[one["name"]] <= named, one["name"]
        assert set(re.findall(r"\w+://\w+", text)) <= resources | {"events://recent"}, one["name"]
        assert all(value in text for value in arguments.values()), one["name"]


def test_a_prompt_says_what_it_was_given(service: Service, shared: dict[str, Any]) -> None:
    arguments = {"goal": "purchase", "from": "last_month", "to": "this_month"}
    got = service.rpc(
        shared["projects"][0]["rk"], "prompts/get", {"name": "weekly_review", "arguments": arguments}
    )
    text = got["result"]["messages"][0]["content"]["text"]
    assert '"from": "last_month", "to": "this_month"' in text
    assert "`purchase`" in text


@pytest.mark.parametrize(
    ("params", "message", "data"),
    [
        ({"name": "nope"}, "unknown_prompt", {"name": "nope"}),
        ({}, "invalid_params", {"detail": "params.name must be a string"}),
        (
            {"name": "incident_review", "arguments": {"wat": "x"}},
            "invalid_params",
            {
                "detail": "an argument is missing or unknown", "missing": ["what"], "unknown": ["wat"],
                "allowed": ["what", "from", "to"],
            },
        ),
        (
            {"name": "incident_review", "arguments": {"what": 5}},
            "invalid_params",
            {"detail": "params.arguments must be an object of strings"},
        ),
    ],
)  # fmt: skip
def test_a_prompt_that_cannot_be_given_says_why(
    service: Service, shared: dict[str, Any], params: dict[str, Any], message: str, data: dict[str, Any]
) -> None:
    error = service.rpc(shared["projects"][0]["rk"], "prompts/get", params)["error"]
    assert error == {"code": -32602, "message": message, "data": data}


def test_events_sources_and_campaigns_complete_from_what_was_seen(
    service: Service, project: dict[str, str]
) -> None:
    key = project["rk"]
    goal = complete(service, key, prompt("weekly_review"), "goal", "sign")
    assert goal == {"values": ["sign_out", "signup"], "hasMore": False}
    assert complete(service, key, prompt("weekly_review"), "goal", "")["values"] == [
        "purchase", "sign_out", "signup",
    ]  # fmt: skip
    assert complete(service, key, prompt("weekly_review"), "goal", "Sign")["values"] == []
    assert complete(service, key, prompt("channel_report"), "source", "f")["values"] == ["facebook"]
    assert complete(service, key, prompt("channel_report"), "campaign", "spring")["values"] == ["spring_sale"]
    template = {"type": "ref/resource", "uri": "events://{event_name}"}
    assert complete(service, key, template, "event_name", "pur")["values"] == ["purchase"]


def test_what_cannot_be_completed_is_empty_or_an_error(service: Service, project: dict[str, str]) -> None:
    key = project["rk"]
    assert complete(service, key, prompt("incident_review"), "what", "")["values"] == []
    assert complete(service, key, prompt("weekly_review"), "from", "last")["values"] == [
        "last_week",
        "last_month",
    ]
    for ref in (prompt("nope"), {"type": "ref/resource", "uri": "x://{y}"}, {"type": "ref/else"}, {}):
        params = {"ref": ref, "argument": {"name": "a", "value": ""}}
        assert service.rpc(key, "completion/complete", params)["error"]["code"] == -32602
    params = {"ref": prompt("weekly_review"), "argument": {"name": "goal", "value": 5}}
    assert service.rpc(key, "completion/complete", params)["error"]["code"] == -32602


def test_completions_stop_at_a_hundred_and_say_that_there_are_more(
    service: Service, account: dict[str, Any]
) -> None:
    keys = account["projects"][0]
    at = {"anonymous_id": "a", "timestamp": service.ago(90)}
    service.track(keys["sk"], *({"event": f"e{number:03}", **at} for number in range(101)))
    some = complete(service, keys["rk"], prompt("weekly_review"), "goal", "e")
    assert (len(some["values"]), some["hasMore"]) == (100, True)
    assert complete(service, keys["rk"], prompt("weekly_review"), "goal", "e0")["hasMore"] is False


def test_an_account_completes_its_slugs_and_nobody_elses_events(
    service: Service, project: dict[str, str], account: dict[str, Any]
) -> None:
    ak, slug = account["account"]["ak"], account["projects"][0]["slug"]
    found = complete(service, ak, prompt("weekly_review"), "project_slug", slug[:2], "/mcp/account")
    assert found["values"] == [slug]
    assert "signup" in complete(service, ak, prompt("weekly_review"), "goal", "", "/mcp/account")["values"]
    other = service.account("business")["account"]["ak"]  # type: ignore[attr-defined]
    assert complete(service, other, prompt("weekly_review"), "goal", "", "/mcp/account")["values"] == []


def test_templates_list_one_name_and_one_person(service: Service, project: dict[str, str]) -> None:
    listed = service.rpc(project["rk"], "resources/templates/list")["result"]["resourceTemplates"]
    assert [one["uriTemplate"] for one in listed] == ["events://{event_name}", "users://{user_id}/journey"]
    if service.url.endswith(
        ":8787"
    ):  # the in-process clock; on the Worker the events would have to be recent
        assert [row["event_name"] for row in service.read(project["rk"], "events://signup")] == ["signup"]
        journey = service.read(project["rk"], "users://u%2F1/journey")
        assert [row["event_name"] for row in journey] == ["signup", "sign_out"]
        service.track(project["sk"], {"event": "recent", "timestamp": service.ago(5)})
        named = service.read(project["rk"], "events://%72ecent")
        assert [row["event_name"] for row in named] == ["recent"]
        assert len(service.read(project["rk"], "events://recent")) == 4
        return
    assert service.read(project["rk"], "users://nobody/journey") == []
    assert len(service.read(project["rk"], "events://recent")) == 3
    assert service.read(project["rk"], "events://%72ecent") == [], "the name, not the resource"
    for uri in ("users:///journey", "users://a/b/journey", "events://a/b", "events://%00"):
        error = service.rpc(project["rk"], "resources/read", {"uri": uri})["error"]
        assert error == {"code": -32602, "message": "unknown_resource", "data": {"uri": uri}}
