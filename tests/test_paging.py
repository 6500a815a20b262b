"""Pages of events: every event once and in order, equal instants too; cursors open only where they were made."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.house import InProcess, Service

MAY = {"from": "2026-05-01", "to": "2026-06-01"}
MOST_PAGES = 30


def pages(service: Service, key: str, limit: int, **arguments: str) -> list[list[dict[str, Any]]]:
    """All pages of GET /v1/query, cursor after cursor."""
    found, cursor = [], None
    for _ in range(MOST_PAGES):
        query = MAY | {"limit": str(limit)} | arguments | ({"cursor": cursor} if cursor else {})
        answer = service.get(f"/v1/query?{urlencode(query)}", key)
        assert answer.status == 200, answer.text
        found.append(answer.json["rows"])
        cursor = answer.json.get("next_cursor")
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


def told(rows: list[dict[str, Any]]) -> list[str]:
    """Which event each row is: the tests write its number into its properties."""
    return [json.loads(row["properties"])["n"] for row in rows]


def numbered(instants: list[str], names: int = 2, visitors: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "event": f"name{number % names}",
            "anonymous_id": f"v{number % visitors}",
            "timestamp": instant,
            "properties": {"n": number},
            **({"event_id": f"same-{number % 4}"} if number % 2 else {}),
        }
        for number, instant in enumerate(instants)
    ]


def test_paging_gives_every_event_once_in_order_though_instants_are_equal(
    service: Service, account: dict[str, Any]
) -> None:
    keys = account["projects"][0]
    instants = ["2026-05-10T09:00:00Z"] * 12 + ["2026-05-09T23:59:59.999Z", "2026-05-10T00:00:00Z"] * 4
    service.track(keys["sk"], *numbered(instants, names=5, visitors=7))
    (whole,) = pages(service, keys["rk"], 1000)
    assert len(whole) == 20
    assert [row["timestamp"] for row in whole] == sorted((row["timestamp"] for row in whole), reverse=True)
    for limit in (1, 3, 7, 19, 20):
        paged = pages(service, keys["rk"], limit)
        assert [row for page in paged for row in page] == whole
        assert [len(page) for page in paged[:-1]] == [limit] * (len(paged) - 1)
        assert paged[-1]
    named = pages(service, keys["rk"], 2, event="name1")
    assert [row for page in named for row in page] == [row for row in whole if row["event_name"] == "name1"]


def test_events_that_arrive_between_two_pages_move_nothing(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    house.track(keys["sk"], *numbered([f"2026-05-10T09:00:0{second}Z" for second in range(6)]))
    first = house.get(f"/v1/query?{urlencode(MAY | {'limit': '3'})}", keys["rk"]).json
    house.track(keys["sk"], {"event": "late", "anonymous_id": "v", "timestamp": "2026-05-20T00:00:00Z"})
    query = MAY | {"limit": "3", "cursor": first["next_cursor"]}
    second = house.get(f"/v1/query?{urlencode(query)}", keys["rk"]).json
    assert told(first["rows"] + second["rows"]) == [5, 4, 3, 2, 1, 0]
    assert "next_cursor" not in second


def tool_pages(service: Service, key: str, path: str, limit: int, **arguments: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        result = service.call(key, "query_events", path, **MAY, limit=limit, **arguments, **cursor)
        assert not result.get("isError"), result
        structured = result["structuredContent"]
        assert json.loads(result["content"][0]["text"]) == structured["rows"]
        rows += structured["rows"]
        if "next_cursor" not in structured:
            assert not structured["truncated"]
            return rows
        assert structured["truncated"]
        cursor = {"cursor": structured["next_cursor"]}
    raise AssertionError("the pages do not end")


def test_query_events_pages_alike_over_one_project_and_over_several(service: Service) -> None:
    keys = service.account("business", "One", "Two", "Three")  # type: ignore[attr-defined]
    for project in keys["projects"]:
        service.track(project["sk"], *numbered(["2026-05-10T09:00:00Z"] * 5 + ["2026-05-11T09:00:00Z"] * 2))
    ak = keys["account"]["ak"]
    (whole,) = [tool_pages(service, ak, "/mcp/account", 1000)]
    assert len(whole) == 21
    for limit in (1, 4, 20):
        assert tool_pages(service, ak, "/mcp/account", limit) == whole
    rk = keys["projects"][1]["rk"]
    own = [
        {name: value for name, value in row.items() if name != "project_id"}
        for row in whole
        if row["project_id"] == keys["projects"][1]["id"]
    ]
    assert tool_pages(service, rk, "/mcp", 2) == own


def test_a_relative_window_stays_that_of_the_first_page(house: InProcess) -> None:
    """`7d` is later a minute later; the pages still add up to what the first one was asked about."""
    keys = house.account()["projects"][0]
    house.now = "2026-05-20T12:00:00Z"
    instants = ["2026-05-13T12:00:00Z", "2026-05-14T00:00:00Z", "2026-05-20T11:59:59Z"]
    house.track(keys["sk"], *numbered(instants))
    asked = {"from": "7d", "to": "now", "limit": 1}
    first = house.call(keys["rk"], "query_events", **asked)["structuredContent"]
    house.now = "2026-05-20T12:05:00Z"
    house.track(keys["sk"], *numbered(["2026-05-20T12:01:00Z"]))
    second = house.call(keys["rk"], "query_events", **asked, cursor=first["next_cursor"])["structuredContent"]
    third = house.call(keys["rk"], "query_events", **asked, cursor=second["next_cursor"])["structuredContent"]
    assert told(first["rows"] + second["rows"] + third["rows"]) == [2, 1, 0]
    assert first["window"] == second["window"] == third["window"]
    assert "next_cursor" not in third
    told_window = {"from": first["window"]["from"], "to": first["window"]["to"], "limit": 1}
    absolute = house.call(keys["rk"], "query_events", **told_window, cursor=first["next_cursor"])
    assert absolute["structuredContent"]["rows"] == second["rows"]
    other = house.call(keys["rk"], "query_events", **{**asked, "from": "14d"}, cursor=first["next_cursor"])
    assert other["isError"] is True


def test_a_bad_cursor_is_an_error_that_names_it(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    service.track(keys["sk"], *numbered([f"2026-05-10T09:00:0{second}Z" for second in range(4)]))

    def ask(**changed: str) -> Any:
        return service.get(f"/v1/query?{urlencode(MAY | {'limit': '2'} | changed)}", keys["rk"])

    cursor = ask().json["next_cursor"]
    assert ask(cursor=cursor).status == 200
    assert ask(cursor=cursor, limit="1").status == 200
    flipped = cursor[:-3] + ("A" if cursor[-3] != "A" else "B") + cursor[-2:]
    bad: list[dict[str, str]] = [
        {"cursor": text} for text in ("", "x", "ü", "!!", cursor[:-4], cursor + "AAAA", flipped)
    ]
    bad += [{"cursor": "A" * 600}, {"cursor": base64.urlsafe_b64encode(b"[0,0,0,0,0]").decode()}]
    bad += [{"cursor": cursor, **one} for one in (
        {"to": "2026-05-31"}, {"from": "2026-05-02"}, {"event": "name1"}, {"country": "DE"}, {"user_id": "u"},
    )]  # fmt: skip
    for changed in bad:
        answer = ask(**changed)
        assert (answer.status, answer.json["error"]) == (400, "invalid_params"), changed
        assert list(answer.json["details"]["fieldErrors"]) == ["cursor"]
    given = {**MAY, "cursor": flipped}
    result = service.call(keys["rk"], "query_events", **given)
    assert result["isError"] is True
    explained = json.loads(result["content"][0]["text"])
    assert (explained["error"], [one["field"] for one in explained["details"]]) == (
        "invalid_arguments",
        ["cursor"],
    )


def test_a_cursor_is_bound_to_the_projects_of_its_key(house: InProcess) -> None:
    keys = house.account("business", "One", "Two")
    other = house.account("business")
    projects = [*keys["projects"], *other["projects"]]
    for project in projects:
        house.track(project["sk"], *numbered(["2026-05-10T09:00:00Z"] * 4))
    query = MAY | {"limit": "2"}
    cursor = house.get(f"/v1/query?{urlencode(query)}", projects[0]["rk"]).json["next_cursor"]
    for project, status in zip(projects, (200, 400, 400), strict=True):
        assert house.get(f"/v1/query?{urlencode(query | {'cursor': cursor})}", project["rk"]).status == status
    ak, account = keys["account"]["ak"], "/mcp/account"
    wide = house.call(ak, "query_events", account, **MAY, limit=2)["structuredContent"]["next_cursor"]
    assert not house.call(ak, "query_events", account, **MAY, cursor=wide).get("isError")
    narrow = {"project_id": projects[0]["id"]}
    assert house.call(ak, "query_events", account, **MAY, cursor=wide, **narrow)["isError"] is True
    assert not house.call(ak, "query_events", account, **MAY, cursor=cursor, **narrow).get("isError")


def test_a_cursor_tells_no_secret_and_opens_only_under_its_own(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    house.track(keys["sk"], *numbered(["2026-05-10T09:00:00Z"] * 4))
    cursor = house.get(f"/v1/query?{urlencode(MAY | {'limit': '2'})}", keys["rk"]).json["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert struct.unpack(">qqq", raw[16:40]) == (1777593600000, 1780272000000, 1778403600000)
    assert len(raw) == 16 + 8 * 8
    house.app = type(house.app)(house.wiring(b"\1" * 32))
    answer = house.get(f"/v1/query?{urlencode(MAY | {'limit': '2', 'cursor': cursor})}", keys["rk"])
    assert answer.json["error"] == "invalid_params"


@settings(max_examples=25, deadline=None)
@given(
    instants=st.lists(st.sampled_from(range(4)), max_size=24),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    split=st.integers(0, 24),
)
def test_pages_of_any_sizes_add_up_to_the_whole(instants: list[int], limits: list[int], split: int) -> None:
    house = InProcess()
    keys = house.account("business", "One", "Two")
    events = numbered([f"2026-05-1{one}T09:00:00Z" for one in instants])
    for project, share in zip(keys["projects"], (events[:split], events[split:]), strict=True):
        if share:
            house.track(project["sk"], *share)
    ak = keys["account"]["ak"]
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for turn in range(40):
        limit = limits[turn % len(limits)]
        page = house.call(ak, "query_events", "/mcp/account", **MAY, limit=limit, **cursor)[
            "structuredContent"
        ]
        rows += page["rows"]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert rows == house.rows(ak, "query_events", "/mcp/account", **MAY, limit=1000)
    stamps = [row["timestamp"] for row in rows]
    assert stamps == sorted(stamps, reverse=True)
