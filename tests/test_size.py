"""Answers too big for a model: cut to what fits, and told so, with a way on where there is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp.rows import Rows
from mcp.size import MAX_TEXT, fitting
from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
from tests.house import InProcess, Service

PADDING = "x" * 7_000


@pytest.fixture
def project(service: Service, account: dict[str, Any]) -> dict[str, str]:
    """Forty events of about 7 KB, one a minute, each of a name of its own; the last one an hour ago."""
    keys: dict[str, str] = account["projects"][0]
    service.track(
        keys["sk"],
        *(
            {
                "event": f"big-{minute:02}", "anonymous_id": "a", "user_id": "u",
                "timestamp": service.ago(60 + minute), "properties": {"padding": PADDING},
            }
            for minute in range(40)
        ),
    )  # fmt: skip
    return keys


def test_events_are_cut_to_what_fits_and_the_cursor_leads_through_all(
    service: Service, project: dict[str, str]
) -> None:
    """Asked in relative times; what follows is asked for the window that the first answer told."""
    names: list[str] = []
    asked: dict[str, Any] = {"from_": "24h", "to": "now", "limit": 100}
    for _ in range(5):
        result = service.call(project["rk"], "query_events", **asked)
        text, structured = result["content"][0]["text"], result["structuredContent"]
        assert len(text) <= MAX_TEXT
        names += [row["event_name"] for row in json.loads(text)]
        assert structured["truncated"] is ("next_cursor" in structured)
        if not structured["truncated"]:
            break
        window = structured["window"]
        asked |= {"from_": window["from"], "to": window["to"], "cursor": structured["next_cursor"]}
    assert names == [f"big-{minute:02}" for minute in range(40)]


@pytest.mark.parametrize("uri", ["events://recent", "users://u/journey"])
def test_a_resource_that_is_cut_says_so(service: Service, project: dict[str, str], uri: str) -> None:
    message = service.rpc(project["rk"], "resources/read", {"uri": uri})
    (content,) = message["result"]["contents"]
    assert 10 < len(json.loads(content["text"])) < 40
    assert len(content["text"]) <= MAX_TEXT
    assert content["_meta"]["ai.millimetric/truncated"] is True


def test_a_small_resource_says_nothing(service: Service, project: dict[str, str]) -> None:
    message = service.rpc(project["rk"], "resources/read", {"uri": "events://big-07"})
    (content,) = message["result"]["contents"]
    assert [row["event_name"] for row in json.loads(content["text"])] == ["big-07"]
    assert "ai.millimetric/truncated" not in content["_meta"]


def test_rows_fit_up_to_the_last_character() -> None:
    row = "y" * (MAX_TEXT // 2 - 4)
    assert len(json.dumps([row, row], separators=(",", ":"))) <= MAX_TEXT
    assert fitting([row, row]) == 2
    assert fitting([row, row + "yyyyy"]) == 1
    assert fitting(["z" * MAX_TEXT * 2]) == 1
    assert fitting([]) == 0


#: What each tool needs beside a window, which is left out where it may be.
ASKED: dict[str, dict[str, Any]] = {
    "get_stats": {"from_": "30d", "to": "now", "group_by": ["path"], "interval": "day"},
    "top_sources": {"from_": "30d", "to": "now"},
    "funnel": {"from_": "30d", "to": "now", "steps": ["$pageview", "signup"], "breakdown": "source"},
    "breakdown": {"by": "path"},
    "retention": {"born_event": "$pageview"},
    "compare_segments": {"goal": "signup", "a": [], "b": []},
    "user_journey": {"anonymous_id": "v1"},
    "compare_projects": {"from_": "30d", "to": "now"},
    "scan": {"sensitivity": "high", "minimum": 1},
}
PAGED = [
    (path, tool.name)
    for path, tools in (("/mcp", PROJECT_TOOLS), ("/mcp/account", ACCOUNT_TOOLS))
    for tool in tools
    if isinstance(tool.output, Rows) and tool.name != "query_events"
]


@pytest.fixture
def keys(house: InProcess) -> dict[str, str]:
    """Two projects with the same three visitors, of whom each came from elsewhere, on several pages and days."""
    account = house.account("business", "One", "Two")
    for project in account["projects"]:
        house.track(
            project["sk"],
            {"event": "first", "anonymous_id": "v0", "timestamp": house.ago(20 * 1_440)},  # the rest is news
            *(
                {
                    "event": event, "anonymous_id": f"v{visitor}", "timestamp": house.ago(1 + 1_440 * visitor * back),
                    "url": f"https://site.example/{back}?utm_source=s{visitor}&utm_medium=m",
                    "properties": {"amount_cents": 100, "currency": f"C{visitor}"},
                }
                for visitor in range(3)
                for back in range(3)
                for event in ("$pageview", "signup", "purchase")
            ),
        )  # fmt: skip
    return {"/mcp": account["projects"][0]["rk"], "/mcp/account": account["account"]["ak"]}


@pytest.mark.parametrize(("path", "tool"), PAGED)
def test_every_answer_that_is_cut_says_so_and_its_cursor_leads_through_all(
    house: InProcess, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch, path: str, tool: str
) -> None:
    key, asked = keys[path], ASKED.get(tool, {})
    whole = house.rows(key, tool, path, **asked)
    assert len(whole) > 1
    limit = len(json.dumps(whole)) * 2 // 5
    monkeypatch.setattr("mcp.size.MAX_TEXT", limit)
    found: list[Any] = []
    windows: list[Any] = []
    more: dict[str, Any] = {}
    for page in range(len(whole)):
        result = house.call(key, tool, path, **asked, **more)
        text, structured = result["content"][0]["text"], result["structuredContent"]
        assert len(text) <= limit or len(structured["rows"]) == 1
        assert structured["truncated"] is ("next_cursor" in structured)
        windows.append(structured["window"])
        found += json.loads(text)
        told = [json.loads(block["text"]) for block in result["content"][1:]]
        names = ("truncated", "next_cursor", "window")
        assert told == ([{name: structured[name] for name in names}] if structured["truncated"] else []), (
            "a model that is given the text alone is told too"
        )
        if not structured["truncated"]:
            assert page > 0
            break
        more = {"cursor": structured["next_cursor"]}
        if tool != "realtime":  # the window is that of the first page, however late the next one is asked for
            house.now = f"2026-05-20T12:{page + 1:02}:00Z"
    assert found == whole
    assert windows == [windows[0]] * len(windows)


def test_a_cursor_opens_no_other_question(
    house: InProcess, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.size.MAX_TEXT", 100)
    first = house.call(keys["/mcp"], "breakdown", by="path")["structuredContent"]
    window = {"from_": first["window"]["from"], "to": first["window"]["to"]}
    cursor = first["next_cursor"]
    assert house.rows(keys["/mcp"], "breakdown", by="path", **window, cursor=cursor)
    for wrong in (
        {"by": "source", "cursor": cursor},
        {"by": "path", "cursor": cursor, "from_": "7d"},
        {"by": "path", "cursor": cursor[:-1]},
        {"by": "path", "cursor": "é"},
        {"by": "path", "cursor": ""},
    ):
        result = house.call(keys["/mcp"], "breakdown", **wrong)
        assert result["isError"] is True
        assert json.loads(result["content"][0]["text"])["details"][0]["field"] == "cursor"
