"""Diagnose: what moved a number from one period to another, value by value of each dimension. Exact, in fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from analytics.audience import Goal
from analytics.filters import DIMENSIONS, Dimension
from analytics.questions import WholeNumber
from analytics.reports import FilteredSpanQuestion, goal_given
from analytics.scope import Project, with_project
from analytics.store import Cost, Row, Tier
from analytics.window import MS_PER_DAY, Window

Moving = Literal["events", "visitors", "conversion_rate"]

DIAGNOSIS_DEFINITION: Final = (
    "change: current - previous, of the whole (by null) and of each value; contribution: its share of the whole "
    "change. Those of one dimension add up to the whole: an event has one value, and a visitor counts once, under the "
    "value of their first event in the period that the filters let through. `others` > 0: so many further values "
    "taken together. conversion_rate: visitors with the goal / visitors; change = mix + rate, mix from the value's "
    "share of visitors: (share now - before) x (mean of its rates - mean of the whole's), rate from its own "
    "conversion: (rate now - before) x mean of its shares."
)


class DiagnoseQuestion(FilteredSpanQuestion):
    """What moved a number against an earlier period of the same length."""

    metric: Moving = "visitors"
    goal: Goal = None
    by: Annotated[
        list[Dimension],
        Field(min_length=1),
        WithJsonSchema({"type": "array", "items": {"type": "string"}}),
    ] = Field(default_factory=lambda: list(DIMENSIONS))  # type: ignore[arg-type]  # DIMENSIONS are its values
    days_back: WholeNumber = Field(0, ge=0, le=366)
    limit: WholeNumber = Field(5, ge=1, le=50)

    @field_validator("by")
    @classmethod
    def _each_once(cls, by: list[Dimension]) -> list[Dimension]:
        return list(dict.fromkeys(by))

    @field_validator("days_back")
    @classmethod
    def _apart(cls, days: int, info: ValidationInfo) -> int:
        start, end = info.data.get("from_"), info.data.get("to")
        if days and start is not None and end is not None and days * MS_PER_DAY < end - start:
            raise PydanticCustomError(
                "days_back", "must be at least as long as the window: periods may not overlap"
            )
        return days

    @model_validator(mode="after")
    def _goal_where_needed(self) -> DiagnoseQuestion:
        goal_given(self.metric, self.goal)
        return self

    @property
    def earlier(self) -> Window:
        """The period that is compared with: `days_back` days earlier, or right before."""
        back = self.days_back * MS_PER_DAY or self.to - self.from_
        return Window(self.from_ - back, self.to - back)


@dataclass(frozen=True, slots=True)
class Moved:
    """One value of one dimension in both periods; `others` > 0: so many values of it together.

    Shape: `now` and `before` are events, or visitors; `won_*` of those visitors with the goal.
    """

    project: int
    by: Dimension
    value: str | None
    others: int
    now: int
    before: int
    won_now: int
    won_before: int


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Everything counted for `diagnose`."""

    moved: list[Moved]
    cost: Cost
    tier: Tier


@dataclass(frozen=True, slots=True)
class Whole:
    """The project in both periods."""

    now: int
    before: int
    won_now: int
    won_before: int

    @property
    def rates(self) -> tuple[Fraction, Fraction] | None:
        """Conversion now and before; None where there was nobody to convert."""
        if not self.now or not self.before:
            return None
        return Fraction(self.won_now, self.now), Fraction(self.won_before, self.before)


def diagnosis_rows(
    question: DiagnoseQuestion, projects: Sequence[Project], moved: Sequence[Moved]
) -> list[Row]:
    """`project_id?, by, value, others, current, previous, change, contribution` and, of a conversion, `mix, rate,
    visitors, visitors_previous`: the whole, then each dimension, those with the largest single change first."""
    rows: list[Row] = []
    for project in projects:
        mine = [one for one in moved if one.project == project.number]
        whole = _whole([one for one in mine if one.by == question.by[0]])
        blocks = [_block(question, whole, [one for one in mine if one.by == by]) for by in question.by]
        blocks.sort(key=lambda block: -max((_size(row) for row in block if not row["others"]), default=0.0))
        total = _total(question, whole)
        found = [total, *(row for block in blocks for row in block)]
        rows += [with_project(row, project, projects) for row in found]
    return rows


def _whole(parts: Sequence[Moved]) -> Whole:
    return Whole(
        sum(one.now for one in parts), sum(one.before for one in parts),
        sum(one.won_now for one in parts), sum(one.won_before for one in parts),
    )  # fmt: skip


def _size(row: Row) -> float:
    return float(abs(row["change"] or 0))


def _block(question: DiagnoseQuestion, whole: Whole, parts: Sequence[Moved]) -> list[Row]:
    """The values of one dimension, the largest change first, the others last."""
    shown = _rates if question.metric == "conversion_rate" else _counts
    rows = [shown(whole, one) for one in parts]
    return sorted(
        rows, key=lambda row: (row["others"], -_size(row), row["value"] is not None, row["value"] or "")
    )


def _total(question: DiagnoseQuestion, whole: Whole) -> Row:
    head: Row = {"by": None, "value": None, "others": 0}
    if question.metric != "conversion_rate":
        change = whole.now - whole.before
        return head | _compared(whole.now, whole.before, change, change)
    rates = whole.rates
    change_of_rate = rates[0] - rates[1] if rates else None
    return head | {
        "current": _rate(whole.won_now, whole.now),
        "previous": _rate(whole.won_before, whole.before),
        "change": _number(change_of_rate),
        "contribution": 1.0 if change_of_rate else None,
        "mix": None,
        "rate": None,
        "visitors": whole.now,
        "visitors_previous": whole.before,
    }


def _counts(whole: Whole, one: Moved) -> Row:
    head: Row = {"by": one.by, "value": one.value, "others": one.others}
    return head | _compared(one.now, one.before, one.now - one.before, whole.now - whole.before)


def _compared(now: int, before: int, change: int, of: int) -> Row:
    return {"current": now, "previous": before, "change": change, "contribution": change / of if of else None}


def _rates(whole: Whole, one: Moved) -> Row:
    mix, rate = _effects(whole, one)
    change = None if mix is None or rate is None else mix + rate
    rates = whole.rates
    of = rates[0] - rates[1] if rates else None
    return {
        "by": one.by,
        "value": one.value,
        "others": one.others,
        "current": _rate(one.won_now, one.now),
        "previous": _rate(one.won_before, one.before),
        "change": _number(change),
        "contribution": _number(change / of) if change is not None and of else None,
        "mix": _number(mix),
        "rate": _number(rate),
        "visitors": one.now,
        "visitors_previous": one.before,
    }


def _effects(whole: Whole, one: Moved) -> tuple[Fraction, Fraction] | tuple[None, None]:
    """What a value's share of visitors and its own rate did to the whole's rate. Over a dimension both add up to the change.

    A value without visitors in one period has no rate there: it is given that of the other, and all of it is mix.
    """
    rates = whole.rates
    if rates is None:
        return None, None
    now, before = Fraction(one.now, whole.now), Fraction(one.before, whole.before)
    known = [Fraction(won, of) for won, of in ((one.won_now, one.now), (one.won_before, one.before)) if of]
    mix = (now - before) * ((known[0] + known[-1]) - (rates[0] + rates[1])) / 2
    return mix, (known[0] - known[-1]) * (now + before) / 2


def _rate(won: int, of: int) -> float | None:
    return won / of if of else None


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
