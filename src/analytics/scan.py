"""Scan: days on which something was unlike its baseline. Deterministic: counts in, findings out. Source: metrics.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import median
from typing import Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.local_time import buckets
from analytics.questions import WholeNumber
from analytics.reports import ReportQuestion
from analytics.scope import Project, with_project
from analytics.store import Cost, Row, Tier
from analytics.window import MS_PER_DAY, Window, format_instant

MAX_SCAN_DAYS: Final = 92
#: How far before the judged days baselines reach: four weeks.
BASELINE_DAYS: Final = 28
#: Fewer days than this are no baseline.
MIN_BASELINE: Final = 3
#: So long a project must have had events before a name that comes up is news.
SETTLED_DAYS: Final = 7
#: Of each project the event names, and the sources, with the most events.
TOP_SERIES: Final = 50

Sensitivity = Literal["low", "medium", "high"]
#: How many spreads from the expected value a day has to be.
THRESHOLDS: Final[Mapping[Sensitivity, int]] = {"low": 4, "medium": 3, "high": 2}
#: What makes the median absolute deviation of normally distributed values their standard deviation.
MAD_SCALE: Final = 1.4826

SCAN_DEFINITION: Final = (
    "Each finished day of the window against its baseline: the same weekday of the 4 weeks before if 3 or more of "
    "those days are known, else the 7 days before, at least 3 of them. Days before a series' first event are not "
    "known. expected: median of the baseline. spread: 1.4826 x its median absolute deviation, at least "
    "sqrt(max(expected, actual)) and expected / 10. deviation: (actual - expected) / spread. A finding deviates by 4 "
    "(low), 3 (medium) or 2 (high sensitivity) spreads, and expected or actual is `minimum` or more: spike, drop, "
    "silence (a drop to 0). new: a name or source first seen in the window, a week or more after the project, with "
    "`minimum` or more on a day. Days in a row are one finding, with the numbers of its `peak` day. Series: all "
    "events, all visitors, events of the 50 top event names, visitors of the 50 top sources."
)


class ScanQuestion(ReportQuestion):
    """What was unusual in a window."""

    sensitivity: Sensitivity = "medium"
    minimum: WholeNumber = Field(10, ge=1)
    limit: WholeNumber = Field(20, ge=1, le=200)

    @field_validator("to")
    @classmethod
    def _short_enough(cls, to: int, info: ValidationInfo) -> int:
        start = info.data.get("from_")
        if start is not None and to - start > MAX_SCAN_DAYS * MS_PER_DAY:
            raise PydanticCustomError(
                "window", "must lie at most {days} days after `from`", {"days": MAX_SCAN_DAYS}
            )
        return to


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the local calendar. Units: milliseconds UTC; `number` counts local days."""

    number: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Series:
    """A count for each local day that has any. Shape: `by` is None for the whole project, whose `value` is None too."""

    project: int
    metric: Literal["events", "visitors"]
    by: Literal["event_name", "source"] | None
    value: str | None
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Scanned:
    """Everything counted for `scan`."""

    series: list[Series]
    cost: Cost
    tier: Tier


@dataclass(frozen=True, slots=True)
class Judged:
    """One day of one series that is a finding, or part of one."""

    kind: str
    day: Day
    expected: float
    actual: int
    deviation: float


def judged_days(question: ScanQuestion, now_ms: int) -> list[Day]:
    """The local days that lie whole in the window and are over, in order."""
    window = Window(question.from_, question.to)
    reach = Window(window.start_ms, window.end_ms + 2 * MS_PER_DAY)
    known = buckets(question.timezone, reach, "day")
    days = [Day(one.key, one.start_ms, after.start_ms) for one, after in pairwise(known)]
    return [
        day for day in days if day.start_ms >= window.start_ms and day.end_ms <= min(window.end_ms, now_ms)
    ]


def scanned_window(question: ScanQuestion, days: Sequence[Day]) -> Window:
    """The judged days and the four weeks before them, from midnight to midnight."""
    before = Window(days[0].start_ms - (BASELINE_DAYS + 2) * MS_PER_DAY, days[0].start_ms + 1)
    first = days[0].number - BASELINE_DAYS
    start = next(one.start_ms for one in buckets(question.timezone, before, "day") if one.key >= first)
    return Window(start, days[-1].end_ms)


