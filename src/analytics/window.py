"""Instants and windows: ISO 8601 text to integer milliseconds UTC and back. It never reads the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

MS_PER_SECOND: Final = 1000
MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 86_400_000

#: The longest window a question may span: longer than any plan keeps events (contract.md §6).
MAX_WINDOW_DAYS: Final = 400

INSTANT_FORMAT: Final = (
    "ISO 8601: '2026-05-01T00:00:00Z', an offset such as '+02:00', or a bare date; without a zone it is UTC"
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
    r"(?:([Zz])|([+-])(\d{2}):?(\d{2}))?)?",
    re.ASCII,
)


class InvalidInstantError(ValueError):
    """The text is not an instant this service understands; its message says what is."""


def parse_instant(text: str) -> int:
    """The instant that `text` names.

    Units: milliseconds since 1970-01-01T00:00:00Z; finer digits are cut off.
    Errors: InvalidInstantError.
    Source: contract.md §2, "`from` inclusive, `to` exclusive".
    """
    match = _INSTANT.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        raise InvalidInstantError(f"is not an instant; use {INSTANT_FORMAT}")
    year, month, day, hour, minute, second, fraction, _zulu, sign, zone_hour, zone_minute = match.groups()
    try:
        moment = datetime(  # noqa: DTZ001  a calendar reading; the offset is applied below, in integers
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
    except ValueError as error:
        raise InvalidInstantError(f"is not a date and time that exists; use {INSTANT_FORMAT}") from error
    offset_minutes = 0
    if sign:
        if int(zone_hour) > 23 or int(zone_minute) > 59:
            raise InvalidInstantError(f"has an offset that does not exist; use {INSTANT_FORMAT}")
        offset_minutes = (int(zone_hour) * 60 + int(zone_minute)) * (-1 if sign == "-" else 1)
    days = moment.toordinal() - _EPOCH_ORDINAL
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second - offset_minutes * 60
    milliseconds = int((fraction or "0")[:3].ljust(3, "0"))
    instant = days * MS_PER_DAY + seconds * MS_PER_SECOND + milliseconds
    if not 0 <= instant < 253_402_300_800_000:
        raise InvalidInstantError("must lie between the years 1970 and 9999 UTC")
    return instant


def format_instant(instant_ms: int) -> str:
    """UTC ISO 8601 with milliseconds and `Z`, e.g. `2026-05-01T00:00:00.000Z`."""
    moment = _EPOCH + timedelta(milliseconds=instant_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day_of(instant_ms: int) -> int:
    """The number of the UTC day an instant lies in, counted from 1970-01-01."""
    return instant_ms // MS_PER_DAY


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span `[start_ms, end_ms)` of UTC instants a question covers."""

    start_ms: int
    end_ms: int

    @property
    def first_day(self) -> int:
        return day_of(self.start_ms)

    @property
    def last_day(self) -> int:
        return day_of(self.end_ms - 1)

    def described(self) -> dict[str, str]:
        """The window as an answer echoes it."""
        return {"from": format_instant(self.start_ms), "to": format_instant(self.end_ms), "timezone": "UTC"}
