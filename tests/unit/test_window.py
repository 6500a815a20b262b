"""Instants and windows: what text means, and what it may not mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.window import InvalidInstantError, Window, day_of, format_instant, parse_instant

MAY_1 = 1_777_593_600_000


@pytest.mark.parametrize(
    ("text", "offset_ms"),
    [
        ("2026-05-01", 0),
        ("2026-05-01T00:00:00Z", 0),
        ("2026-05-01T00:00:00", 0),
        ("2026-05-01 00:00:00", 0),
        ("2026-05-01t00:00:00z", 0),
        ("2026-05-01T00:00Z", 0),
        ("2026-05-01T02:00:00+02:00", 0),
        ("2026-04-30T19:30:00-0430", 0),
        ("2026-05-01T00:00:00.001Z", 1),
        ("2026-05-01T00:00:00.1Z", 100),
        ("2026-05-01T00:00:00.123999999Z", 123),
        ("2026-05-01T23:59:59.999Z", 86_399_999),
    ],
)
def test_an_instant_in_every_accepted_form(text: str, offset_ms: int) -> None:
    assert parse_instant(text) == MAY_1 + offset_ms


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "20260501", "2026-W18-5", "2026-05-1", "2026-5-01", "26-05-01", "2026-05-01T", "2026-05-01Z",
        "2026-05-01T24:00:00Z", "2026-05-01T00:60:00Z", "2026-05-01T00:00:60Z", "2026-02-29", "2026-13-01", "0000-01-01",
        "2026-05-01T00:00:00+24:00", "2026-05-01T00:00:00+00:60", "2026-05-01T00:00:00Z\n", " 2026-05-01",
        "２０２６-05-01", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00",
        "2026-05-01T00:00:00.0000000001Z", "1777593600000", "2026-05-01T00:00:00" + "0" * 100,
    ],
)  # fmt: skip
def test_what_is_not_an_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidInstantError):
        parse_instant(text)


def test_the_ends_of_time() -> None:
    assert parse_instant("1970-01-01") == 0
    assert format_instant(parse_instant("9999-12-31T23:59:59.999Z")) == "9999-12-31T23:59:59.999Z"


@given(st.integers(0, 253_402_300_799_999))
def test_every_instant_survives_the_way_to_text_and_back(instant_ms: int) -> None:
    assert parse_instant(format_instant(instant_ms)) == instant_ms
    assert datetime.fromisoformat(format_instant(instant_ms)) == datetime.fromtimestamp(
        instant_ms // 1000, UTC
    ).replace(microsecond=instant_ms % 1000 * 1000)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [(0, 1, (0, 0)), (0, 86_400_000, (0, 0)), (0, 86_400_001, (0, 1)), (86_399_999, 86_400_000, (0, 0))],
)
def test_a_window_ends_before_its_end(start: int, end: int, days: tuple[int, int]) -> None:
    window = Window(start, end)
    assert (window.first_day, window.last_day) == days
    assert day_of(end - 1) == days[1]


def test_a_window_is_echoed_in_utc() -> None:
    assert Window(MAY_1, MAY_1 + 1).described() == {
        "from": "2026-05-01T00:00:00.000Z",
        "to": "2026-05-01T00:00:00.001Z",
        "timezone": "UTC",
    }
