"""Instants named from now: `7d`, `yesterday`, `this_month`. The request's instant is handed in; days are UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from analytics.window import MS_PER_DAY, MS_PER_HOUR, InvalidInstantError, day_of

RELATIVE_FORMAT: Final = "or relative: 'now', '24h', '7d', 'yesterday', 'this_month', 'last_month'"

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_AGO: Final = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_UNIT_MS: Final = {"h": MS_PER_HOUR, "d": MS_PER_DAY, "w": 7 * MS_PER_DAY}


def _monday(day: int) -> int:
    """Day 0 was a Thursday."""
    return (day + 3) // 7 * 7 - 3


def _first_of_month(day: int) -> int:
    return date.fromordinal(day + _EPOCH_ORDINAL).replace(day=1).toordinal() - _EPOCH_ORDINAL


def _first_of_year(day: int) -> int:
    return date.fromordinal(day + _EPOCH_ORDINAL).replace(month=1, day=1).toordinal() - _EPOCH_ORDINAL


#: The UTC day, counted from 1970-01-01, on which each named time begins.
_STARTS: Final[dict[str, Callable[[int], int]]] = {
    "today": lambda day: day,
    "yesterday": lambda day: day - 1,
    "this_week": _monday,
    "last_week": lambda day: _monday(day) - 7,
    "this_month": _first_of_month,
    "last_month": lambda day: _first_of_month(_first_of_month(day) - 1),
    "this_year": _first_of_year,
    "last_year": lambda day: _first_of_year(_first_of_year(day) - 1),
}
RELATIVE_NAMES: Final = ("now", "24h", "7d", *_STARTS)


def is_relative(text: str) -> bool:
    return text == "now" or text in _STARTS or _AGO.fullmatch(text) is not None


def relative_instant(text: str, now_ms: int) -> int:
    """The instant that a relative text names at `now_ms`.

    A named time is its start, as a bare date is: `last_month` to `this_month` is the whole last month; weeks start on
    Monday. `7d` is exactly seven times 24 hours ago. Units: milliseconds UTC. Errors: InvalidInstantError.
    """
    if text in _STARTS:
        return _STARTS[text](day_of(now_ms)) * MS_PER_DAY
    ago = _AGO.fullmatch(text)
    instant = now_ms - int(ago[1]) * _UNIT_MS[ago[2]] if ago else now_ms
    if instant < 0:
        raise InvalidInstantError("lies before 1970")
    return instant
