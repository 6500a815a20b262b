"""Overview, breakdown and time series: their arguments, what has to be counted for them, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from analytics.filters import ExplainedFilters
from analytics.identity import PeopleQuestion
from analytics.local_time import Interval, buckets
from analytics.measures import MEASURES, Counted, Counts, Measure, Measurement
from analytics.questions import WholeNumber
from analytics.reports import (
    EventName,
    FilteredQuestion,
    FilteredSpanQuestion,
    Split,
    SplitAsListed,
    few_enough,
    goal_given,
)
from analytics.scope import Project, with_project
from analytics.store import Row
from analytics.window import Window

MAX_BREAKDOWN_ROWS: Final = 1_000
MAX_SPLITS: Final = 5

Goal = EventName | None
Bucketed = Annotated[Interval | None, AfterValidator(few_enough)]


class OverviewQuestion(FilteredQuestion, PeopleQuestion):
    """How an audience did, against the period before."""

    goal: Goal = None
    interval: Bucketed = None


class BreakdownQuestion(FilteredSpanQuestion, PeopleQuestion):
    """One measure for each value of a dimension."""

    filters: ExplainedFilters = Field(default_factory=list)
    by: Split
    metric: Measure = "visitors"
    goal: Goal = None
    limit: WholeNumber = Field(20, ge=1, le=MAX_BREAKDOWN_ROWS)

    @model_validator(mode="after")
    def _goal_where_needed(self) -> BreakdownQuestion:
        goal_given(self.metric, self.goal)
        return self


class TimeseriesQuestion(FilteredQuestion, PeopleQuestion):
    """One measure over time. The list of tools names the measures once, in breakdown; a wrong one is told them."""

    metric: Annotated[Measure, WithJsonSchema({"type": "string"})] = "visitors"
    interval: Annotated[Interval, AfterValidator(few_enough)] = "day"
    goal: Goal = None
    by: SplitAsListed | None = None
    splits: WholeNumber = Field(MAX_SPLITS, ge=1, le=MAX_SPLITS)

    @model_validator(mode="after")
    def _goal_where_needed(self) -> TimeseriesQuestion:
        goal_given(self.metric, self.goal)
        return self


def previous(window: Window) -> Window:
    """The window of equal length immediately before."""
    return Window(2 * window.start_ms - window.end_ms, window.start_ms)


def change(now: float | None, before: float | None) -> float | None:
    """(now - before) / before; None when there is nothing to compare with. Source: metrics.md, Previous period."""
    return None if now is None or not before else (now - before) / before


# --- overview --------------------------------------------------------------------------------------------------------


def overview_measurements(question: OverviewQuestion) -> list[Measurement]:
    """This period, the one before and, with an interval, this one in buckets."""
    needs = frozenset(_overview_measures(question))
    filters = tuple(question.filters)
    asked = [
        Measurement(window, needs, filters, question.goal, identity=question.identity)
        for window in (question.window, previous(question.window))
    ]
    if question.interval:
        asked.append(
            Measurement(
                question.window,
                needs,
                filters,
                question.goal,
                interval=question.interval,
                timezone=question.timezone,
                identity=question.identity,
            )
        )
    return asked


def _overview_measures(question: OverviewQuestion) -> list[Measure]:
    return [measure for measure in MEASURES if measure != "conversion_rate" or question.goal]


def overview_rows(
    question: OverviewQuestion, projects: Sequence[Project], counted: Sequence[Sequence[Counted]]
) -> list[Row]:
    """One row per measure: `project_id?, metric, value, previous, change, series?`."""
    rows = []
    for project in projects:
        now, before = (_of(counts, project) for counts in counted[:2])
        for measure in _overview_measures(question):
            value, old = now.value(measure), before.value(measure)
            row: Row = {"metric": measure, "value": value, "previous": old, "change": change(value, old)}
            if question.interval:
                row["series"] = _series(question, question.interval, project, counted[2], measure)
            rows.append(with_project(row, project, projects))
    return rows


def _of(counted: Sequence[Counted], project: Project) -> Counts:
    return next((one.counts for one in counted if one.project == project.number), Counts())


def _series(
    question: FilteredQuestion,
    interval: Interval,
    project: Project,
    counted: Sequence[Counted],
    measure: Measure,
) -> list[Row]:
    """Every bucket of the window with its value; an empty one has the value of nothing."""
    by_bucket = {one.bucket: one.counts for one in counted if one.project == project.number}
    return [
        {"bucket": bucket.label, "value": by_bucket.get(bucket.key, Counts()).value(measure)}
        for bucket in buckets(question.timezone, question.window, interval)
    ]


# --- breakdown -------------------------------------------------------------------------------------------------------


def breakdown_measurement(question: BreakdownQuestion) -> Measurement:
    return Measurement(
        question.window,
        frozenset({question.metric, "visitors", "events"}),
        tuple(question.filters),
        question.goal,
        by=question.by,
        order=question.metric,
        limit=question.limit,
        identity=question.identity,
    )


def breakdown_rows(
    question: BreakdownQuestion, projects: Sequence[Project], counted: Sequence[Counted]
) -> tuple[list[Row], bool]:
    """Rows `project_id?, <by>, <metric>, visitors, events`, highest first, and whether the limit cut any off."""
    rows: list[Row] = []
    cut = False
    shown: list[Measure] = list(dict.fromkeys((question.metric, "visitors", "events")))
    for project in projects:
        mine = [one for one in counted if one.project == project.number]
        cut = cut or len(mine) > question.limit
        for one in mine[: question.limit]:
            values: dict[str, Any] = {measure: one.counts.value(measure) for measure in shown}
            rows.append(with_project({question.by: one.value, **values}, project, projects))
    return rows, cut


# --- time series -----------------------------------------------------------------------------------------------------


def timeseries_measurement(question: TimeseriesQuestion) -> Measurement:
    return Measurement(
        question.window,
        frozenset({question.metric}),
        tuple(question.filters),
        question.goal,
        by=question.by,
        interval=question.interval,
        timezone=question.timezone,
        order=question.metric,
        limit=question.splits,
        identity=question.identity,
    )


def timeseries_rows(
    question: TimeseriesQuestion, projects: Sequence[Project], counted: Sequence[Counted]
) -> tuple[list[Row], bool]:
    """Rows `project_id?, <by>?, bucket, value`, buckets without events included, and whether values were left out."""
    rows: list[Row] = []
    cut = False
    for project in projects:
        mine = [one for one in counted if one.project == project.number]
        if question.by is None:
            found = _series(question, question.interval, project, mine, question.metric)
            rows += [with_project(row, project, projects) for row in found]
            continue
        values: list[Any] = []
        for one in mine:
            if not any(_same(one.value, value) for value in values):
                values.append(one.value)
        cut = cut or len(values) > question.splits
        for value in values[: question.splits]:
            of_value = [one for one in mine if _same(one.value, value)]
            found = _series(question, question.interval, project, of_value, question.metric)
            rows += [with_project({question.by: value, **row}, project, projects) for row in found]
    return rows, cut


def _same(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
