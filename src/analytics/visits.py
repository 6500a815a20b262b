"""Visits one by one: who is there now, sessions, paths, one person's journey; and two segments compared."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from analytics.filters import Filter, Filters
from analytics.measures import PAGEVIEW, Counted, Counts, Measure, Measurement
from analytics.questions import WholeNumber
from analytics.reports import EventName, FilteredSpanQuestion, SpanQuestion
from analytics.scope import Project, with_project
from analytics.store import Row
from analytics.window import Window

MS_PER_MINUTE: Final = 60_000
PATH_STEPS: Final = 7
#: Below it a proportion says too little to be compared. Source: metrics.md, Proportions compared.
MIN_VISITORS: Final = 30
#: The two-sided 95 % quantile of the normal distribution.
Z: Final = 1.959963984540054

REALTIME_DEFINITION: Final = (
    "Visitors with an event in the last minutes; pages by their pageviews, the rest by any event."
)
SESSIONS_DEFINITION: Final = (
    "A session ends after more than 30 minutes without an event; source and device are those of its first event. "
    "Filters choose sessions with at least one such event."
)
PATHS_DEFINITION: Final = (
    "The first 7 pageviews of a session, the same page in a row taken as one. "
    "share: of the sessions that have a pageview."
)
JOURNEY_DEFINITION: Final = (
    "Events in order. Of a user_id: its events and the anonymous ones of every device it was seen on. Sessions are counted "
    "from the window's start."
)
SEGMENTS_DEFINITION: Final = (
    "A visitor is in a segment by any event that its filters let through, perhaps in both. "
    "rate: visitors with the goal / visitors. low, high: 95 % Wilson interval. verdict: whether the 95 % Newcombe interval "
    "of the difference a - b excludes 0; with fewer than 30 visitors in a segment there is none."
)


class RealtimeQuestion(BaseModel):
    """Who is there now."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    minutes: WholeNumber = Field(5, ge=1, le=60)
    limit: WholeNumber = Field(5, ge=1, le=50)


class SessionsQuestion(FilteredSpanQuestion):
    """Single sessions, newest first."""

    limit: WholeNumber = Field(20, ge=1, le=200)


class PathsQuestion(FilteredSpanQuestion):
    """The most frequent sequences of pages."""

    limit: WholeNumber = Field(20, ge=1, le=100)


class JourneyQuestion(SpanQuestion):
    """What one person or device did."""

    user_id: str | None = Field(None, min_length=1, max_length=256)
    anonymous_id: str | None = Field(None, min_length=1, max_length=128)
    limit: WholeNumber = Field(200, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_of_both(self) -> JourneyQuestion:
        if (self.user_id is None) == (self.anonymous_id is None):
            raise PydanticCustomError(
                "person",
                "give either user_id or anonymous_id",
                {"field": "anonymous_id" if self.user_id else "user_id"},
            )
        return self


class SegmentsQuestion(SpanQuestion):
    """Which of two segments converts better."""

    goal: EventName
    a: Filters
    b: Filters


# --- realtime --------------------------------------------------------------------------------------------------------

_NOW_BY: Final[tuple[tuple[str, str | None], ...]] = (
    ("all", None),
    ("page", "path"),
    ("country", "country"),
    ("source", "source"),
)


def realtime_window(question: RealtimeQuestion, now_ms: int) -> Window:
    return Window(max(now_ms - question.minutes * MS_PER_MINUTE, 0), now_ms + 1)


def realtime_measurements(question: RealtimeQuestion, now_ms: int) -> list[Measurement]:
    views = (Filter(field="event_name", op="eq", value=PAGEVIEW),)
    needs: frozenset[Measure] = frozenset({"visitors", "events"})
    window = realtime_window(question, now_ms)
    return [
        Measurement(window, needs, views if what == "page" else (), by=by, limit=question.limit)
        for what, by in _NOW_BY
    ]


def realtime_rows(
    question: RealtimeQuestion, projects: Sequence[Project], counted: Sequence[Sequence[Counted]]
) -> list[Row]:
    """`project_id?, what, value, visitors, events`: all, then top pages, countries and sources."""
    rows: list[Row] = []
    for project in projects:
        for (what, by), found in zip(_NOW_BY, counted, strict=True):
            mine = [one for one in found if one.project == project.number]
            if by is None and not mine:
                mine = [Counted(project.number, None, None, Counts())]
            for one in mine[: question.limit]:
                row: Row = with_project({}, project, projects)
                row |= {
                    "what": what,
                    "value": one.value,
                    "visitors": one.counts.visitors,
                    "events": one.counts.events,
                }
                rows.append(row)
    return rows


# --- two segments ----------------------------------------------------------------------------------------------------


def segment_measurements(question: SegmentsQuestion) -> list[Measurement]:
    needs: frozenset[Measure] = frozenset({"visitors", "conversion_rate"})
    window = Window(question.from_, question.to)
    return [Measurement(window, needs, tuple(filters), question.goal) for filters in (question.a, question.b)]


def segment_rows(projects: Sequence[Project], counted: Sequence[Sequence[Counted]]) -> list[Row]:
    """`project_id?, segment, visitors, converted, rate, low, high, verdict` for a and b."""
    rows: list[Row] = []
    for project in projects:
        both = [
            next((one.counts for one in found if one.project == project.number), Counts())
            for found in counted
        ]
        verdict = _verdict(*both)
        for segment, counts in zip("ab", both, strict=True):
            low, high = wilson(counts.converted, counts.visitors)
            row: Row = with_project({}, project, projects)
            row |= {
                "segment": segment,
                "visitors": counts.visitors,
                "converted": counts.converted,
                "rate": counts.value("conversion_rate"),
                "low": low,
                "high": high,
                "verdict": verdict,
            }
            rows.append(row)
    return rows


def wilson(successes: int, trials: int) -> tuple[float | None, float | None]:
    """The 95 % score interval of a proportion. Source: Wilson 1927."""
    if trials == 0:
        return None, None
    share, spread = successes / trials, Z * Z / trials
    middle = share + spread / 2
    reach = sqrt(spread * (share * (1 - share) + spread / 4))
    return max((middle - reach) / (1 + spread), 0.0), min((middle + reach) / (1 + spread), 1.0)


def _verdict(a: Counts, b: Counts) -> str:
    """From the interval of the difference of two proportions. Source: Newcombe 1998, method 10."""
    if min(a.visitors, b.visitors) < MIN_VISITORS:
        return "too few visitors"
    (low_a, high_a), (low_b, high_b) = (wilson(one.converted, one.visitors) for one in (a, b))
    rate_a, rate_b = a.converted / a.visitors, b.converted / b.visitors
    difference = rate_a - rate_b
    below = sqrt((rate_a - (low_a or 0)) ** 2 + ((high_b or 1) - rate_b) ** 2)
    above = sqrt(((high_a or 1) - rate_a) ** 2 + (rate_b - (low_b or 0)) ** 2)
    if difference - below > 0:
        return "a is higher"
    return "b is higher" if difference + above < 0 else "no clear difference"


# --- sessions, paths and journeys ------------------------------------------------------------------------------------


def labelled(projects: Sequence[Project], rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Rows that carry `project`, its number: `project_id` instead, where there are several."""
    ids = {project.number: project.id for project in projects}
    named = []
    for row in rows:
        rest = {name: value for name, value in row.items() if name != "project"}
        named.append({"project_id": ids[row["project"]], **rest} if len(projects) > 1 else rest)
    return named
