"""Filters: which events a question is about. The same shape in every tool; the SQL is storage's."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

#: The columns every event has that answers can be grouped and filtered by (contract.md §2, GET /v1/stats).
Dimension = Literal[
    "event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"
]
DIMENSIONS: Final[tuple[str, ...]] = get_args(Dimension)

Operator = Literal["eq", "neq", "in", "not_in", "contains", "starts_with", "gt", "gte", "lt", "lte", "exists"]
ORDERING: Final = frozenset({"gt", "gte", "lt", "lte"})
LISTS: Final = frozenset({"in", "not_in"})
TEXTUAL: Final = frozenset({"contains", "starts_with"})

PROPERTY_PREFIX: Final = "properties."
MAX_FILTERS: Final = 5
MAX_LISTED_VALUES: Final = 50

Scalar = Annotated[StrictStr, Field(max_length=512)] | StrictInt | StrictFloat | StrictBool


def _known_field(name: str) -> str:
    if name in DIMENSIONS or (name.startswith(PROPERTY_PREFIX) and len(name) > len(PROPERTY_PREFIX)):
        return name
    raise PydanticCustomError(
        "filter_field",
        "must be a dimension or 'properties.<key>'",
        {"allowed": [*DIMENSIONS, "properties.<key>"]},
    )


class Filter(BaseModel):
    """One condition on an event; several hold together.

    Shape: `in` and `not_in` take a list, `exists` takes true or false, the rest one value. A missing dimension or
    property fails every condition but `neq`, `not_in` and `exists: false`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Annotated[str, Field(max_length=256), AfterValidator(_known_field)]
    op: Operator = "eq"
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_LISTED_VALUES)]

    @property
    def property_key(self) -> str | None:
        """The property this filter reads, or None when it reads a dimension."""
        return self.field.removeprefix(PROPERTY_PREFIX) if self.field.startswith(PROPERTY_PREFIX) else None

    @model_validator(mode="after")
    def _value_suits_operator(self) -> Filter:
        if (self.op in LISTS) != isinstance(self.value, list):
            expected = "a list" if self.op in LISTS else "one value, not a list"
            raise PydanticCustomError(
                "filter_value", "'{op}' takes {expected}", {"op": self.op, "expected": expected}
            )
        if self.op == "exists" and not isinstance(self.value, bool):
            raise PydanticCustomError("filter_value", "'exists' takes true or false")
        if self.op in TEXTUAL and not isinstance(self.value, str):
            raise PydanticCustomError("filter_value", "'{op}' takes text", {"op": self.op})
        if self.op in ORDERING and isinstance(self.value, bool):
            raise PydanticCustomError("filter_value", "'{op}' takes a number or text", {"op": self.op})
        return self


#: How a filter is written stands where filters matter most, in `breakdown`; elsewhere the names of its members suffice.
Filters = Annotated[
    list[Filter],
    Field(max_length=MAX_FILTERS),
    WithJsonSchema({"type": "array", "items": {"type": "object"}}),
]
ExplainedFilters = Annotated[
    Filters,
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "object"},
            "description": f"{{field,op,value}}; field as `by`; op: {' '.join(get_args(Operator))}",
        }
    ),
]
