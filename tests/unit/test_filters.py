"""Filters: what a condition may say, and that its SQL holds for exactly the events the plain reading says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from analytics.filters import DIMENSIONS, ExplainedFilters, Filter, Filters
from storage.sql_parts import Binder, holds
from tests.house import InProcess
from tests.ledger import Ledger
from tests.reference import satisfies

VALUES: list[Any] = [
    0,
    1,
    1.0,
    2.5,
    -3,
    9007199254740990,
    True,
    False,
    None,
    "",
    "0",
    "1",
    "a",
    "ab",
    "B",
    "É",
    "true",
]
VALUES += ["null", "{}", "[]", "[1]", {}, [], [1], {"k": 1}]
WANTED = [value for value in VALUES if isinstance(value, (str, int, float))]
KEYS = ["k", "a.b", "$", "$.k", "[0]", 'q"r', "it's", ""]


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """One event for each value of the property `k`, one for each odd key, one without, and several landings."""
    house = InProcess()
    ledger = Ledger(house, house.account()["projects"][0])
    bags: list[dict[str, Any]] = [{"k": value} for value in VALUES] + [{key: 1} for key in KEYS] + [{}]
    landings = ["", "?utm_source=a&utm_medium=cpc&utm_campaign=a", "?utm_source=B", "ab?utm_source=%C3%89"]
    events = [{"properties": bag} for bag in bags] + [
        {"url": f"https://site.example/{one}"} for one in landings
    ]
    for place, event in enumerate(events):
        base = {
            "event": "e",
            "event_id": f"e{place}",
            "anonymous_id": "v",
            "timestamp": "2026-05-01T00:00:00Z",
        }
        ledger.send([base | event], country="DE" if place % 2 else "")
    return ledger


def found(ledger: Ledger, condition: dict[str, Any]) -> set[str]:
    house = ledger.service
    assert isinstance(house, InProcess)
    house.fold()
    binder = Binder()
    sql = f"SELECT e.event_id AS id FROM events AS e WHERE {holds(binder, Filter.model_validate(condition))}"
    (result,) = asyncio.run(house.db.batch([binder.statement(sql)]))
    return {row["id"] for row in result.rows}


def expected(ledger: Ledger, condition: dict[str, Any]) -> set[str]:
    return {row.event_id for row in ledger.rows if satisfies(row, condition)}


@pytest.mark.parametrize("op", ["eq", "neq", "gt", "gte", "lt", "lte", "contains", "starts_with"])
def test_one_value_against_every_kind_of_property(ledger: Ledger, op: str) -> None:
    fits = {
        "contains": lambda value: isinstance(value, str),
        "starts_with": lambda value: isinstance(value, str),
        "eq": lambda value: True,
        "neq": lambda value: True,
    }.get(op, lambda value: not isinstance(value, bool))
    for value in filter(fits, WANTED):
        condition = {"field": "properties.k", "op": op, "value": value}
        assert found(ledger, condition) == expected(ledger, condition), condition


@pytest.mark.parametrize("op", ["in", "not_in"])
def test_lists_against_every_kind_of_property(ledger: Ledger, op: str) -> None:
    for value in WANTED:
        condition = {"field": "properties.k", "op": op, "value": [value, "never"]}
        assert found(ledger, condition) == expected(ledger, condition), condition


@pytest.mark.parametrize("key", [key for key in KEYS if key])
def test_a_property_key_is_one_flat_text_and_never_a_path(ledger: Ledger, key: str) -> None:
    for op, value in [("eq", 1), ("neq", 1), ("exists", True), ("exists", False)]:
        condition = {"field": f"properties.{key}", "op": op, "value": value}
        assert found(ledger, condition) == expected(ledger, condition), condition


@pytest.mark.parametrize("field", DIMENSIONS)
def test_every_operator_on_every_dimension(ledger: Ledger, field: str) -> None:
    ones = [
        ("eq", "a"),
        ("neq", "a"),
        ("eq", ""),
        ("neq", "DE"),
        ("gt", "B"),
        ("lte", "a"),
        ("gt", 0),
        ("eq", True),
    ]
    ones += [("contains", "a"), ("starts_with", "/"), ("in", ["DE", "a", 1]), ("not_in", ["paid", "e"])]
    for op, value in [*ones, ("exists", True), ("exists", False)]:
        condition = {"field": field, "op": op, "value": value}
        assert found(ledger, condition) == expected(ledger, condition), condition


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"field": "color", "value": 1}, "must be a dimension or 'properties.<key>'"),
        ({"field": "properties.", "value": 1}, "must be a dimension or 'properties.<key>'"),
        ({"field": "source", "op": "like", "value": "a"}, "Input should be 'eq'"),
        ({"field": "source", "op": "in", "value": "a"}, "'in' takes a list"),
        ({"field": "source", "op": "eq", "value": ["a"]}, "'eq' takes one value, not a list"),
        ({"field": "source", "op": "in", "value": []}, "at least 1 item"),
        ({"field": "source", "op": "exists", "value": 1}, "'exists' takes true or false"),
        *(
            ({"field": "source", "op": op, "value": 1}, f"'{op}' takes text")
            for op in ("contains", "starts_with")
        ),
        *(
            ({"field": "source", "op": op, "value": True}, f"'{op}' takes a number or text")
            for op in ("gt", "gte", "lt", "lte")
        ),
        ({"field": "source", "value": None}, "valid"),
        ({"field": "source"}, "Field required"),
        ({"field": "source", "value": "x" * 513}, "at most 512 characters"),
        ({"field": "source", "op": "in", "value": ["x" * 513]}, "at most 512 characters"),
        ({"field": "source", "op": "in", "value": ["x"] * 51}, "at most 50 items"),
        ({"field": "properties." + "x" * 246, "value": 1}, "at most 256 characters"),
        ({"field": "source", "value": 1, "not": True}, "Extra inputs are not permitted"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_by_name(condition: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Filter.model_validate(condition)
    assert reason in str(refused.value)


def test_what_a_field_may_be_is_said() -> None:
    with pytest.raises(ValidationError) as refused:
        Filter.model_validate({"field": "color", "value": 1})
    (error,) = refused.value.errors()
    assert error["ctx"] == {"allowed": [*DIMENSIONS, "properties.<key>"]}


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "source", "value": "x" * 512},
        {"field": "source", "op": "not_in", "value": ["x" * 512] * 50},
        {"field": "properties." + "x" * 245, "op": "exists", "value": False},
    ],
)
def test_the_limits_themselves_are_taken(condition: dict[str, Any]) -> None:
    given = Filter.model_validate(condition)
    assert given.model_dump() == {"op": "eq"} | condition
    with pytest.raises(ValidationError, match="frozen"):
        given.op = "eq"


def test_five_conditions_hold_together_and_no_more() -> None:
    filters = TypeAdapter(Filters)
    one = {"field": "source", "value": "a"}
    assert len(filters.validate_python([one] * 5)) == 5
    with pytest.raises(ValidationError, match="at most 5 items"):
        filters.validate_python([one] * 6)


def test_what_a_client_is_told_of_filters() -> None:
    shape = {"type": "array", "items": {"type": "object"}}
    assert TypeAdapter(Filters).json_schema() == shape
    operators = "eq neq in not_in contains starts_with gt gte lt lte exists"
    explained = f"{{field,op,value}}; field as `by`; op: {operators}"
    assert TypeAdapter(ExplainedFilters).json_schema() == {**shape, "description": explained}
