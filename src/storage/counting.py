"""What is to be counted, and in which columns every tier answers it: `project, bucket, key0, key1, events, uniques`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.questions import Interval
from analytics.store import Tier
from analytics.window import MS_PER_DAY, MS_PER_HOUR, Window
from storage.dictionary import COLUMNS
from storage.tiers import TAILS

#: The first day of the interval that a day lies in. Day 0 was a Thursday: weeks start at day -3 + 7n.
_FIRST_DAY: Final[Mapping[Interval, str]] = {
    "day": "{day}",
    "week": "(({day} + 3) / 7 * 7 - 3)",
    "month": "(unixepoch({day} * 86400, 'unixepoch', 'start of month') / 86400)",
}
#: How many days an interval has at most.
_LENGTHS: Final[Mapping[Interval, int]] = {"day": 1, "week": 7, "month": 31}

#: Two dictionary ids make one integer, because SQLite sorts by one much faster than by two. Ids stay far below 2^31:
#: so many texts would fill a database many times over.
_HALF: Final = 31


@dataclass(frozen=True, slots=True)
class Counting:
    """What to count: which columns apart, one name or all, per interval or not; events, visitors or both."""

    numbers: Sequence[int]
    window: Window
    columns: tuple[str, ...]
    name: str | None = None
    interval: Interval | None = None
    events: bool = True
    visitors: bool = True

    @property
    def whole_days(self) -> range:
        """The days that lie in the window from midnight to midnight."""
        return range(-(-self.window.start_ms // MS_PER_DAY), self.window.end_ms // MS_PER_DAY)

    @property
    def ends_at_midnight(self) -> bool:
        return self.window.end_ms % MS_PER_DAY == 0

    @property
    def reach(self) -> int:
        """How many days uniques are added up over: the whole days, and a last one that may turn out to be whole."""
        days = len(self.whole_days) + (not self.ends_at_midnight)
        return min(days, _LENGTHS.get(self.interval, days)) if self.interval else days

    @property
    def within_tails(self) -> bool:
        return self.reach <= TAILS

    def apart(self, project: str = "project") -> str:
        """What rows are grouped by: no more than what tells them apart, because every column is sorted by."""
        several = [project] if len(self.numbers) > 1 else []
        return ", ".join([*several, *(["bucket"] if self.interval else []), *keys(self.columns)] or [project])

    def bucket(self, day: str) -> str:
        """The start of the interval that a day lies in, in milliseconds UTC; 0 where there is no interval."""
        return f"{self.first_day(day)} * {MS_PER_DAY}" if self.interval else "0"

    def bucket_of_event(self) -> str:
        """The same of an event `e`; the only one that tells hours apart."""
        if self.interval == "hour":
            return f"e.ts / {MS_PER_HOUR} * {MS_PER_HOUR}"
        return self.bucket("e.day")

    def first_day(self, day: str) -> str:
        return _FIRST_DAY[self.interval or "day"].format(day=day)

    def measured(self, events: str, uniques: str) -> str:
        """The measures that are asked for, as columns."""
        return (f", {events} AS events" if self.events else "") + (
            f", {uniques} AS uniques" if self.visitors else ""
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows that answer a counting, not yet added up: SQL with the parts of a WITH clause it needs."""

    tier: Tier
    rows: str
    parts: tuple[str, ...] = ()


def with_clause(*parts: str) -> str:
    """Named parts in front of a statement."""
    listed = ",\n".join(dict.fromkeys(parts))
    return f"WITH RECURSIVE {listed}\n" if listed else ""


def keys(columns: Sequence[str]) -> list[str]:
    """The names of the integers that hold these columns, two in each."""
    return [f"key{place}" for place in range((len(columns) + 1) // 2)]


def packed(columns: Sequence[str], value: Callable[[str], str]) -> str:
    """The integers that hold these columns, as columns; `value` is a column's dictionary id, 0 where there is none."""
    pairs = [columns[start : start + 2] for start in range(0, len(columns), 2)]
    ids = [[value(column) for column in pair] for pair in pairs]
    sql = [one[0] if len(one) == 1 else f"({one[0]} << {_HALF} | {one[1]})" for one in ids]
    return "".join(f", {one} AS {key}" for one, key in zip(sql, keys(columns), strict=True))


def unpacked(columns: Sequence[str], column: str, row: str) -> str:
    """The dictionary id of one of these columns in a row that holds them packed."""
    place = columns.index(column)
    key = f"{row}.key{place // 2}"
    if place % 2:
        return f"({key} & {2**_HALF - 1})"
    return f"({key} >> {_HALF})" if place + 1 < len(columns) else key


def of_event(column: str) -> str:
    """A column of an event `e` as a dictionary id, 0 where there is none."""
    name = COLUMNS[column]
    return f"coalesce(e.{name}, 0)" if name in ("campaign", "path") else f"e.{name}"


def texts(columns: Sequence[str], row: str) -> str:
    """Joins that look up the texts of a row's columns."""
    return "".join(
        f"\n  LEFT JOIN dictionary AS {column} ON {column}.id = {unpacked(columns, column, row)}"
        for column in columns
    )
