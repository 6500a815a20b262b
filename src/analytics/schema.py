"""What is stored: event names, their properties, types, coverage and values. The first thing to ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from analytics.questions import WholeNumber
from analytics.reports import EventName, SpanQuestion
from analytics.scope import Project, with_project
from analytics.store import Cost, Row
from analytics.window import format_instant

TOP_VALUES: Final = 5
#: How many properties of one event are described, those with the highest coverage first.
MAX_PROPERTIES: Final = 30
#: How many event names are listed; the others are counted together under one that says so, with how many `names` they are.
MAX_EVENT_NAMES: Final = 500
OTHER_NAMES: Final = "(other)"
SCHEMA_DEFINITION: Final = (
    "coverage: share of the event's occurrences that carry the property, JSON null not counted. types: how often each type. "
    "min, max, mean over numbers. top_values: the most frequent 5."
)


class SchemaQuestion(SpanQuestion):
    """Which events there are and what they carry."""

    event: EventName | None = None
    limit: WholeNumber = Field(20, ge=1, le=200)


@dataclass(frozen=True, slots=True)
class Named:
    """One event name in the window. Units: milliseconds UTC."""

    project: int
    event: str
    count: int
    visitors: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Carried:
    """One property of one event. Shape: `texts` to `compounds` count its values by type; numbers also as a summary."""

    project: int
    event: str
    property: str
    texts: int
    numbers: int
    booleans: int
    compounds: int
    distinct: int
    lowest: float | None
    highest: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Frequent:
    """One of the most frequent values of a property."""

    project: int
    event: str
    property: str
    value: Any
    count: int


@dataclass(frozen=True, slots=True)
class Described:
    """Everything counted for `describe_schema`, each list in the order it is shown."""

    events: list[Named]
    properties: list[Carried]
    values: list[Frequent]
    cost: Cost


_TYPES: Final = (
    ("text", "texts"),
    ("number", "numbers"),
    ("boolean", "booleans"),
    ("object or array", "compounds"),
)


def schema_rows(
    question: SchemaQuestion, projects: Sequence[Project], found: Described
) -> tuple[list[Row], bool]:
    """`project_id?, event, count, visitors, first_seen, last_seen, properties`, most frequent first; whether cut."""
    properties: dict[tuple[int, str], list[Row]] = defaultdict(list)
    counts = {(one.project, one.event): one.count for one in found.events}
    values: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for frequent in found.values:
        place = (frequent.project, frequent.event, frequent.property)
        values[place].append({"value": frequent.value, "count": frequent.count})
    for one in found.properties:
        if (one.project, one.event) in counts:
            top = values[one.project, one.event, one.property]
            row = _property_row(one, counts[one.project, one.event], top)
            properties[one.project, one.event].append(row)
    rows: list[Row] = []
    cut = False
    for project in projects:
        mine = [one for one in found.events if one.project == project.number]
        cut = cut or len(mine) > question.limit
        for event in mine[: question.limit]:
            row = {
                "event": event.event,
                "count": event.count,
                "visitors": event.visitors,
                "first_seen": format_instant(event.first_ms),
                "last_seen": format_instant(event.last_ms),
                "properties": properties[project.number, event.event],
            }
            rows.append(with_project(row, project, projects))
    return rows, cut


def _property_row(one: Carried, occurrences: int, top: list[Row]) -> Row:
    counted = {name: getattr(one, column) for name, column in _TYPES if getattr(one, column)}
    row: Row = {
        "property": one.property,
        "coverage": sum(counted.values()) / occurrences,
        "types": counted,
        "distinct": one.distinct,
    }
    if one.numbers:
        row |= {"min": one.lowest, "max": one.highest, "mean": one.mean}
    return row | {"top_values": top}
