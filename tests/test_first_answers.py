"""Events sent in, every tool's answer counted by hand. Each conversation runs in process and on the Worker itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.house import Service

MAY = {"from_": "2026-05-01", "to": "2026-06-01"}


def view(
    visitor: str, at: str, url: str = "https://site.example/", referrer: str | None = None
) -> dict[str, Any]:
    event = {"event": "$pageview", "anonymous_id": visitor, "timestamp": f"2026-05-{at}Z", "url": url}
    return event | ({"referrer": referrer} if referrer else {})


def done(name: str, visitor: str, at: str, **more: Any) -> dict[str, Any]:
    return {"event": name, "anonymous_id": visitor, "timestamp": f"2026-05-{at}Z", **more}


PAID = "https://site.example/?utm_source=facebook&utm_medium=cpc&fbclid=abc"


@pytest.fixture
def project(service: Service, account: dict[str, Any]) -> dict[str, str]:
    """Three visitors: one paid from Facebook who buys, one social from Facebook who signs up, one direct who leaves."""
    keys: dict[str, str] = account["projects"][0]
    service.track(
        keys["sk"],
        view("ada", "10T09:00:00", PAID, "https://l.facebook.com/"),
        done("signup", "ada", "10T09:05:00", user_id="u-ada"),
        done("purchase", "ada", "11T10:00:00", properties={"amount_cents": 4200, "currency": "EUR"}),
        view("bob", "10T12:00:00", "https://site.example/news", "https://www.facebook.com/"),
        done("signup", "bob", "10T12:20:00", user_id="u-bob"),
        view("cyd", "12T08:00:00"),
        view("cyd", "12T08:01:00", "https://site.example/prices", "https://site.example/"),
    )
    return keys


def test_top_sources_tells_paid_facebook_from_social_facebook(
    service: Service, project: dict[str, str]
) -> None:
    assert service.rows(project["rk"], "top_sources", **MAY) == [
        {"source": "direct", "medium": "direct", "events": 4, "uniques": 3, "paid_share": 0},
        {"source": "facebook", "medium": "paid", "events": 1, "uniques": 1, "paid_share": 1},
        {"source": "facebook", "medium": "social", "events": 1, "uniques": 1, "paid_share": 0},
        {"source": "internal", "medium": "direct", "events": 1, "uniques": 1, "paid_share": 0},
    ]


def test_top_sources_by_source_gives_the_paid_share(service: Service, project: dict[str, str]) -> None:
    assert service.rows(project["rk"], "top_sources", **MAY, breakdown="source", limit=2) == [
        {"source": "direct", "events": 4, "uniques": 3, "paid_share": 0},
        {"source": "facebook", "events": 2, "uniques": 2, "paid_share": 0.5},
    ]


def test_get_stats_counts_events_and_exact_visitors(service: Service, project: dict[str, str]) -> None:
    assert service.rows(project["rk"], "get_stats", **MAY) == [{"value": 7}]
    assert service.rows(project["rk"], "get_stats", **MAY, metric="uniques") == [{"value": 3}]
    assert service.rows(project["rk"], "get_stats", **MAY, event="signup", metric="uniques") == [{"value": 2}]
    assert service.rows(project["rk"], "get_stats", **MAY, event="nothing") == [{"value": 0}]


def test_get_stats_splits_by_column_and_by_day(service: Service, project: dict[str, str]) -> None:
    assert service.rows(project["rk"], "get_stats", **MAY, group_by="event_name") == [
        {"event_name": "$pageview", "value": 4},
        {"event_name": "signup", "value": 2},
        {"event_name": "purchase", "value": 1},
    ]
    assert service.rows(
        project["rk"], "get_stats", **MAY, metric="uniques", group_by=["event_name"], interval="day", limit=3
    ) == [
        {"bucket": "2026-05-10T00:00:00.000Z", "event_name": "$pageview", "value": 2},
        {"bucket": "2026-05-10T00:00:00.000Z", "event_name": "signup", "value": 2},
        {"bucket": "2026-05-11T00:00:00.000Z", "event_name": "purchase", "value": 1},
    ]


@pytest.mark.parametrize(
    ("interval", "buckets"),
    [
        ("hour", ["2026-05-10T09:00", "2026-05-10T12:00", "2026-05-11T10:00", "2026-05-12T08:00"]),
        ("week", ["2026-05-04T00:00", "2026-05-11T00:00"]),
        ("month", ["2026-05-01T00:00"]),
    ],
)
def test_a_bucket_is_the_utc_start_of_its_interval_and_weeks_start_on_monday(
    service: Service, project: dict[str, str], interval: str, buckets: list[str]
) -> None:
    rows = service.rows(project["rk"], "get_stats", **MAY, interval=interval)
    assert [row["bucket"] for row in rows] == [f"{bucket}:00.000Z" for bucket in buckets]


def test_the_window_includes_from_and_excludes_to(service: Service, project: dict[str, str]) -> None:
    def count(start: str, end: str) -> int:
        value: int = service.rows(project["rk"], "get_stats", from_=start, to=end)[0]["value"]
        return value

    assert count("2026-05-10T09:00:00Z", "2026-05-10T09:05:00Z") == 1
    assert count("2026-05-10T09:00:00.001Z", "2026-05-10T09:05:00.001Z") == 1
    assert count("2026-05-10T11:00:00+02:00", "2026-05-10T11:05:00+02:00") == 1


def test_query_events_lists_the_newest_first_in_the_columns_of_the_contract(
    service: Service, project: dict[str, str]
) -> None:
    (purchase,) = service.rows(project["rk"], "query_events", **MAY, event="purchase")
    assert list(purchase.items()) == [
        ("timestamp", "2026-05-11T10:00:00.000Z"),
        ("event_name", "purchase"),
        ("anonymous_id", "ada"),
        ("user_id", None),
        ("source", "direct"),
        ("medium", "direct"),
        ("campaign", None),
        ("source_confidence", "high"),
        ("referrer", None),
        ("url", None),
        ("path", None),
        ("country", purchase["country"]),
        ("device_type", "desktop"),
        ("properties", '{"amount_cents":4200,"currency":"EUR"}'),
    ]
    newest = service.rows(project["rk"], "query_events", **MAY, limit=3)
    assert [(row["event_name"], row["path"]) for row in newest] == [
        ("$pageview", "/prices"),
        ("$pageview", "/"),
        ("purchase", None),
    ]


@pytest.mark.parametrize(
    ("filters", "visitors"),
    [
        ({"source": "facebook"}, ["bob", "ada"]),
        ({"source": "facebook", "medium": "paid"}, ["ada"]),
        ({"user_id": "u-bob"}, ["bob"]),
        ({"anonymous_id": "cyd", "event": "$pageview"}, ["cyd", "cyd"]),
        ({"country": "ZZ"}, []),
        ({"event": "%"}, []),
    ],
)
def test_query_events_filters_match_exactly(
    service: Service, project: dict[str, str], filters: dict[str, str], visitors: list[str]
) -> None:
    rows = service.rows(project["rk"], "query_events", **MAY, **filters)
    assert [row["anonymous_id"] for row in rows] == visitors


def test_a_funnel_counts_visitors_from_step_to_step(service: Service, project: dict[str, str]) -> None:
    result = service.call(project["rk"], "funnel", **MAY, steps=["$pageview", "signup", "purchase"])
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]["rows"]
    assert result["structuredContent"]["rows"] == [
        {
            "step": 1, "event": "$pageview", "visitors": 3, "conversion_from_previous": 1, "conversion_from_first": 1,
            "dropped": 0, "median_seconds": None, "mean_seconds": None,
        },
        {
            "step": 2, "event": "signup", "visitors": 2, "conversion_from_previous": 2 / 3,
            "conversion_from_first": 2 / 3, "dropped": 1, "median_seconds": 300, "mean_seconds": 750,
        },
        {
            "step": 3, "event": "purchase", "visitors": 1, "conversion_from_previous": 0.5,
            "conversion_from_first": 1 / 3, "dropped": 1, "median_seconds": 90000, "mean_seconds": 90000,
        },
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["2026-06-01", "2026-06-01T15:20:00Z", "2026-06-02", "2026-06-02T15:20:00Z"])
def test_a_funnel_may_span_as_many_days_as_roll_ups_tell_visitors_apart_and_more(
    service: Service, project: dict[str, str], to: str
) -> None:
    window = {"from_": "2026-03-01", "to": to}  # 92 whole days, or 93, and a part of one
    rows = service.rows(project["rk"], "funnel", **window, steps=["$pageview", "signup"])
    assert [row["visitors"] for row in rows] == [3, 2]


def test_a_funnel_can_be_filtered_and_split(service: Service, project: dict[str, str]) -> None:
    rows = service.rows(project["rk"], "funnel", **MAY, steps=["$pageview", "signup"], breakdown="medium")
    assert [(row["medium"], row["step"], row["visitors"]) for row in rows] == [
        ("direct", 1, 1), ("direct", 2, 0), ("paid", 1, 1), ("paid", 2, 1), ("social", 1, 1), ("social", 2, 1),
    ]  # fmt: skip
    euros = {
        "event": "purchase",
        "filters": [{"field": "properties.amount_cents", "op": "gte", "value": 4200}],
    }
    dearer = {
        "event": "purchase",
        "filters": [{"field": "properties.amount_cents", "op": "gt", "value": 4200}],
    }
    assert service.rows(project["rk"], "funnel", **MAY, steps=["signup", euros])[1]["visitors"] == 1
    assert service.rows(project["rk"], "funnel", **MAY, steps=["signup", dearer])[1]["visitors"] == 0


def test_track_event_stores_one_event_and_resources_show_it(
    service: Service, account: dict[str, Any]
) -> None:
    sk = account["projects"][0]["sk"]
    outcome = service.rows(sk, "track_event", event="ping", anonymous_id="me", event_id="once")
    assert outcome == {"ok": True, "event_id": "once"}
    assert service.rows(sk, "track_event", event="ping", anonymous_id="me", event_id="once") == {
        "ok": True, "event_id": "once", "duplicate": True,
    }  # fmt: skip
    assert [row["event_name"] for row in service.read(sk, "events://recent")] == ["ping"]
    assert service.read(sk, "schema://events") == [{"event_name": "ping", "count": 1}]
