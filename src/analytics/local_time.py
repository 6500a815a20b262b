"""The local calendar of a time zone: which hour, day, week or month an instant lies in. It never reads the clock."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from analytics.window import MS_PER_DAY, MS_PER_HOUR, Window, format_instant
from analytics.zone_table import NAMES, SHAPES

Interval = Literal["hour", "day", "week", "month"]

MS_PER_MINUTE: Final = 60_000
#: Longer than any interval: how far before a window its first bucket may start.
_REACH_MS: Final = 32 * MS_PER_DAY
#: What the table covers.
_FIRST_MS: Final = 1_577_836_800_000  # 2020-01-01
_LAST_MS: Final = 2_145_916_800_000  # 2038-01-01
_EPOCH: Final = date(1970, 1, 1)
_FIXED: Final = re.compile(r"([+-])(\d{2}):?([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with one offset. Units: milliseconds UTC, half-open; `offset_ms` is local minus UTC."""

    start_ms: int
    end_ms: int
    offset_ms: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """One interval of the local calendar.

    Shape: `key` is what storage groups by: of an hour its start, of the rest the number of its first local day.
    """

    key: int
    start_ms: int

    @property
    def label(self) -> str:
        return format_instant(self.start_ms)


def spans(timezone: str, window: Window) -> list[Span]:
    """The window cut where the zone's offset changes."""
    instants, offsets = _changes(timezone)
    place = bisect_right(instants, window.start_ms) - 1
    found = []
    start = window.start_ms
    while start < window.end_ms:
        end = instants[place + 1] if place + 1 < len(instants) else window.end_ms
        found.append(Span(start, min(end, window.end_ms), offsets[max(place, 0)]))
        start, place = end, place + 1
    return found


def buckets(timezone: str, window: Window, interval: Interval) -> list[Bucket]:
    """Every interval that the window touches, in order, those without events included."""
    if interval == "hour":
        starts = [key for span in spans(timezone, window) for key in _hours(span)]
        return [Bucket(start, start) for start in sorted(set(starts))]
    longer = spans(timezone, Window(window.start_ms - _REACH_MS, window.end_ms))
    keys = {
        first_day(day, interval)
        for span in spans(timezone, window)
        for day in range(
            _local_day(span.start_ms, span.offset_ms), _local_day(span.end_ms - 1, span.offset_ms) + 1
        )
    }
    return [Bucket(key, _midnight(key, longer)) for key in sorted(keys)]


def first_day(day: int, interval: Interval) -> int:
    """The number of the first day of the interval that a day lies in. Day 0 was a Thursday; weeks start on Monday."""
    if interval == "week":
        return (day + 3) // 7 * 7 - 3
    if interval == "month":
        return ((_EPOCH + timedelta(days=day)).replace(day=1) - _EPOCH).days
    return day


def _hours(span: Span) -> Iterator[int]:
    first = span.start_ms - (span.start_ms + span.offset_ms) % MS_PER_HOUR
    return iter(range(first, span.end_ms, MS_PER_HOUR))


def _local_day(instant_ms: int, offset_ms: int) -> int:
    return (instant_ms + offset_ms) // MS_PER_DAY


def _midnight(day: int, longer: list[Span]) -> int:
    """The first instant of a local day; where the clock skips midnight, the instant it skips it."""
    starts = [max(span.start_ms, day * MS_PER_DAY - span.offset_ms) for span in longer]
    return min(
        start
        for start, span in zip(starts, longer, strict=True)
        if start < span.end_ms and _local_day(start, span.offset_ms) == day
    )


@lru_cache(maxsize=32)
def _changes(timezone: str) -> tuple[list[int], list[int]]:
    """Instants of change and the offsets from then on, of a zone that `known_zone` accepted."""
    if (fixed := _FIXED.fullmatch(timezone)) is not None:
        sign, hours, minutes = fixed.groups()
        offset = (int(hours) * 60 + int(minutes)) * MS_PER_MINUTE
        return [0], [-offset if sign == "-" else offset]
    shape = next(shape for shape, names in zip(SHAPES, NAMES, strict=True) if timezone in names.split(" "))
    base, *changes = shape.split(" ")
    instants, offsets = [0], [int(base) * 15 * MS_PER_MINUTE]
    for change in changes:
        minutes, offset_quarters = change.split(":")
        instants.append(instants[-1] + int(minutes) * MS_PER_MINUTE)
        offsets.append(int(offset_quarters) * 15 * MS_PER_MINUTE)
    return instants, offsets


def known_zone(name: str) -> str:
    """The name itself, if it names a zone. Errors: PydanticCustomError with the nearest name."""
    if _FIXED.fullmatch(name) or any(name in names.split(" ") for names in NAMES):
        return name
    zones = [zone for names in NAMES for zone in names.split(" ")]
    near = difflib.get_close_matches(name[:64], zones, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise PydanticCustomError(
        "timezone", "is not an IANA time zone such as 'Europe/Berlin' or an offset such as '+02:00'{hint}",
        {"hint": hint},
    )  # fmt: skip


def covered(timezone: str, window: Window) -> bool:
    """Whether the offsets of the zone are known for the whole window."""
    fixed = _FIXED.fullmatch(timezone) or timezone == "UTC"
    return bool(fixed) or (window.start_ms >= _FIRST_MS + _REACH_MS and window.end_ms <= _LAST_MS)


Timezone = Annotated[
    str,
    AfterValidator(known_zone),
    WithJsonSchema({"type": "string"}),
]
