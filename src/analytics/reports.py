"""Arguments that the questions about an audience share: window, time zone, filters, what to split by."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from analytics.filters import DIMENSIONS, PROPERTY_PREFIX, Filters
from analytics.local_time import Interval, Timezone, covered
from analytics.measures import SESSION_DIMENSIONS
from analytics.questions import Instant, WindowQuestion
from analytics.window import MS_PER_DAY, MS_PER_HOUR, Window

MAX_BUCKETS: Final = 1_000

#: What events can be told apart by, beside `properties.<key>`.
SPLITS: Final[tuple[str, ...]] = (*DIMENSIONS, "referrer_host", *SESSION_DIMENSIONS)


def _known_split(name: str) -> str:
    if name in SPLITS or (name.startswith(PROPERTY_PREFIX) and len(name) > len(PROPERTY_PREFIX)):
        return name
    raise PydanticCustomError(
        "split", "must be a dimension or 'properties.<key>'", {"allowed": [*SPLITS, "properties.<key>"]}
    )


Split = Annotated[
    str,
    Field(max_length=256),
    AfterValidator(_known_split),
    WithJsonSchema({"type": "string", "description": f"{' '.join(SPLITS)} or properties.<key>"}),
]
#: Split where another tool's schema lists what it takes.
SplitAsListed = Annotated[Split, WithJsonSchema({"type": "string"})]
EventName = Annotated[str, Field(min_length=1, max_length=128)]


def _without_default(schema: dict[str, Any]) -> None:
    """The instructions say it once, and every answer echoes it."""
    del schema["default"]


class SpanQuestion(WindowQuestion):
    """A question about one window, by default the last 30 days.

    Shape: `cursor` is where an earlier page of the same answer ended; it is made and read by who serves pages.
    """

    from_: Instant = Field("30d", alias="from", validate_default=True, json_schema_extra=_without_default)
    to: Instant = Field("now", validate_default=True, json_schema_extra=_without_default)
    cursor: str | None = Field(None, min_length=1, max_length=256)


class FilteredSpanQuestion(SpanQuestion):
    """A question about the events that filters let through."""

    filters: Filters = Field(default_factory=list)


class ReportQuestion(SpanQuestion):
    """A question on the calendar of a time zone."""

    timezone: Timezone = Field("UTC", json_schema_extra=_without_default)

    @field_validator("timezone")
    @classmethod
    def _offsets_known(cls, timezone: str, info: ValidationInfo) -> str:
        start, end = info.data.get("from_"), info.data.get("to")
        if start is not None and end is not None and not covered(timezone, Window(start, end)):
            raise PydanticCustomError("timezone", "is known for the years 2020 to 2037; use UTC beyond them")
        return timezone


class FilteredQuestion(ReportQuestion):
    """The same about the events that filters let through."""

    filters: Filters = Field(default_factory=list)


def goal_given(metric: str, goal: str | None) -> None:
    """Without a goal nobody converts: a rate of 0 would be read as an answer."""
    if metric == "conversion_rate" and goal is None:
        raise PydanticCustomError(
            "goal", "Required: conversion_rate needs a goal, the name of an event", {"field": "goal"}
        )


def few_enough(interval: Interval | None, info: ValidationInfo) -> Interval | None:
    """An interval that does not cut the window into more than `MAX_BUCKETS`; longer ones than an hour never do."""
    start, end = info.data.get("from_"), info.data.get("to")
    if (
        interval == "hour"
        and start is not None
        and end is not None
        and end - start > MAX_BUCKETS * MS_PER_HOUR
    ):
        days = MAX_BUCKETS * MS_PER_HOUR // MS_PER_DAY
        raise PydanticCustomError("interval", "'hour' needs a window of at most {days} days", {"days": days})
    return interval
