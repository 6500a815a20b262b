"""What the parser of all bodies refuses, wherever in the body it stands."""

from __future__ import annotations

import json

import pytest

from analytics.intake import MAX_TEXT, MalformedJsonError, RefusedJsonError, parse_json

LONG = "x" * (MAX_TEXT + 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (rb'"a\u0000b"', "invalid_string"),
        (rb'{"a": ["\u0000"]}', "invalid_string"),
        (rb'{"a\u0000b": 1}', "invalid_string"),
        (rb'["\\u0000", "\\\u0000"]', "invalid_string"),
        (json.dumps("\0" * MAX_TEXT).encode(), "invalid_string"),
        (json.dumps(LONG).encode(), "too_large"),
        (json.dumps({"a": [LONG]}).encode(), "too_large"),
        (json.dumps({LONG: 1}).encode(), "too_large"),
    ],
)
def test_a_text_that_no_store_takes_is_refused_as_a_value_and_as_a_key(body: bytes, code: str) -> None:
    with pytest.raises(RefusedJsonError) as refused:
        parse_json(body)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "value",
    [
        r"\u0000, spelled out",
        "y" * MAX_TEXT,
        ["z" * MAX_TEXT, "z" * MAX_TEXT],
        {"y" * MAX_TEXT: "ü" * MAX_TEXT},
    ],
)
def test_any_other_text_is_taken_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_the_character_itself_is_no_json() -> None:
    with pytest.raises(MalformedJsonError):
        parse_json(b'"a\0b"')
