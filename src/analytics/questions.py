"""What can be asked: one definition of every argument, serving MCP tools and REST routes alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from analytics.event import now_of
from analytics.filters import DIMENSIONS, Dimension, Filters
from analytics.identity import PeopleQuestion
from analytics.relative import RELATIVE_FORMAT, RELATIVE_NAMES, is_relative, relative_instant
from analytics.window import (
    INSTANT_FORMAT,
    MAX_WINDOW_DAYS,
    MS_PER_DAY,
    InvalidInstantError,
    Window,
    format_instant,
    parse_instant,
)

MAX_ROWS: Final = 1_000
MAX_SOURCE_ROWS: Final = 200
MAX_GROUPINGS: Final = 3
MAX_FUNNEL_STEPS: Final = 20
MAX_FUNNEL_FILTERS: Final = 20
MAX_CONVERSION_WINDOW_DAYS: Final = 366


def _instant(value: Any, info: ValidationInfo) -> int:
    known = {"format": f"{INSTANT_FORMAT}; {RELATIVE_FORMAT}", "nearest": list(RELATIVE_NAMES)}
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "must be text; use {format}", known)
    try:
        return relative_instant(value, now_of(info)) if is_relative(value) else parse_instant(value)
    except InvalidInstantError as error:
        reason = f"{error}; {RELATIVE_FORMAT}"
        raise PydanticCustomError("instant", "{reason}", {**known, "reason": reason}) from error


def _whole_number(value: Any) -> Any:
    """JSON Schema counts 5.0 as an integer, and so do some clients."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(value: Any) -> Any:
    """`source,medium` and `["source", "medium"]` are the same list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()
    return tuple(value) if isinstance(value, list) else value


def _one_of(allowed: tuple[str, ...]) -> PlainValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value in allowed:
            return value
        raise PydanticCustomError("column", "is not one of the allowed values", {"allowed": list(allowed)})

    return PlainValidator(check)


def _columns(allowed: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "array", "items": {"type": "string", "enum": list(allowed)}, "maxItems": MAX_GROUPINGS}
    )


#: Written as text; what it may look like, and that `to` is exclusive, is said once, in the server's instructions.
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string"})]
WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
Metric = Literal["count", "uniques"]
Interval = Literal["hour", "day", "week", "month"]
#: What counts can be split by; `project_id` only where a question spans projects.
Grouping = Dimension | Literal["project_id"]
GroupBy = Annotated[
    tuple[Annotated[Grouping, _one_of(DIMENSIONS)], ...],
    BeforeValidator(_listed),
    Field(max_length=MAX_GROUPINGS),
    _columns(DIMENSIONS),
]
PROJECT_GROUPINGS: Final = ("project_id", *DIMENSIONS)
GroupByProject = Annotated[
    tuple[Annotated[Grouping, _one_of(PROJECT_GROUPINGS)], ...],
    BeforeValidator(_listed),
    Field(max_length=MAX_GROUPINGS),
    _columns(PROJECT_GROUPINGS),
]


class WindowQuestion(BaseModel):
    """Anything asked of the events in one window of time."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=False)

    from_: Instant = Field(alias="from")
    to: Instant
    _asked: tuple[str, str] = PrivateAttr(("", ""))

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_was_asked(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        question = handler(given)
        if isinstance(given, Mapping):
            start, end = (
                str(given.get(name, cls.model_fields[field].default))
                for name, field in (("from", "from_"), ("to", "to"))
            )
            question._asked = (
                start if is_relative(start) else str(question.from_),
                end if is_relative(end) else str(question.to),
            )
        return question

    @property
    def asked_window(self) -> tuple[str, str]:
        """The window as the asker means it: a relative end in its words, as `7d` is later again an hour later."""
        return self._asked

    @field_validator("to")
    @classmethod
    def _after_from(cls, to: int, info: ValidationInfo) -> int:
        start = info.data.get("from_")
        if start is not None and to <= start:
            raise PydanticCustomError(
                "window",
                "must be later than `from` ({start}); `to` is exclusive",
                {"start": format_instant(start)},
            )
        if start is not None and to - start > MAX_WINDOW_DAYS * MS_PER_DAY:
            raise PydanticCustomError(
                "window", "must lie within {days} days of `from`", {"days": MAX_WINDOW_DAYS}
            )
        return to

    @property
    def window(self) -> Window:
        return Window(self.from_, self.to)


class EventsQuestion(WindowQuestion):
    """Which events happened, newest first. Source: contract.md §2, GET /v1/query."""

    event: str | None = Field(None, min_length=1, max_length=128)
    source: str | None = Field(None, max_length=256)
    medium: str | None = Field(None, max_length=256)
    user_id: str | None = Field(None, min_length=1, max_length=256)
    anonymous_id: str | None = Field(None, min_length=1, max_length=128)
    country: str | None = Field(None, max_length=8)
    limit: WholeNumber = Field(100, ge=1, le=MAX_ROWS)
    cursor: str | None = Field(default=None, min_length=1, max_length=512)


class StatsQuestion(WindowQuestion):
    """How many events or visitors, split by columns and by time. Source: contract.md §2, GET /v1/stats."""

    metric: Metric = "count"
    event: str | None = Field(None, min_length=1, max_length=128)
    group_by: GroupBy = ()
    interval: Interval | None = None
    sample: bool = Field(
        False,
        description="Estimate if exact reads too much",
    )
    limit: WholeNumber = Field(100, ge=1, le=MAX_ROWS)

    @field_validator("group_by")
    @classmethod
    def _columns_once(cls, columns: tuple[Grouping, ...]) -> tuple[Grouping, ...]:
        if len(set(columns)) != len(columns):
            raise PydanticCustomError("repeated", "names a column twice")
        return columns

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The columns of events among `group_by`."""
        return tuple(column for column in self.group_by if column != "project_id")

    @property
    def by_project(self) -> bool:
        return "project_id" in self.group_by


class ProjectStatsQuestion(StatsQuestion):
    """The same over several projects, which counts can be split by."""

    group_by: GroupByProject = ()


class ComparisonQuestion(WindowQuestion):
    """How the projects of an account compare. Source: contract.md §3, compare_projects."""

    metric: Metric = "count"


class SourcesQuestion(WindowQuestion):
    """Where the visitors come from. Source: contract.md §2, GET /v1/sources."""

    breakdown: Literal["source_medium", "source"] = "source_medium"
    limit: WholeNumber = Field(50, ge=1, le=MAX_SOURCE_ROWS)


class FunnelStep(BaseModel):
    """One step: an event name, and what must hold of the event."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    event: str = Field(min_length=1, max_length=128)
    filters: Filters = Field(default_factory=list)


def _step(value: Any) -> Any:
    return {"event": value} if isinstance(value, str) else value


class FunnelQuestion(WindowQuestion, PeopleQuestion):
    """How many visitors get from step to step. Source: metrics.md, Funnel."""

    steps: Annotated[
        list[Annotated[FunnelStep, BeforeValidator(_step, json_schema_input_type=str | FunnelStep)]],
        Field(min_length=2, max_length=MAX_FUNNEL_STEPS),
    ]
    conversion_window_days: WholeNumber = Field(14, ge=1, le=MAX_CONVERSION_WINDOW_DAYS)
    entry: Literal["any", "first"] = Field("any")
    order: Literal["ordered", "any"] = "ordered"
    breakdown: Annotated[Dimension | None, WithJsonSchema({"type": "string"})] = None

    @field_validator("steps")
    @classmethod
    def _filters_in_all(cls, steps: list[FunnelStep]) -> list[FunnelStep]:
        if sum(len(step.filters) for step in steps) > MAX_FUNNEL_FILTERS:
            raise PydanticCustomError(
                "filters", "may carry at most {limit} filters in all", {"limit": MAX_FUNNEL_FILTERS}
            )
        return steps

    @field_validator("order")
    @classmethod
    def _steps_told_apart(cls, order: str, info: ValidationInfo) -> str:
        steps = info.data.get("steps")
        if order == "any" and steps and len({step.model_dump_json() for step in steps}) != len(steps):
            raise PydanticCustomError("order", "'any' needs steps that differ from each other")
        if order == "any" and info.data.get("entry") == "first":
            raise PydanticCustomError(
                "order", "'any' goes with entry 'any': without an order no step comes first"
            )
        return order
