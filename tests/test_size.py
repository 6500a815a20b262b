"""Answers too big for a model: cut to what fits, and told so, with a way on where there is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp.size import MAX_TEXT, fitting
from tests.house import Service

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
    assert content["_meta"] == {"millimetric/truncated": True}


def test_a_small_resource_says_nothing(service: Service, project: dict[str, str]) -> None:
    message = service.rpc(project["rk"], "resources/read", {"uri": "events://big-07"})
    (content,) = message["result"]["contents"]
    assert [row["event_name"] for row in json.loads(content["text"])] == ["big-07"]
    assert "_meta" not in content


def test_rows_fit_up_to_the_last_character() -> None:
    row = "y" * (MAX_TEXT // 2 - 4)
    assert len(json.dumps([row, row], separators=(",", ":"))) <= MAX_TEXT
    assert fitting([row, row]) == 2
    assert fitting([row, row + "yyyyy"]) == 1
    assert fitting(["z" * MAX_TEXT * 2]) == 1
    assert fitting([]) == 0
