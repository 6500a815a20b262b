"""Relative instants, seen from one Wednesday noon."""

from __future__ import annotations

import pytest

from analytics.relative import RELATIVE_NAMES, is_relative, relative_instant
from analytics.window import InvalidInstantError, format_instant, parse_instant

NOW = parse_instant("2026-05-20T12:34:56.789Z")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", "2026-05-20T12:34:56.789Z"),
        ("24h", "2026-05-19T12:34:56.789Z"),
        ("7d", "2026-05-13T12:34:56.789Z"),
        ("2w", "2026-05-06T12:34:56.789Z"),
        ("today", "2026-05-20T00:00:00.000Z"),
        ("yesterday", "2026-05-19T00:00:00.000Z"),
        ("this_week", "2026-05-18T00:00:00.000Z"),
        ("last_week", "2026-05-11T00:00:00.000Z"),
        ("this_month", "2026-05-01T00:00:00.000Z"),
        ("last_month", "2026-04-01T00:00:00.000Z"),
        ("this_year", "2026-01-01T00:00:00.000Z"),
        ("last_year", "2025-01-01T00:00:00.000Z"),
    ],
)
def test_a_relative_instant_is_counted_from_now_in_utc(text: str, instant: str) -> None:
    assert format_instant(relative_instant(text, NOW)) == instant


@pytest.mark.parametrize(
    ("now", "text", "instant"),
    [
        ("2026-05-18T00:00:00Z", "this_week", "2026-05-18"),
        ("2026-05-17T23:59:59.999Z", "this_week", "2026-05-11"),
        ("2026-03-31T10:00:00Z", "last_month", "2026-02-01"),
        ("2026-01-15T10:00:00Z", "last_month", "2025-12-01"),
        ("2024-03-01T00:00:00Z", "yesterday", "2024-02-29"),
    ],
)
def test_weeks_start_on_monday_and_months_differ(now: str, text: str, instant: str) -> None:
    assert relative_instant(text, parse_instant(now)) == parse_instant(instant)


@pytest.mark.parametrize("text", ["", "0d", "-1d", "7", "d", "7 d", "7D", "100000d", "tomorrow", "Now", "٧d"])
def test_everything_else_is_not_relative(text: str) -> None:
    assert not is_relative(text)


def test_every_name_that_errors_suggest_is_understood() -> None:
    assert all(is_relative(name) for name in RELATIVE_NAMES)


def test_an_instant_before_all_counting_is_refused() -> None:
    with pytest.raises(InvalidInstantError):
        relative_instant("30000d", NOW)
