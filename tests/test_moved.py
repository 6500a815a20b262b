"""`scan`, `diagnose` and `health` on generated events equal the brute force over the raw rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.window import format_instant, parse_instant
from tests import reference_moved
from tests.emptied import house_with
from tests.ledger import Ledger
from tests.scale import scale
from tests.test_reports_equal_the_reference import (
    DIMENSIONS,
    FILTERS,
    HISTORIES,
    TRADE,
    ZONES,
    ledger_of,
    near,
    questions,
)

DAY_MS = 86_400_000
#: Monday 2026-02-23, so that Berlin's and New York's clocks change within the weeks that follow.
START = parse_instant("2026-02-23T00:00:00Z")
DAYS = 45
EXAMPLES = settings(
    max_examples=scale(40, 1_000), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

SOURCES = {
    "news": "https://site.example/?utm_source=news&utm_medium=email",
    "direct": "https://site.example/",
}
WEEK = st.lists(st.integers(0, 5), min_size=7, max_size=7)
#: Events of a day: how many of each name and source, on a beat of the weekday, and what breaks it.
BEATS = st.lists(
    st.tuples(st.sampled_from(["$pageview", "signup"]), st.sampled_from(list(SOURCES)), WEEK),
    min_size=1, max_size=2,
)  # fmt: skip
BREAKS = st.lists(
    st.tuples(
        st.sampled_from(["$pageview", "signup", "purchase"]), st.sampled_from(list(SOURCES)),
        st.integers(0, DAYS - 1), st.sampled_from([1, 1, 2, 3]), st.sampled_from([-9, -9, 1, 5, 9, 14]),
    ),
    max_size=5,
)  # fmt: skip
#: When on its day an event comes: at its edges, also in other time zones, or at noon.
TIMES = st.sampled_from([0, 1, DAY_MS - 1, 12 * 3_600_000, 4 * 3_600_000, 23 * 3_600_000])


@st.composite
def weeks(draw: st.DrawFn) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str, int]] = Counter()
    begins = draw(st.sampled_from([0, 0, 10, 20, 30]))
    for name, source, beat in draw(BEATS):
        for day in range(begins, DAYS):
            counts[name, source, day] += beat[day % 7]
    for name, source, day, length, more in draw(BREAKS):
        for one in range(day, min(day + length, DAYS)):
            counts[name, source, one] = max(0, counts[name, source, one] + more)
    at, visitors = draw(TIMES), draw(st.sampled_from([1, 3, 40]))
    return [
        {
            "event": name, "anonymous_id": f"v{turn % visitors}", "event_id": f"{name}/{source}/{day}/{turn}",
            "timestamp": format_instant(START + day * DAY_MS + at), "url": SOURCES[source],
        }
        for (name, source, day), count in counts.items()
        for turn in range(count)
    ]  # fmt: skip


def weeks_ledger(events: list[dict[str, Any]], now: str) -> Ledger:
    """The events in a fresh house, beside a neighbour's that no answer may show."""
    noise = [
        {"event": "purchase", "anonymous_id": "v0", "timestamp": format_instant(START + day * DAY_MS)}
        for day in range(DAYS)
    ]
    house, account = house_with(noise, now)
    ledger = Ledger(house, account["projects"][0])
    if events:
        ledger.send(events)
    return ledger


ENDS = st.sampled_from([0, 20, 28, 30, 35, 40, 44, 45]).flatmap(
    lambda day: st.sampled_from([0, 1, -1, 5 * 3_600_000]).map(lambda more: START + day * DAY_MS + more)
)
SCANS = st.lists(
    st.tuples(
        st.tuples(ENDS, ENDS).filter(lambda ends: ends[0] < ends[1]),
        st.fixed_dictionaries(
            {
                "sensitivity": st.sampled_from(["low", "medium", "high", "high"]),
                "minimum": st.sampled_from([1, 2, 5]),
            },
            optional={"timezone": st.sampled_from(ZONES), "limit": st.sampled_from([1, 2, 200])},
        ),
    ),
    min_size=2,
    max_size=4,
)
NOW = st.sampled_from(["2026-04-09T00:00:00.000Z", "2026-04-07T23:59:59.999Z", "2026-04-05T12:00:00.000Z"])


@EXAMPLES
@given(weeks(), SCANS, NOW)
def test_scan(events: list[dict[str, Any]], asked: list[Any], now: str) -> None:
    ledger = weeks_ledger(events, "2026-05-01T00:00:00Z")
    ledger.service.now = now  # type: ignore[attr-defined]
    for (start, end), options in asked:
        expected = reference_moved.scan(
            ledger.rows, from_ms=start, to_ms=end, now_ms=parse_instant(now), project=ledger.project["slug"], **options
        )  # fmt: skip
        window = {"from": format_instant(start), "to": format_instant(end)}
        found = ledger.service.rows(ledger.project["rk"], "scan", **window, **options)
        assert found == near(expected, 1e-9), (window, options)


BY = st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True)
DIAGNOSES = questions(
    {},
    {
        "metric": st.sampled_from(["events", "visitors"]),
        "by": BY,
        "filters": FILTERS | st.just([]),
        "limit": st.sampled_from([1, 2]),
        "days_back": st.sampled_from([17, 18, 30]),
    },
) | questions(
    {"metric": st.just("conversion_rate"), "goal": st.sampled_from(["signup", "purchase", "$pageview"])},
    {"by": BY, "filters": FILTERS, "limit": st.sampled_from([1, 2])},
)


@EXAMPLES
@given(HISTORIES, DIAGNOSES)
def test_diagnose(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for (start, end), options in asked:
        expected = reference_moved.diagnose(ledger.rows, from_ms=start, to_ms=end, **options)
        window = {"from": format_instant(start), "to": format_instant(end)}
        found = ledger.service.rows(ledger.project["rk"], "diagnose", **window, **options)
        assert found == near(expected, 1e-12), (window, options)
        adds_up(found)


def adds_up(rows: list[dict[str, Any]]) -> None:
    """What the values of each dimension contributed is the change of the whole."""
    whole, *parts = rows
    for by in {row["by"] for row in parts}:
        mine = [row["change"] for row in parts if row["by"] == by]
        if whole["change"] is not None:
            assert sum(mine) == pytest.approx(whole["change"], abs=1e-12)


@EXAMPLES
@given(
    TRADE,
    questions(
        {},
        {
            "activation_event": st.sampled_from(["$pageview", "subscription_started"]),
            "purchase_event": st.sampled_from(["purchase", "$pageview"]),
            "referral_event": st.sampled_from(["purchase", "$ad_spend"]),
            "amount": st.sampled_from(["amount_cents", "worth"]),
        },
    ),
)
def test_health(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for (start, end), options in asked:
        expected = reference_moved.health(ledger.rows, from_ms=start, to_ms=end, **options)
        window = {"from": format_instant(start), "to": format_instant(end)}
        found = ledger.service.rows(ledger.project["rk"], "health", **window, **options)
        shown = [tuple(value for name, value in row.items() if name != "definition") for row in found]
        assert shown == [tuple(near(value, 1e-9) for value in row) for row in expected], (window, options)
        assert all(row["definition"] for row in found)
