"""Answers over several projects, and erasures, on generated events: equal to the brute force over the raw rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.window import format_instant, parse_instant
from mcp.tools import REPORTS
from tests import reference, reference_more, reference_moved
from tests.emptied import house_with
from tests.house import InProcess
from tests.ledger import Ledger
from tests.reference import Row
from tests.scale import scale
from tests.test_reports_equal_the_reference import (
    DAY_MS,
    EVENTS,
    EXAMPLES,
    INTERVALS,
    PEOPLE,
    START,
    WINDOWS,
    near,
    questions,
)

ACCOUNT = "/mcp/account"
NOW = "2026-04-20T12:00:00Z"
MANY = settings(EXAMPLES, max_examples=scale(60, 1_000))
#: Which projects an event belongs to: the same visitors come to both.
TWO_SITES = st.lists(
    st.builds(lambda event, site: event | {"site": site}, EVENTS, st.sampled_from([0, 0, 1])), max_size=16
)
#: Which of the two a question is about, and by which selectors it says so.
SELECTORS = st.sampled_from(
    [
        ((0, 1), ()), ((0, 1), ("project_ids",)), ((0,), ("project_id",)), ((1,), ("project_slug",)),
        ((0,), ("project_ids",)), ((1,), ("project_id", "project_slug", "project_ids")),
    ]
)  # fmt: skip


def firm_of(
    history: list[dict[str, Any]], house_of: Callable[[], tuple[InProcess, dict[str, Any]]] | None = None
) -> tuple[InProcess, str, list[Ledger]]:
    """The events in the two projects of a fresh house; the account's key."""
    house, account = house_of() if house_of else house_with([], NOW)
    ledgers = [Ledger(house, project) for project in account["projects"]]
    for site, ledger in enumerate(ledgers):
        for country in ("", "DE"):
            events = [
                {name: one[name] for name in one if name not in ("landing", "country", "site")}
                | {"event_id": f"e{place}", **one["landing"]}
                for place, one in enumerate(history)
                if (one["country"], one["site"]) == (country, site)
            ]
            if events:
                ledger.send(events, country=country)
    return house, account["account"]["ak"], ledgers


def selected(ledgers: list[Ledger], chosen: tuple[int, ...], by: tuple[str, ...]) -> dict[str, Any]:
    projects = [ledgers[one].project for one in chosen]
    ways = {
        "project_id": projects[0]["id"],
        "project_slug": projects[0]["slug"],
        "project_ids": [one["id"] for one in projects],
    }
    return {name: ways[name] for name in by}


def asked_in(ends: tuple[int, int]) -> dict[str, str]:
    return {"from": format_instant(ends[0]), "to": format_instant(ends[1])}


@MANY
@given(
    TWO_SITES,
    questions(
        {"metric": st.sampled_from(["count", "uniques"]), "choice": SELECTORS},
        {
            "group_by": st.lists(
                st.sampled_from(["event_name", "source", "country"]), unique=True, max_size=2
            ),
            "interval": INTERVALS,
            "event": st.sampled_from(["$pageview", "never"]),
            "limit": st.sampled_from([1, 3, 100]),
        },
    ),
)
def test_counts_by_project(history: list[dict[str, Any]], asked: list[Any]) -> None:
    house, key, ledgers = firm_of(history)
    for ends, drawn in asked:
        chosen, by = drawn["choice"]
        options = {name: value for name, value in drawn.items() if name != "choice"}
        options["group_by"] = ["project_id", *options.get("group_by", [])]
        rows = [row for one in chosen for row in ledgers[one].rows]
        found = house.rows(
            key, "get_stats", ACCOUNT, **asked_in(ends), **options, **selected(ledgers, chosen, by)
        )
        assert found == reference.stats(rows, from_ms=ends[0], to_ms=ends[1], **options), (ends, drawn)


@MANY
@given(TWO_SITES, questions({}, {"metric": st.sampled_from(["count", "uniques"])}))
def test_compare_projects(history: list[dict[str, Any]], asked: list[Any]) -> None:
    house, key, ledgers = firm_of(history)
    for ends, options in asked:
        expected = []
        for ledger in ledgers:
            (total,) = reference.stats(ledger.rows, from_ms=ends[0], to_ms=ends[1], **options)
            known = {name: ledger.project[name] for name in ("slug", "name")}
            expected.append({"project_id": ledger.project["id"], **known, **total})
        expected.sort(key=lambda row: (-row["value"], row["slug"]))
        assert house.rows(key, "compare_projects", ACCOUNT, **asked_in(ends), **options) == expected


#: Of every report one question, whose answer on an account is that of each project, one after the other.
REPORT_QUESTIONS: dict[str, dict[str, Any]] = {
    "describe_schema": {},
    "realtime": {"minutes": 60},
    "overview": {"goal": "signup", "interval": "day"},
    "health": {"activation_event": "signup"},
    "timeseries": {"metric": "sessions", "by": "source"},
    "breakdown": {"by": "entry_page", "metric": "bounce_rate"},
    "retention": {"born_event": "$pageview", "unit": "day", "periods": 3},
    "lifecycle": {"unit": "day"},
    "revenue": {"amount": "amount"},
    "channel_roi": {"event": "signup", "amount": "amount"},
    "attribution": {"event": "signup"},
    "compare_segments": {"goal": "signup", "a": [], "b": [{"field": "country", "op": "eq", "value": "DE"}]},
    "scan": {"minimum": 1, "sensitivity": "low"},
    "diagnose": {"metric": "events", "by": ["source", "path"]},
    "sessions": {"limit": 200},
    "paths": {"limit": 100},
    "user_journey": {"anonymous_id": "ann"},
}


