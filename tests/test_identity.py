"""Identity "stitched": one person per user_id, compared with the slow way, which renames every event's visitor first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.identity import STITCHED
from analytics.window import format_instant, parse_instant
from tests import reference, reference_more
from tests.house import InProcess, Service
from tests.ledger import Ledger
from tests.reference import Row
from tests.test_answers_equal_the_reference import DIMENSIONS
from tests.test_reports_equal_the_reference import (
    EVENTS,
    EXAMPLES,
    FILTERS,
    INTERVALS,
    MEASURES,
    NOW,
    SPLITS,
    TIMES,
    UNITS,
    ZONES,
    ledger_of,
    questions,
)

Options = dict[str, Any]
FEW = settings(EXAMPLES, max_examples=25 * TIMES)
NAMES = ["$pageview", "$pageview", "signup", "purchase", "$identify", "$identify", "$identify"]
HISTORIES = st.lists(
    st.builds(
        lambda event, name, user: event | {"event": name} | ({"user_id": user} if user else {}),
        EVENTS,
        st.sampled_from(NAMES),
        st.sampled_from(["", "u1", "u2", "ann"]),
    ),
    max_size=16,
)


def people(rows: Sequence[Row]) -> list[Row]:
    """The rows as if every event had been sent by its person: its own user_id, else that of its device's latest
    $identify, wherever in time that lies, else the device."""
    latest: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.key):
        if row.event_name == "$identify" and row.user_id is not None:
            latest[row.anonymous_id] = row.user_id
    named = [row.user_id or latest.get(row.anonymous_id) for row in rows]
    return [
        replace(row, anonymous_id=f"device {row.anonymous_id}" if name is None else f"person {name}")
        for row, name in zip(rows, named, strict=True)
    ]


def check(ledger: Ledger, tool: str, ends: tuple[int, int], options: Options, **known: Any) -> None:
    start, end = ends
    expected = getattr(reference_more, tool)(
        people(ledger.rows), from_ms=start, to_ms=end, **options, **known
    )
    found = asked(ledger, tool, ends, options)
    if len(json.dumps(expected)) > 90_000:
        expected = expected[: len(found)]  # src/mcp/size.py cuts what a model could not take in
        assert expected
    assert found == expected, (tool, options)


def asked(ledger: Ledger, tool: str, ends: tuple[int, int], options: Options) -> Any:
    window = {"from": format_instant(ends[0]), "to": format_instant(ends[1])}
    result = ledger.service.call(ledger.project["rk"], tool, **window, **options, identity="stitched")
    assert not result["isError"], result
    assert result["structuredContent"]["identity"] == "stitched"
    return result["structuredContent"]["rows"]


COMMON = {"filters": FILTERS, "goal": st.sampled_from(["signup", "$identify"])}


@FEW
@given(HISTORIES, questions({}, {**COMMON, "interval": INTERVALS, "timezone": st.sampled_from(ZONES)}))
def test_overview(history: list[Options], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "overview", ends, options)


@FEW
@given(HISTORIES, questions({"by": st.sampled_from(SPLITS), "metric": st.sampled_from(MEASURES)}, COMMON))
def test_breakdown(history: list[Options], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "breakdown", ends, options)


@FEW
@given(
    HISTORIES,
    questions(
        {"metric": st.sampled_from(MEASURES), "interval": INTERVALS},
        {**COMMON, "by": st.sampled_from(SPLITS), "timezone": st.sampled_from(ZONES)},
    ),
)
def test_timeseries(history: list[Options], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "timeseries", ends, options)


@FEW
@given(
    HISTORIES,
    questions(
        {"born_event": st.sampled_from(["$pageview", "$identify"]), "unit": UNITS, "calendar": st.booleans()},
        {
            "return_event": st.sampled_from(["$pageview", "purchase"]),
            "mode": st.sampled_from(["on", "on_or_after"]),
            "filters": FILTERS,
        },
    ),
)
def test_retention(history: list[Options], asked: list[Any]) -> None:
    ledger = ledger_of(history, now=NOW)
    for ends, options in asked:
        check(ledger, "retention", ends, options, now_ms=parse_instant(NOW))


@FEW
@given(HISTORIES, questions({"unit": UNITS}, {"view": st.sampled_from(["lifecycle", "stickiness"])}))
def test_lifecycle(history: list[Options], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "lifecycle", ends, options)


@settings(EXAMPLES, max_examples=60 * TIMES)
@given(
    HISTORIES,
    questions(
        {
            "steps": st.lists(st.sampled_from(["$pageview", "signup", "purchase"]), min_size=2, max_size=3),
            "mode": st.sampled_from([{}, {"entry": "first"}, {"order": "any"}]),
        },
        {"breakdown": st.sampled_from(DIMENSIONS), "conversion_window_days": st.sampled_from([1, 14])},
    ),
)
def test_funnel(history: list[Options], questions: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, drawn in questions:
        mode = drawn.pop("mode")
        repeated = len(set(drawn["steps"])) < len(drawn["steps"])
        options = drawn | ({} if repeated and "order" in mode else mode)  # in any order steps have to differ
        expected = reference.funnel(
            people(ledger.rows),
            **{"window_days" if name == "conversion_window_days" else name: v for name, v in options.items()},
            from_ms=ends[0],
            to_ms=ends[1],
        )
        for found, true in zip(asked(ledger, "funnel", ends, options), expected, strict=True):
            assert found | {"mean_seconds": 0} == true | {"mean_seconds": 0}, options
            mean = true["mean_seconds"]
            assert found["mean_seconds"] == (None if mean is None else pytest.approx(mean, rel=1e-9))


MAY = {"from_": "2026-05-01", "to": "2026-05-20"}
#: Ada reads on her phone and buys on her laptop, from her server; Bob used her phone once; nobody knows who has d9.
LIVES = [
    {"event": "read", "anonymous_id": "phone", "timestamp": "2026-05-02T09:00:00Z"},
    {"event": "read", "anonymous_id": "d9", "timestamp": "2026-05-02T09:00:00Z"},
    {"event": "read", "anonymous_id": "phone", "user_id": "bob", "timestamp": "2026-05-03T09:00:00Z"},
    {"event": "buy", "user_id": "ada", "timestamp": "2026-05-04T09:00:00Z"},
    {"event": "buy", "anonymous_id": "laptop", "timestamp": "2026-05-05T09:00:00Z"},
    {"event": "$identify", "anonymous_id": "phone", "user_id": "bob", "timestamp": "2026-04-01T09:00:00Z"},
    {"event": "$identify", "anonymous_id": "phone", "user_id": "ada", "timestamp": "2026-05-06T09:00:00Z"},
    {"event": "$identify", "anonymous_id": "laptop", "user_id": "ada", "timestamp": "2026-05-06T09:00:00Z"},
]  # fmt: skip


def test_a_person_is_one_across_devices_and_servers(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    service.track(keys["sk"], *LIVES)

    def funnel(**identity: str) -> tuple[Any, list[int]]:
        steps = {"steps": ["read", "buy"]}
        result = service.call(keys["rk"], "funnel", **MAY, **steps, **identity)["structuredContent"]
        return result["identity"], [row["visitors"] for row in result["rows"]]

    assert funnel() == ("visitor", [2, 0])
    assert funnel(identity="stitched") == ("stitched", [3, 1])
    visitors = {
        identity: service.call(keys["rk"], "overview", **MAY, identity=identity)["structuredContent"]
        for identity in ("visitor", "stitched")
    }
    assert {name: answer["rows"][0]["value"] for name, answer in visitors.items()} == {
        "visitor": 4,
        "stitched": 3,
    }
    assert visitors["stitched"]["definition"].endswith(STITCHED)
    assert STITCHED not in visitors["visitor"]["definition"]


@pytest.mark.parametrize(
    "options", [{}, {"identity": "stitched"}, {"identity": "stitched", "breakdown": "country"}]
)
def test_of_two_events_in_one_millisecond_the_first_ends_a_step(
    house: InProcess, options: dict[str, str]
) -> None:
    keys = house.account()["projects"][0]
    instants = ("2026-05-02T09:00:00.000Z", "2026-05-02T09:00:00.001Z", "2026-05-02T09:00:00.001Z")
    house.track(keys["sk"], *({"event": "read", "anonymous_id": "d", "timestamp": at} for at in instants))
    _, second = house.rows(keys["rk"], "funnel", **MAY, steps=["read", "read"], **options)
    assert second["median_seconds"] == 0.001


def test_devices_are_joined_inside_a_project_only() -> None:
    house = InProcess()
    account = house.account("business", "One", "Two")
    for project in account["projects"]:
        house.track(project["sk"], {"event": "e", "anonymous_id": "d1", "timestamp": "2026-05-02"})
        house.track(project["sk"], {"event": "e", "anonymous_id": "d2", "timestamp": "2026-05-02"})
    one = account["projects"][0]["sk"]
    for device in ("d1", "d2"):
        house.post("/v1/identify", {"anonymous_id": device, "user_id": "u"}, one)
    found = house.rows(
        account["account"]["ak"], "timeseries", "/mcp/account", **MAY, interval="month", identity="stitched"
    )
    assert [row["value"] for row in found] == [1, 2]


def test_forgetting_a_person_takes_their_devices_apart_again() -> None:
    house = InProcess()
    keys = house.account()["projects"][0]
    house.track(keys["sk"], *LIVES)
    assert house.post("/v1/forget", {"user_id": "ada"}, keys["sk"]).json["deleted"] == 3
    found = house.rows(keys["rk"], "timeseries", **MAY, interval="month", identity="stitched")
    assert [row["value"] for row in found] == [3], "bob, whose the phone is again, d9 and the laptop"


@pytest.mark.parametrize(
    ("tool", "options"),
    [
        ("breakdown", {"by": "event_name", "metric": "visitors"}),
        ("timeseries", {"metric": "visitors", "interval": "month"}),
        ("timeseries", {"metric": "visitors", "interval": "month", "by": "event_name"}),
    ],
)
def test_whole_days_of_people_are_not_taken_from_the_roll_ups_which_count_devices(
    tool: str, options: Options
) -> None:
    house = InProcess()
    keys = house.account()["projects"][0]
    shared = {"event": "read", "anonymous_id": "phone", "timestamp": "2026-05-02T09:00:00Z"}
    house.track(keys["sk"], shared, shared | {"user_id": "ada"}, shared | {"user_id": "bob"})
    measure = "visitors" if tool == "breakdown" else "value"
    found = [
        house.rows(keys["rk"], tool, **MAY, **options, identity=identity)[0][measure]
        for identity in ("visitor", "stitched")
    ]
    assert found == [1, 3]
