"""Measures: the numbers of an audience, what each means, and what storage has to count for them.

A session ends after more than 30 minutes without an event, is cut from all events of a visitor in the window, and counts
once: under the value and at the time of its first event that the question's filters let through. Source: metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from analytics.filters import Filter
from analytics.identity import Identity
from analytics.local_time import Interval
from analytics.window import Window

Measure = Literal[
    "visitors",
    "sessions",
    "pageviews",
    "events",
    "bounce_rate",
    "engaged_rate",
    "average_duration",
    "views_per_session",
    "conversion_rate",
]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)

SESSION_GAP_MS: Final = 1_800_000
ENGAGED_MS: Final = 10_000
PAGEVIEW: Final = "$pageview"

#: What a value is called where the measure's own name does not say it.
DEFINITION: Final = (
    "visitors: distinct anonymous_id. session: until more than 30 minutes pass without an event. bounce_rate: sessions with "
    "one $pageview / sessions with any. engaged_rate: sessions over 10 s, with 2+ pageviews or the goal / sessions. "
    "average_duration: seconds from first to last event. conversion_rate: visitors with the goal / visitors, "
    "the goal anywhere in the window or bucket, whatever the filters or `by`. The first and the last bucket hold only what "
    "lies in the window."
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted for one project, bucket and value. Units: `duration_ms` is the sum over sessions.

    Shape: `viewed` are sessions with a pageview, `bounces` those with exactly one; `converted` are visitors with the goal.
    """

    events: int = 0
    visitors: int = 0
    pageviews: int = 0
    converted: int = 0
    sessions: int = 0
    viewed: int = 0
    bounces: int = 0
    engaged: int = 0
    duration_ms: int = 0

    def value(self, measure: Measure) -> float | None:
        """The measure; a ratio of nothing is None."""
        return _VALUES[measure](self)


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts and where they belong. Shape: `bucket` is the key of a `Bucket`, `value` the value of the dimension."""

    project: int
    bucket: int | None
    value: Any
    counts: Counts


@dataclass(frozen=True, slots=True)
class Measurement:
    """What to count.

    Shape: `by` is a dimension to tell apart, `interval` the buckets; with both, the `limit` values that are highest over
    the whole window get buckets. `order` is the measure that ranks values, and `needs` every measure to be counted.
    """

    window: Window
    needs: frozenset[Measure]
    filters: tuple[Filter, ...] = ()
    goal: str | None = None
    by: str | None = None
    interval: Interval | None = None
    timezone: str = "UTC"
    order: Measure = "visitors"
    limit: int = 100
    identity: Identity = "visitor"

    @property
    def in_sessions(self) -> bool:
        """Whether sessions have to be cut."""
        return self.by in SESSION_DIMENSIONS or not self.needs.isdisjoint(SESSION_MEASURES)


#: Dimensions of a whole session: all of its events count under the path of its first or last pageview.
SESSION_DIMENSIONS: Final = ("entry_page", "exit_page")
SESSION_MEASURES: Final[frozenset[Measure]] = frozenset(
    {"sessions", "bounce_rate", "engaged_rate", "average_duration", "views_per_session"}
)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


_VALUES: Final[Mapping[Measure, Callable[[Counts], float | None]]] = {
    "visitors": lambda counts: counts.visitors,
    "sessions": lambda counts: counts.sessions,
    "pageviews": lambda counts: counts.pageviews,
    "events": lambda counts: counts.events,
    "bounce_rate": lambda counts: _ratio(counts.bounces, counts.viewed),
    "engaged_rate": lambda counts: _ratio(counts.engaged, counts.sessions),
    "average_duration": lambda counts: _ratio(counts.duration_ms / 1000, counts.sessions),
    "views_per_session": lambda counts: _ratio(counts.pageviews, counts.sessions),
    "conversion_rate": lambda counts: _ratio(counts.converted, counts.visitors),
}