def test_every_report_is_among_them() -> None:
    assert REPORT_QUESTIONS.keys() == {tool.name for tool in REPORTS}


@MANY
@given(
    TWO_SITES, WINDOWS, st.lists(st.sampled_from(list(REPORT_QUESTIONS)), min_size=4, max_size=4), SELECTORS
)
def test_reports_over_projects(
    history: list[dict[str, Any]], ends: tuple[int, int], tools: list[str], choice: Any
) -> None:
    house, key, ledgers = firm_of(history)
    chosen, by = choice
    for tool in tools:
        options = REPORT_QUESTIONS[tool]
        window = {} if tool == "realtime" else asked_in(ends)
        house.now = format_instant(ends[0]) if tool == "realtime" else NOW
        found = house.rows(key, tool, ACCOUNT, **window, **options, **selected(ledgers, chosen, by))
        for one in chosen:
            ledger = ledgers[one]
            mine = [
                {name: value for name, value in row.items() if name != "project_id"}
                for row in found
                if len(chosen) == 1 or row["project_id"] == ledger.project["id"]
            ]
            assert mine == near(expected(tool, ledger, ends, mine), 1e-9), (tool, ends, chosen)
        assert len(chosen) > 1 or not any("project_id" in row for row in found)


def expected(tool: str, ledger: Ledger, ends: tuple[int, int], mine: list[dict[str, Any]]) -> Any:
    options, (start, end) = REPORT_QUESTIONS[tool], ends
    if tool == "realtime":
        return reference_more.realtime(ledger.rows, now_ms=start, **options)
    known: dict[str, Any] = {"now_ms": parse_instant(NOW)} if tool in ("retention", "scan") else {}
    if tool == "scan":
        known["project"] = ledger.project["slug"]
    of = {"sessions": "session_list"}.get(tool, tool)
    model = getattr(reference_moved, of, None) or getattr(reference_more, of)
    rows = model(ledger.rows, from_ms=start, to_ms=end, **options, **known)
    if tool == "health":  # beside what the numbers mean
        names = [name for name in mine[0] if name != "definition"] if mine else []
        return [
            dict(zip(names, row, strict=True)) | {"definition": one["definition"]}
            for row, one in zip(rows, mine, strict=True)
        ]
    return rows


# --- erasures -------------------------------------------------------------------------------------


def would_go(rows: list[Row], user_id: str, include_anonymous: bool) -> tuple[dict[str, Any], list[Row]]:
    """What prepare tells of a person, and the rows that remain."""
    theirs = [row for row in rows if row.user_id == user_id]
    devices = {row.anonymous_id for row in theirs}
    nameless = [row for row in rows if row.user_id is None and row.anonymous_id in devices]
    going = theirs + (nameless if include_anonymous else [])
    instants = [row.ts_ms for row in going]
    told = {
        "events": len(going),
        "visitor_days": len({(row.anonymous_id, row.ts_ms // DAY_MS) for row in going}),
        "devices": len(devices),
        "anonymous_events": len(nameless),
        "from": format_instant(min(instants)) if going else None,
        "to": format_instant(max(instants)) if going else None,
    }
    return told, [row for row in rows if row not in going]


def audited() -> tuple[InProcess, dict[str, Any]]:
    """A house of its own: an erasure leaves its line in the audit log, which only grows."""
    house = InProcess(now=NOW)
    return house, house.account("business", "Mine", "Neighbour")


@MANY
@given(
    PEOPLE.map(lambda events: [one | {"site": 0} for one in events]),
    st.sampled_from(["u1", "u1", "u2", "u3"]),
    st.booleans(),
    WINDOWS,
)
def test_what_prepare_tells_is_what_goes_and_nothing_else(
    history: list[dict[str, Any]], user_id: str, include_anonymous: bool, ends: tuple[int, int]
) -> None:
    house, _, (ledger, _neighbour) = firm_of(history, audited)
    asked = {"user_id": user_id, "include_anonymous": include_anonymous}
    told = house.call(ledger.project["sk"], "forget_user", **asked)["structuredContent"]
    expected, remaining = would_go(ledger.rows, user_id, include_anonymous)
    assert {name: told.get(name) for name in expected} == expected
    done = house.call(ledger.project["sk"], "forget_user", **asked, step="execute", token=told["token"])
    assert done["structuredContent"] == {"status": "erased", "events": expected["events"]}
    ledger.rows = remaining
    ledger.check_query(START - 30 * DAY_MS, START + 30 * DAY_MS, limit=1000)
    ledger.check_stats(*ends, group_by=["event_name"], metric="uniques")
    ledger.check_stats(*ends, group_by=["path"], interval="day")
    again = house.call(ledger.project["sk"], "forget_user", **asked)["structuredContent"]
    assert again["events"] == 0
    assert user_id not in json.dumps(house.read(ledger.project["rk"], "events://recent"))
