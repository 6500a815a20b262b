"""The demo data: every report equals an independent computation over the raw rows."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.window import format_instant
from mcp.tools import REPORTS
from tests import reference_more, reference_moved
from tests.house import InProcess
from tests.ledger import Ledger
from tests.test_demo_answers import DAY_MS, NOW, ledgers
from tests.test_reports_equal_the_reference import near

VIEWS = [{"field": "event_name", "op": "eq", "value": "$pageview"}]
MOBILE = [{"field": "device_type", "op": "eq", "value": "mobile"}]
DESKTOP = [{"field": "device_type", "op": "neq", "value": "mobile"}]
GOAL = {"demo-shop": "purchase", "demo-saas": "signup"}
MONEY = {"demo-shop": "purchase", "demo-saas": "subscription_started"}
TIMED = {"retention", "scan"}


def asked(site: str) -> list[tuple[str, dict[str, Any]]]:
    """What is asked of each site: every report, most of them more than once."""
    goal, paid = GOAL[site], MONEY[site]
    return [
        ("describe_schema", {}),
        ("overview", {"goal": goal, "interval": "day", "timezone": "Europe/Berlin"}),
        ("overview", {"filters": MOBILE}),
        ("health", {"activation_event": "signup", "purchase_event": paid, "referral_event": "invite_sent"}),
        ("timeseries", {"metric": "sessions", "by": "source", "splits": 3, "interval": "week"}),
        ("timeseries", {"metric": "visitors", "timezone": "America/New_York"}),
        ("breakdown", {"by": "path", "metric": "pageviews", "limit": 10}),
        ("breakdown", {"by": "entry_page", "metric": "bounce_rate", "limit": 10}),
        ("breakdown", {"by": "referrer_host", "metric": "conversion_rate", "goal": goal}),
        ("breakdown", {"by": "properties.currency", "metric": "events"}),
        ("retention", {"born_event": "$pageview", "unit": "week", "periods": 4}),
        ("retention", {"born_event": goal, "unit": "day", "mode": "on_or_after", "calendar": True}),
        ("lifecycle", {"unit": "week", "timezone": "Europe/Berlin"}),
        ("lifecycle", {"unit": "day", "view": "stickiness"}),
        ("revenue", {"event": paid, "interval": "week", "top_customers": 3}),
        ("channel_roi", {"event": paid, "model": "linear"}),
        ("channel_roi", {"event": paid, "by": "campaign", "model": "first_touch"}),
        ("attribution", {"event": goal, "by": "campaign", "lookback_days": 7}),
        ("compare_segments", {"goal": goal, "a": MOBILE, "b": DESKTOP}),
        ("compare_segments", {"goal": "$pageview", "a": VIEWS, "b": []}),
        ("scan", {"minimum": 5, "limit": 100}),
        ("scan", {"sensitivity": "high", "timezone": "Asia/Kolkata", "limit": 100}),
        ("diagnose", {"metric": "events"}),
        ("diagnose", {"metric": "visitors", "filters": VIEWS, "by": ["path", "country"], "days_back": 35}),
        ("diagnose", {"metric": "conversion_rate", "goal": goal, "limit": 20}),
        ("sessions", {"limit": 50, "filters": MOBILE}),
        ("paths", {"limit": 50}),
    ]


#: All days of May up to now, and a ragged week that a midnight in Berlin cuts.
WINDOWS = [(NOW - NOW % DAY_MS - 19 * DAY_MS, NOW), (NOW - 21 * DAY_MS - 7_654_321, NOW - 14 * DAY_MS)]
CASES = [(site, tool, options) for site in GOAL for tool, options in asked(site)]


@pytest.fixture(scope="module")
def demo() -> dict[str, Ledger]:
    house = InProcess(now=format_instant(NOW))
    projects = house.account("business", "Demo Shop", "Demo SaaS")["projects"]
    return ledgers(house, projects, NOW, scale=0.2)


def expected_rows(ledger: Ledger, tool: str, start: int, end: int, options: dict[str, Any]) -> Any:
    known: dict[str, Any] = {"now_ms": NOW} if tool in TIMED else {}
    if tool == "scan":
        known["project"] = ledger.project["slug"]
    of = {"sessions": "session_list"}.get(tool, tool)
    model = getattr(reference_moved, of, None) or getattr(reference_more, of)
    return model(ledger.rows, from_ms=start, to_ms=end, **options, **known)


@pytest.mark.parametrize(("site", "tool", "options"), CASES, ids=str)
def test_a_report_on_the_demo_data(
    demo: dict[str, Ledger], site: str, tool: str, options: dict[str, Any]
) -> None:
    ledger = demo[site]
    answered = 0
    for start, end in WINDOWS:
        window = {"from": format_instant(start), "to": format_instant(end)}
        found = ledger.service.rows(ledger.project["rk"], tool, **window, **options)
        if tool == "health":
            found = [tuple(row.values())[:-1] for row in found]
        expected = near(expected_rows(ledger, tool, start, end, options), 1e-9)
        assert found == (expected[: len(found)] if len(found) > 90 else expected)
        answered += len(found)
    assert answered


@pytest.mark.parametrize("site", list(GOAL))
def test_those_about_now_and_about_one_person(demo: dict[str, Ledger], site: str) -> None:
    ledger = demo[site]
    now = ledger.service.rows(ledger.project["rk"], "realtime", minutes=60, limit=10)
    assert now == reference_more.realtime(ledger.rows, now_ms=NOW, minutes=60, limit=10)
    assert now[0]["visitors"] > 3
    window = {"from": format_instant(NOW - 60 * DAY_MS), "to": format_instant(NOW)}
    for user in sorted({row.user_id for row in ledger.rows if row.user_id})[:5]:
        journey = ledger.service.rows(ledger.project["rk"], "user_journey", **window, user_id=user)
        expected = reference_more.user_journey(
            ledger.rows, from_ms=NOW - 60 * DAY_MS, to_ms=NOW, user_id=user
        )
        assert journey == near(expected, 1e-9)


def test_every_report_is_among_them() -> None:
    assert {tool.name for tool in REPORTS} - {tool for _, tool, _ in CASES} == {"realtime", "user_journey"}


def test_a_scan_names_the_incidents_of_the_demo(demo: dict[str, Ledger]) -> None:
    """A campaign one day in April at the shop; a release that forgot to track at the SaaS."""
    shop, saas = (
        demo[site].service.rows(demo[site].project["rk"], "scan", from_="30d", to="now", minimum=5)
        for site in ("demo-shop", "demo-saas")
    )
    assert {(row["kind"], row["value"]) for row in shop if row["from"].startswith("2026-04-26")} >= {
        ("spike", "tiktok"),
        ("spike", None),
    }
    quiet = [row for row in saas if row["kind"] == "silence"]
    assert [(row["value"], row["from"][:10]) for row in quiet] == [("feature_used", "2026-05-15")]
