"""Reports counted by hand, in process and on the Worker itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp.tools import REPORTS
from tests.house import Service
from tests.test_first_answers import MAY, done, project, view  # noqa: F401  the fixture: three visitors, seven events

TEN_DAYS = {"from_": "2026-05-10", "to": "2026-05-20"}


def test_overview_counts_the_audience_and_compares_it(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    # Sessions: ada's visit (5 min) and her purchase a day later, bob's (20 min), cyd's (1 min, two views).
    rows = service.rows(project["rk"], "overview", **TEN_DAYS, goal="purchase")
    assert {row["metric"]: row["value"] for row in rows} == {
        "visitors": 3,
        "sessions": 4,
        "pageviews": 4,
        "events": 7,
        "bounce_rate": 2 / 3,
        "engaged_rate": 1,
        "average_duration": 390,
        "views_per_session": 1,
        "conversion_rate": 1 / 3,
    }
    assert all(row["change"] is None for row in rows)
    later = service.rows(project["rk"], "overview", from_="2026-05-12", to="2026-05-14")
    assert later[0] == {"metric": "visitors", "value": 1, "previous": 2, "change": -0.5}


def test_overview_says_window_identity_and_definition(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    result = service.call(project["rk"], "overview", **MAY, timezone="Europe/Berlin")
    said = result["structuredContent"]
    assert json.loads(result["content"][0]["text"]) == said["rows"]
    assert said["window"] == {
        "from": "2026-05-01T00:00:00.000Z", "to": "2026-06-01T00:00:00.000Z", "timezone": "Europe/Berlin",
    }  # fmt: skip
    assert said["identity"] == "visitor"
    assert "30 minutes" in said["definition"]


def test_breakdown_by_entry_page_and_by_property(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    assert service.rows(project["rk"], "breakdown", **MAY, by="entry_page", metric="sessions") == [
        {"entry_page": "/", "sessions": 2, "visitors": 2, "events": 4},
        {"entry_page": None, "sessions": 1, "visitors": 1, "events": 1},
        {"entry_page": "/news", "sessions": 1, "visitors": 1, "events": 2},
    ]
    bought = [{"field": "event_name", "op": "eq", "value": "purchase"}]
    assert service.rows(project["rk"], "breakdown", **MAY, by="properties.amount_cents", filters=bought) == [
        {"properties.amount_cents": 4200, "visitors": 1, "events": 1}
    ]


def test_timeseries_fills_empty_days_of_the_local_calendar(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    rows = service.rows(
        project["rk"], "timeseries", from_="2026-05-09T22:00:00Z", to="2026-05-13T22:00:00Z",
        metric="events", timezone="Europe/Berlin",
    )  # fmt: skip
    assert rows == [
        {"bucket": "2026-05-09T22:00:00.000Z", "value": 4},
        {"bucket": "2026-05-10T22:00:00.000Z", "value": 1},
        {"bucket": "2026-05-11T22:00:00.000Z", "value": 2},
        {"bucket": "2026-05-12T22:00:00.000Z", "value": 0},
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("breakdown", {"by": "pth"}, "by"),
        ("breakdown", {"by": "path", "metric": "visitor"}, "metric"),
        ("timeseries", {"timezone": "Europe/Berlim"}, "timezone"),
        ("timeseries", {"interval": "hour", "to": "2027-01-01"}, "interval"),
        ("overview", {"filters": [{"field": "pth", "value": 1}]}, "filters[0].field"),
    ],
)
def test_what_a_report_cannot_answer_is_explained(
    house: Service, tool: str, arguments: dict[str, Any], field: str
) -> None:
    key = house.account()["projects"][0]["rk"]  # type: ignore[attr-defined]
    result = house.call(key, tool, **(MAY | arguments))
    assert result["isError"]
    assert [problem["field"] for problem in json.loads(result["content"][0]["text"])["details"]] == [field]


def test_retention_and_lifecycle_follow_visitors(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    # Born by a view: ada and bob on the 10th, cyd on the 12th; only ada is back, the day after.
    rows = service.rows(
        project["rk"],
        "retention",
        **TEN_DAYS,
        born_event="$pageview",
        return_event="purchase",
        unit="day",
        periods=2,
    )
    assert [(row["cohort"], row["size"], row["period"], row["retained"]) for row in rows] == [
        ("all", 3, 0, 0),
        ("all", 3, 1, 1),
        ("2026-05-10T00:00:00.000Z", 2, 0, 0),
        ("2026-05-10T00:00:00.000Z", 2, 1, 1),
        ("2026-05-12T00:00:00.000Z", 1, 0, 0),
        ("2026-05-12T00:00:00.000Z", 1, 1, 0),
    ]
    assert rows[1]["rate"] == 1 / 3
    assert rows[1]["mean_rate"] == 0.25
    rows = service.rows(project["rk"], "lifecycle", from_="2026-05-10", to="2026-05-13")
    assert [list(row.values())[1:] for row in rows] == [[2, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1]]
    sticky = service.rows(project["rk"], "lifecycle", from_="2026-05-10", to="2026-05-13", view="stickiness")
    assert [row["visitors"] for row in sticky] == [2, 1, 0]


def test_revenue_and_what_it_is_owed_to(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    assert service.rows(project["rk"], "revenue", **MAY) == [
        {
            "currency": "EUR", "gross": 4200, "orders": 1, "payers": 1, "average_order": 4200, "arpu": 1400,
            "mrr": "not available", "subscriptions": "not available", "churn": "not available",
            "top_customers": [{"customer": "ada", "gross": 4200, "orders": 1}],
        }
    ]  # fmt: skip
    assert service.rows(project["rk"], "attribution", **MAY, event="signup", by="medium") == [
        {"medium": "paid", "first_touch": 1, "last_touch": 1, "linear": 1},
        {"medium": "social", "first_touch": 1, "last_touch": 1, "linear": 1},
    ]
    spent = [{"value": "facebook", "currency": "EUR", "amount": 1000}]
    assert service.rows(project["rk"], "channel_roi", **MAY, spend=spent) == [
        {
            "source": "facebook", "currency": "EUR", "spend": 1000, "revenue": 4200, "conversions": 1,
            "new_customers": 1, "roi": 3.2, "cac": 1000,
        }
    ]  # fmt: skip


def test_single_sessions_paths_and_a_journey(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    (newest, *_) = service.rows(project["rk"], "sessions", **MAY, limit=1)
    assert newest == {
        "started": "2026-05-12T08:00:00.000Z", "duration_seconds": 60, "anonymous_id": "cyd", "user_id": None,
        "events": 2, "pageviews": 2, "source": "direct", "medium": "direct", "campaign": None,
        "country": newest["country"], "device_type": "desktop", "browser": "", "os": "",
        "entry_page": "/", "exit_page": "/prices",
    }  # fmt: skip
    assert service.rows(project["rk"], "paths", **MAY) == [
        {"path": ["/", "/prices"], "sessions": 1, "visitors": 1, "share": 1 / 3},
        {"path": ["/"], "sessions": 1, "visitors": 1, "share": 1 / 3},
        {"path": ["/news"], "sessions": 1, "visitors": 1, "share": 1 / 3},
    ]
    journey = service.rows(project["rk"], "user_journey", **MAY, user_id="u-ada")
    assert [(row["event_name"], row["session"], row["seconds_since_previous"]) for row in journey] == [
        ("$pageview", 1, None), ("signup", 1, 300), ("purchase", 2, 89_700),
    ]  # fmt: skip


def test_realtime_shows_the_last_minutes_and_nobody_else(house: Service) -> None:
    keys = house.account()["projects"][0]  # type: ignore[attr-defined]
    house.track(
        keys["sk"],
        {"event": "$pageview", "anonymous_id": "ann", "timestamp": "2026-05-20T11:55:00Z", "path": "/a"},
        {"event": "signup", "anonymous_id": "ann", "timestamp": "2026-05-20T11:59:00Z"},
        {"event": "$pageview", "anonymous_id": "bob", "timestamp": "2026-05-20T11:54:59.999Z", "path": "/b"},
    )
    assert house.rows(keys["rk"], "realtime")[:2] == [
        {"what": "all", "value": None, "visitors": 1, "events": 2},
        {"what": "page", "value": "/a", "visitors": 1, "events": 1},
    ]


def test_segments_are_compared_with_intervals(house: Service) -> None:
    # 40 visitors each; 20 of a and 4 of b sign up.
    keys = house.account()["projects"][0]  # type: ignore[attr-defined]
    for segment, converts in (("a", 20), ("b", 4)):
        seen = [
            {
                "event": "seen",
                "anonymous_id": f"{segment}{number}",
                "timestamp": "2026-05-10",
                "properties": {"s": segment},
            }
            for number in range(40)
        ]
        won = [
            {"event": "signup", "anonymous_id": f"{segment}{n}", "timestamp": "2026-05-11"}
            for n in range(converts)
        ]
        house.track(keys["sk"], *seen, *won)
    a, b = ([{"field": "properties.s", "op": "eq", "value": segment}] for segment in "ab")
    first, second = house.rows(keys["rk"], "compare_segments", **MAY, goal="signup", a=a, b=b)
    assert (first["visitors"], first["converted"], first["rate"], first["verdict"]) == (
        40,
        20,
        0.5,
        "a is higher",
    )
    assert (round(first["low"], 4), round(first["high"], 4)) == (0.352, 0.648)
    assert (round(second["low"], 4), round(second["high"], 4)) == (0.0396, 0.2305)
    assert (
        house.rows(keys["rk"], "compare_segments", **MAY, goal="signup", a=b, b=a)[0]["verdict"]
        == "b is higher"
    )
    assert (
        house.rows(keys["rk"], "compare_segments", **MAY, goal="signup", a=a, b=a)[0]["verdict"]
        == "no clear difference"
    )


def test_describe_schema_names_events_and_what_they_carry(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    rows = service.rows(project["rk"], "describe_schema", **MAY)
    assert [(row["event"], row["count"], row["visitors"]) for row in rows] == [
        ("$pageview", 4, 3), ("signup", 2, 2), ("purchase", 1, 1),
    ]  # fmt: skip
    assert rows[2]["properties"] == [
        {
            "property": "amount_cents", "coverage": 1, "types": {"number": 1}, "distinct": 1, "min": 4200, "max": 4200,
            "mean": 4200, "top_values": [{"value": 4200, "count": 1}],
        },
        {
            "property": "currency", "coverage": 1, "types": {"text": 1}, "distinct": 1,
            "top_values": [{"value": "EUR", "count": 1}],
        },
    ]  # fmt: skip


def test_a_scan_tells_spikes_silences_and_new_names(house: Service) -> None:
    # Four a day from 20 April on; eleven on 16 May, none on 17 May, when ten of `retry` come up; today is not judged.
    keys = house.account()["projects"][0]  # type: ignore[attr-defined]
    days = [f"2026-04-{day:02}" for day in range(20, 31)] + [f"2026-05-{day:02}" for day in range(1, 20)]
    counts = dict.fromkeys(days, 4) | {"2026-05-16": 11, "2026-05-17": 0}
    house.track(
        keys["sk"],
        *(
            {
                "event": "signup",
                "anonymous_id": f"v{turn}",
                "timestamp": f"{day}T08:00:00Z",
                "event_id": f"{day}/{turn}",
            }
            for day, count in counts.items()
            for turn in range(count)
        ),
        *(
            {
                "event": "retry",
                "anonymous_id": "v0",
                "timestamp": "2026-05-17T09:00:00Z",
                "event_id": f"r{turn}",
            }
            for turn in range(10)
        ),
    )
    rows = house.rows(keys["rk"], "scan", from_="2026-05-15", to="now", minimum=4, sensitivity="high")
    told = [
        tuple(row[name] for name in ("kind", "metric", "value", "from", "expected", "actual", "deviation"))
        for row in rows
    ]
    the_16th, the_17th = "2026-05-16T00:00:00.000Z", "2026-05-17T00:00:00.000Z"
    assert told == [
        ("new", "events", "retry", the_17th, 0, 10, 3.16),
        ("spike", "events", None, the_16th, 4, 11, 2.11),
        ("spike", "events", "signup", the_16th, 4, 11, 2.11),
        ("spike", "visitors", None, the_16th, 4, 11, 2.11),
        ("spike", "visitors", "direct", the_16th, 4, 11, 2.11),
        ("silence", "events", "signup", the_17th, 4, 0, -2),
    ]
    assert {row["to"] for row in rows} == {the_17th, "2026-05-18T00:00:00.000Z"}
    assert house.rows(keys["rk"], "scan", from_="2026-05-15", to="now", minimum=12) == []


def test_diagnose_splits_a_change_into_what_each_value_did(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    # 10 and 11 May: ada comes by a facebook ad, bob from facebook; 12 and 13 May: only cyd, who typed the address.
    asked = {"from_": "2026-05-12", "to": "2026-05-14", "by": ["medium"]}
    rows = service.rows(project["rk"], "diagnose", **asked)
    assert [list(row.values()) for row in rows] == [
        [None, None, 0, 1, 2, -1, 1],
        ["medium", "direct", 0, 1, 0, 1, -1],
        ["medium", "paid", 0, 0, 1, -1, 1],
        ["medium", "social", 0, 0, 1, -1, 1],
    ]
    (whole, *_) = service.rows(project["rk"], "diagnose", **asked, metric="conversion_rate", goal="signup")
    assert (whole["current"], whole["previous"], whole["change"]) == (0, 1, -1)
    refused = service.call(project["rk"], "diagnose", **asked, metric="conversion_rate")
    assert "needs a goal" in refused["content"][0]["text"]
    refused = service.call(project["rk"], "diagnose", **asked, days_back=1)
    assert "may not overlap" in refused["content"][0]["text"]


def test_health_is_counted_stage_by_stage(service: Service, project: dict[str, str]) -> None:  # noqa: F811
    # 11 and 12 May: ada is back and buys, cyd is new; 9 and 10 May: ada and bob came and signed up.
    rows = service.rows(
        project["rk"], "health", from_="2026-05-11", to="2026-05-13", activation_event="signup"
    )
    assert [(row["metric"], row["currency"], row["value"], row["previous"]) for row in rows] == [
        ("visitors", None, 2, 2),
        ("new_visitors", None, 1, 2),
        ("activated", None, 0, 2),
        ("activation_rate", None, 0, 1),
        ("returning_visitors", None, 1, 0),
        ("retention_rate", None, 0.5, None),
        ("payers", None, 1, 0),
        ("payer_rate", None, 0.5, 0),
        ("gross", "EUR", 4200, 0),
        ("average_order", "EUR", 4200, None),
        ("referred_visitors", None, 0, 0),
        ("referred_share", None, 0, 0),
        ("referrer_rate", None, None, None),
    ]
    assert rows[1]["change"] == -0.5
    assert rows[-1]["definition"] == "not available: name a referral_event"


#: What each report needs beside a window.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "breakdown": {"by": "path"},
    "retention": {"born_event": "$pageview", "unit": "day", "periods": 1},
    "compare_segments": {"goal": "signup", "a": [], "b": []},
    "user_journey": {"anonymous_id": "ann"},
}


@pytest.mark.parametrize("tool", [tool.name for tool in REPORTS])
def test_on_the_account_every_report_answers_for_each_project_apart(house: Service, tool: str) -> None:
    account = house.account("business", "One", "Two")  # type: ignore[attr-defined]
    one, two = account["projects"]
    for keys, day in ((one, "20T11:58:00"), (two, "20T11:59:00")):
        house.track(
            keys["sk"],
            view("ann", day, "https://site.example/?utm_source=news&utm_medium=email"),
            done("purchase", "ann", day, properties={"amount_cents": 100, "currency": "EUR"}),
        )
    asked = ({} if tool == "realtime" else MAY) | ARGUMENTS.get(tool, {})
    alone = house.rows(two["rk"], tool, **asked)
    both = house.rows(account["account"]["ak"], tool, "/mcp/account", **asked)
    mine = [row for row in both if row.pop("project_id") == two["id"]]
    assert mine == alone
    assert len(both) == 2 * len(alone)
    chosen = house.rows(account["account"]["ak"], tool, "/mcp/account", **asked, project_slug="two")
    assert chosen == alone
