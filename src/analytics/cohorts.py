"""Retention and lifecycle: who comes back, and how an audience is made up over time. Source: metrics.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from analytics.identity import PeopleQuestion
from analytics.local_time import Bucket, buckets
from analytics.questions import WholeNumber
from analytics.reports import EventName, FilteredQuestion, ReportQuestion
from analytics.scope import Project, with_project
from analytics.store import Row
from analytics.window import MS_PER_DAY, Window

Unit = Literal["day", "week", "month"]

MAX_PERIODS: Final = 32
#: How far back lifecycle looks for a visitor's earlier activity.
HISTORY_DAYS: Final = 366
#: Units: milliseconds. A rolling month is 30 days.
UNIT_MS: Final[dict[Unit, int]] = {"day": MS_PER_DAY, "week": 7 * MS_PER_DAY, "month": 30 * MS_PER_DAY}

RETENTION_DEFINITION: Final = (
    "born: first born_event in the window. Period i: [i, i+1) units after birth (rolling; a month is 30 days) or calendar "
    "units later. retained: a return event after birth in that period (mode on), or then or later (on_or_after). Rows with "
    "cohort 'all' cover complete cohorts only: rate is pooled (weighted by size), mean_rate the mean of their rates."
)
LIFECYCLE_DEFINITION: Final = (
    "new: not seen in the 366 days before; returning: also active in the interval before; resurrecting: active earlier, not "
    "in the interval before; dormant: active in the interval before, not in this one. Intervals are whole, up to `to`."
)


class RetentionQuestion(FilteredQuestion, PeopleQuestion):
    """Who of those born in the window comes back. Filters apply to the born event."""

    born_event: EventName
    return_event: EventName | None = Field(None, description="Default: any event.")
    unit: Unit = "week"
    mode: Literal["on", "on_or_after"] = "on"
    calendar: bool = False
    periods: WholeNumber = Field(8, ge=1, le=MAX_PERIODS)


class LifecycleQuestion(ReportQuestion, PeopleQuestion):
    """How an audience is made up, interval by interval."""

    unit: Unit = "day"
    view: Literal["lifecycle", "stickiness"] = "lifecycle"


@dataclass(frozen=True, slots=True)
class Returned:
    """How many visitors of a cohort came back in a period; of `on_or_after`, whose last return lies in it.

    Shape: `cohort` is a bucket's key; `period` is None for the size of the cohort.
    """

    project: int
    cohort: int
    period: int | None
    visitors: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Visitors of one kind in one interval, or by number of active intervals. Shape: `kind` as `LIFECYCLE_KINDS`."""

    project: int
    kind: str
    place: int
    visitors: int


LIFECYCLE_KINDS: Final = ("new", "returning", "resurrecting", "dormant")


# --- retention -------------------------------------------------------------------------------------------------------


def retention_rows(
    question: RetentionQuestion, projects: Sequence[Project], returned: Sequence[Returned], now_ms: int
) -> list[Row]:
    """`project_id?, cohort, size, period, retained, rate, mean_rate?, complete`: first cohort 'all', then each."""
    rows: list[Row] = []
    for project in projects:
        mine = [one for one in returned if one.project == project.number]
        cohorts = _cohorts(question, mine, now_ms)
        found = _together(question, cohorts) + [row for cohort in cohorts for row in cohort]
        rows += [with_project(row, project, projects) for row in found]
    return rows


def _cohorts(question: RetentionQuestion, returned: Sequence[Returned], now_ms: int) -> list[list[Row]]:
    sizes = {one.cohort: one.visitors for one in returned if one.period is None}
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for one in returned:
        if one.period is not None:
            first = 0 if question.mode == "on_or_after" else one.period
            for period in range(first, min(one.period, question.periods - 1) + 1):
                counts[one.cohort, period] += one.visitors
    # The intervals after the window too: their starts are where the calendar periods of late cohorts end.
    beyond = Window(question.from_, question.to + (question.periods + 2) * 31 * UNIT_MS["day"])
    intervals = buckets(question.timezone, beyond, question.unit)
    return [
        [
            _retained(
                question, intervals, place, period, sizes[bucket.key], counts[bucket.key, period], now_ms
            )
            for period in range(question.periods)
        ]
        for place, bucket in enumerate(intervals)
        if bucket.key in sizes
    ]


def _retained(
    question: RetentionQuestion,
    intervals: Sequence[Bucket],
    place: int,
    period: int,
    size: int,
    count: int,
    now_ms: int,
) -> Row:
    if question.calendar:
        ends_ms = intervals[place + period + 1].start_ms
    else:
        ends_ms = min(intervals[place + 1].start_ms, question.to) + (period + 1) * UNIT_MS[question.unit]
    return {
        "cohort": intervals[place].label,
        "size": size,
        "period": period,
        "retained": count,
        "rate": count / size,
        "complete": ends_ms <= now_ms,
    }


def _together(question: RetentionQuestion, cohorts: Sequence[Sequence[Row]]) -> list[Row]:
    """One row per period over the cohorts for which it is complete."""
    rows: list[Row] = []
    for period in range(question.periods):
        whole = [cohort[period] for cohort in cohorts if cohort[period]["complete"]]
        size, retained = sum(row["size"] for row in whole), sum(row["retained"] for row in whole)
        rows.append(
            {
                "cohort": "all",
                "size": size,
                "period": period,
                "retained": retained,
                "rate": retained / size if size else None,
                "mean_rate": sum(row["rate"] for row in whole) / len(whole) if whole else None,
                "complete": bool(whole),
            }
        )
    return rows


# --- lifecycle -------------------------------------------------------------------------------------------------------


def whole_intervals(question: LifecycleQuestion) -> list[Bucket]:
    """The intervals the window touches; the first counts from its own start, the last up to `to`."""
    return buckets(question.timezone, Window(question.from_, question.to), question.unit)


def lifecycle_rows(
    question: LifecycleQuestion, projects: Sequence[Project], activity: Sequence[Activity]
) -> list[Row]:
    """`project_id?, bucket, new, returning, resurrecting, dormant` or `project_id?, active_<unit>s, visitors`."""
    rows: list[Row] = []
    intervals = whole_intervals(question)
    for project in projects:
        mine = {(one.kind, one.place): one.visitors for one in activity if one.project == project.number}
        if question.view == "lifecycle":
            found: list[Row] = [
                {"bucket": bucket.label, **{kind: mine.get((kind, place), 0) for kind in LIFECYCLE_KINDS}}
                for place, bucket in enumerate(intervals)
            ]
        else:
            found = [
                {f"active_{question.unit}s": times, "visitors": mine.get(("stickiness", times), 0)}
                for times in range(1, len(intervals) + 1)
            ]
        rows += [with_project(row, project, projects) for row in found]
    return rows
