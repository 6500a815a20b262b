"""The demo data: every tool equals an independent computation over the raw rows."""

from __future__ import annotations

import time
from typing import Any

import pytest

from analytics.window import format_instant, parse_instant
from dev.demo import generate
from tests.house import InProcess, Service
from tests.ledger import Ledger
from tests.runtime import Runtime

DAY_MS = 86_400_000
NOW = parse_instant("2026-05-20T12:34:56.789Z")

STATS: list[dict[str, Any]] = [
    {},
    {"metric": "uniques"},
    {"event": "$pageview", "metric": "uniques"},
    {"group_by": ["event_name"]},
    {"group_by": ["source", "medium"], "metric": "uniques", "limit": 1000},
    {"group_by": ["campaign", "country"], "limit": 7},
    {"group_by": ["device_type", "browser", "os"], "metric": "uniques"},
    {"group_by": ["path"], "event": "$pageview"},
    {"interval": "hour", "limit": 1000},
    {"interval": "day", "metric": "uniques", "limit": 1000},
    {"interval": "week", "group_by": ["source"], "limit": 1000},
    {"interval": "month", "group_by": ["medium"], "metric": "uniques", "limit": 1000},
    {"interval": "day", "event": "purchase", "group_by": ["country", "source"], "limit": 1000},
    {"event": "no such event"},
]
SOURCES: list[dict[str, Any]] = [
    {},
    {"breakdown": "source"},
    {"limit": 3},
    {"limit": 200, "breakdown": "source"},
]
QUERIES: list[dict[str, Any]] = [
    {},
    {"limit": 1000},
    {"event": "signup"},
    {"source": "google", "limit": 20},
    {"medium": "paid", "country": "DE"},
    {"event": "$pageview", "source": "facebook", "medium": "social"},
]
BOUGHT = {"event": "purchase", "filters": [{"field": "properties.currency", "op": "eq", "value": "EUR"}]}
FUNNELS: dict[str, list[dict[str, Any]]] = {
    "demo-shop": [
        {"steps": ["$pageview", "add_to_cart", "purchase"]},
        {"steps": ["$pageview", "add_to_cart", "purchase"], "entry": "first", "conversion_window_days": 1},
        {"steps": ["$pageview", "add_to_cart", BOUGHT], "breakdown": "source"},
        {"steps": ["add_to_cart", "$pageview", "purchase"], "order": "any", "breakdown": "device_type"},
        {"steps": ["$pageview", "$pageview", "add_to_cart"], "breakdown": "campaign"},
    ],
    "demo-saas": [
        {"steps": ["$pageview", "signup"], "breakdown": "medium"},
        {"steps": ["$pageview", "$pageview", "signup"], "conversion_window_days": 2},
        {"steps": ["signup", "$pageview"], "order": "any"},
    ],
}


def windows(now_ms: int) -> list[tuple[int, int]]:
    """All, a month up to now, one ragged day and a half, and an hour in which little happens."""
    midnight = now_ms // DAY_MS * DAY_MS
    ragged = midnight - 9 * DAY_MS + 12_345_678
    return [
        (now_ms - 61 * DAY_MS, now_ms + 1),
        (midnight - 30 * DAY_MS, now_ms),
        (ragged, ragged + 3 * DAY_MS // 2),
        (midnight - 20 * DAY_MS + 4 * 3_600_000, midnight - 20 * DAY_MS + 5 * 3_600_000),
    ]


def ledgers(service: Service, projects: list[dict[str, str]], now_ms: int, scale: float) -> dict[str, Ledger]:
    by_slug = {project["slug"]: Ledger(service, project) for project in projects}
    for line in generate(now_ms, scale=scale):
        by_slug[line["project_slug"]].send(
            line["events"], country=line["country"], user_agent=line["user_agent"]
        )
    return by_slug


@pytest.fixture(scope="module")
def demo() -> dict[str, Ledger]:
    house = InProcess(now=format_instant(NOW))
    projects = house.account("business", "Demo Shop", "Demo SaaS")["projects"]
    return ledgers(house, projects, NOW, scale=0.2)


SITES = pytest.mark.parametrize("site", list(FUNNELS))


@SITES
def test_the_sites_are_not_empty(demo: dict[str, Ledger], site: str) -> None:
    assert len(demo[site].rows) > 1000
    assert len({row.event_name for row in demo[site].rows}) > 3


@SITES
@pytest.mark.parametrize("options", STATS, ids=str)
def test_get_stats(demo: dict[str, Ledger], site: str, options: dict[str, Any]) -> None:
    for start, end in windows(NOW):
        demo[site].check_stats(start, end, **options)


@SITES
@pytest.mark.parametrize("options", SOURCES, ids=str)
def test_top_sources(demo: dict[str, Ledger], site: str, options: dict[str, Any]) -> None:
    for start, end in windows(NOW):
        demo[site].check_sources(start, end, **options)


@SITES
@pytest.mark.parametrize("options", QUERIES, ids=str)
def test_query_events(demo: dict[str, Ledger], site: str, options: dict[str, Any]) -> None:
    for start, end in windows(NOW):
        demo[site].check_query(start, end, **options)


@pytest.mark.parametrize(
    ("site", "options"), [(site, one) for site in FUNNELS for one in FUNNELS[site]], ids=str
)
def test_funnel(demo: dict[str, Ledger], site: str, options: dict[str, Any]) -> None:
    for start, end in windows(NOW)[:3]:
        demo[site].check_funnel(start, end, **options)


@SITES
def test_resources(demo: dict[str, Ledger], site: str) -> None:
    demo[site].check_event_names(NOW - 30 * DAY_MS, NOW + 1)
    demo[site].check_recent()


@pytest.mark.worker
def test_every_tool_on_the_worker_itself(worker: Runtime) -> None:
    now_ms = int(time.time() * 1000)
    projects = worker.account("business", "Demo Shop", "Demo SaaS")["projects"]
    for site, ledger in ledgers(worker, projects, now_ms, scale=0.01).items():
        for start, end in windows(now_ms)[1:3]:
            for options in STATS[3:12:2]:
                ledger.check_stats(start, end, **options)
            ledger.check_sources(start, end)
            ledger.check_query(start, end, limit=50)
            for options in FUNNELS[site][1:4]:
                ledger.check_funnel(start, end, **options)
        ledger.check_recent()