def scan_rows(
    question: ScanQuestion, projects: Sequence[Project], days: Sequence[Day], found: Sequence[Series]
) -> tuple[list[Row], bool]:
    """`project_id?, id, kind, metric, by, value, from, to, peak, expected, actual, deviation`, the largest deviation first;
    whether the limit cut any off."""
    rows: list[Row] = []
    cut = False
    for project in projects:
        mine = [one for one in found if one.project == project.number]
        since = min((min(one.counts) for one in mine if one.by is None), default=None)
        if since is None:
            continue
        findings = [
            _row(project, one, run) for one in mine for run in _runs(_judge(question, one, days, since))
        ]
        findings.sort(key=_rank)
        cut = cut or len(findings) > question.limit
        for row in findings[: question.limit]:
            rows.append(with_project(row, project, projects))
    return rows, cut


def _rank(row: Row) -> tuple[Any, ...]:
    return (-abs(row["deviation"]), row["from"], row["metric"], row["by"] or "", row["value"] or "")


def _judge(question: ScanQuestion, series: Series, days: Sequence[Day], since: int) -> list[Judged]:
    """Every day that is unusual, in order; `since` is the project's first day."""
    first = min(series.counts)
    found = []
    if series.by is not None and first >= days[0].number and first >= since + SETTLED_DAYS:
        found += _arrival(question, series, days)
    for day in days:
        values = baseline(series.counts, day.number, first)
        if values is None:
            continue
        one = _compared(question, day, median(values), values, series.counts.get(day.number, 0))
        if one is not None:
            found.append(one)
    return found


def _arrival(question: ScanQuestion, series: Series, days: Sequence[Day]) -> list[Judged]:
    """The days from the first to the last on which a new name came up, if it was ever frequent enough."""
    seen = [day for day in days if day.number in series.counts]
    if max((series.counts[day.number] for day in seen), default=0) < question.minimum:
        return []
    counts = [series.counts[day.number] for day in seen]
    return [Judged("new", day, 0.0, count, sqrt(count)) for day, count in zip(seen, counts, strict=True)]


def baseline(counts: Mapping[int, int], day: int, first: int) -> list[int] | None:
    """The counts a day is compared with; None when too few of those days are known."""
    weekdays = [day - 7 * weeks for weeks in range(1, BASELINE_DAYS // 7 + 1) if day - 7 * weeks >= first]
    before = [day - back for back in range(1, 8) if day - back >= first]
    for known in (weekdays, before):
        if len(known) >= MIN_BASELINE:
            return [counts.get(one, 0) for one in known]
    return None


def _compared(
    question: ScanQuestion, day: Day, expected: float, values: Sequence[int], actual: int
) -> Judged | None:
    if max(expected, actual) < question.minimum:
        return None
    deviation = (actual - expected) / _spread(values, expected, actual)
    if abs(deviation) < THRESHOLDS[question.sensitivity]:
        return None
    kind = "spike" if deviation > 0 else "drop" if actual else "silence"
    return Judged(kind, day, expected, actual, deviation)


def _spread(values: Sequence[int], expected: float, actual: int) -> float:
    """The robust deviation of the baseline, but no less than chance and a tenth of what is expected."""
    deviation = median(abs(value - expected) for value in values)
    return max(MAD_SCALE * deviation, sqrt(max(expected, actual)), expected / 10)


def _runs(judged: Sequence[Judged]) -> list[list[Judged]]:
    """Findings of one kind on days that follow each other; those of a new name are one, whatever lies between."""
    runs: list[list[Judged]] = []
    for one in judged:
        last = runs[-1][-1] if runs else None
        if last and last.kind == one.kind and (one.kind == "new" or last.day.number + 1 == one.day.number):
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _row(project: Project, series: Series, run: Sequence[Judged]) -> Row:
    peak = max(run, key=lambda one: abs(one.deviation))
    start = format_instant(run[0].day.start_ms)
    named = "\n".join([project.slug, peak.kind, series.metric, series.by or "", series.value or "", start])
    return {
        "id": hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        "kind": peak.kind,
        "metric": series.metric,
        "by": series.by,
        "value": series.value,
        "from": start,
        "to": format_instant(run[-1].day.end_ms),
        "peak": format_instant(peak.day.start_ms),
        "expected": peak.expected,
        "actual": peak.actual,
        "deviation": round(peak.deviation, 2),
    }
