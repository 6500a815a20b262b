"""The local calendar: days of 23 and 25 hours, odd offsets, skipped midnights; and the table against a tz database."""

from __future__ import annotations

import itertools
import random
import zoneinfo
from datetime import datetime, timedelta

import pytest

from analytics.local_time import MS_PER_MINUTE, Interval, buckets, covered, known_zone, spans
from analytics.window import MS_PER_DAY, MS_PER_HOUR, Window, format_instant, parse_instant

#: Zones whose rules have not changed for years, so that any tz database of the test machine has them right.
STABLE = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Chatham",
]


def window(start: str, end: str) -> Window:
    return Window(parse_instant(start), parse_instant(end))


def starts(timezone: str, span: Window, interval: Interval) -> list[str]:
    return [format_instant(bucket.start_ms)[:16] for bucket in buckets(timezone, span, interval)]


def test_days_of_berlin_have_23_and_25_hours_when_the_clock_changes() -> None:
    spring = starts("Europe/Berlin", window("2026-03-28T23:00:00Z", "2026-03-30T22:00:00Z"), "day")
    assert spring == ["2026-03-28T23:00", "2026-03-29T22:00"]
    autumn = window("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")
    assert starts("Europe/Berlin", autumn, "day") == ["2026-10-24T22:00"]
    assert len(starts("Europe/Berlin", autumn, "hour")) == 25


def test_weeks_start_on_the_local_monday_and_months_on_the_local_first() -> None:
    may = window("2026-05-01T00:00:00Z", "2026-05-12T00:00:00Z")
    assert starts("Asia/Kathmandu", may, "week") == [
        "2026-04-26T18:15",
        "2026-05-03T18:15",
        "2026-05-10T18:15",
    ]
    assert starts("America/New_York", may, "month") == ["2026-04-01T04:00", "2026-05-01T04:00"]


def test_a_day_whose_midnight_is_skipped_starts_when_the_clock_jumps() -> None:
    # Cairo, 24 April 2026: 23:59:59 is followed by 01:00:00.
    found = starts("Africa/Cairo", window("2026-04-23T00:00:00Z", "2026-04-24T12:00:00Z"), "day")
    assert found == ["2026-04-22T22:00", "2026-04-23T22:00"]


def test_fixed_offsets_are_zones() -> None:
    assert starts("-05:30", window("2026-05-01T00:00:00Z", "2026-05-01T06:00:00Z"), "day") == [
        "2026-04-30T05:30", "2026-05-01T05:30",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "near"), [("europe/berlin", "Europe/Berlin"), ("Mars", ""), ("+2", "")])
def test_an_unknown_zone_is_refused_with_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=near or "is not an IANA time zone"):
        known_zone(name)


def test_windows_beyond_the_table_are_known_not_to_be_covered() -> None:
    assert covered("Europe/Berlin", window("2026-01-01", "2026-02-01"))
    assert not covered("Europe/Berlin", window("2019-01-01", "2019-02-01"))
    assert covered("UTC", window("1999-01-01", "1999-02-01"))


@pytest.mark.parametrize("name", STABLE)
def test_offsets_equal_a_tz_database(name: str) -> None:
    try:
        zone = zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no tz database")
    chance = random.Random(name)
    for _ in range(2000):
        instant = parse_instant("2020-01-01") + chance.randrange(17 * 365 * 24 * 4) * 15 * MS_PER_MINUTE
        (span,) = spans(name, Window(instant, instant + 1))
        expected = datetime.fromtimestamp(instant / 1000, zone).utcoffset() or timedelta()
        assert span.offset_ms == expected.total_seconds() * 1000


@pytest.mark.parametrize("name", [*STABLE, "Africa/Cairo", "Africa/Casablanca", "America/Santiago"])
@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_every_instant_lies_in_exactly_one_bucket(name: str, interval: Interval) -> None:
    chance = random.Random(name)
    start = parse_instant("2026-01-01") + chance.randrange(MS_PER_DAY)
    year = Window(start, start + 300 * MS_PER_DAY)
    found = buckets(name, year, interval)
    assert [bucket.start_ms for bucket in found] == sorted({bucket.start_ms for bucket in found})
    assert found[0].start_ms <= start
    longest = {"hour": 1, "day": 25, "week": 169, "month": 31 * 24 + 1}[interval] * MS_PER_HOUR
    gaps = {after.start_ms - before.start_ms for before, after in itertools.pairwise(found)}
    assert max(gaps) <= longest
