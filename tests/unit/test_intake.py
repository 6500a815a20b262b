"""Bodies: what the parser takes, and what it refuses by name, whoever wrote it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.intake import MAX_INTEGER, MalformedJsonError, RefusedJsonError, parse_json

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_means_what_it_says(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_named_refusal(body: bytes) -> None:
    with contextlib.suppress(MalformedJsonError, RefusedJsonError):
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[1,]", b'{"a":1,}', b"{'a':1}", b"NaN", b"[Infinity]", b"[-Infinity]", b"12_400", b"01",
        b"+1", b".5", b"1 2", b'"\x01"', b'"\xff"', b'"\xed\xa0\x80"', b'\xef\xbb\xbf{}', '{"a":1}'.encode("utf-16"),
        b'{"a":1} x', b"tru", b'"\\ud800"', b"// note\n{}",
    ],
)  # fmt: skip
def test_what_is_not_json_in_utf8_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJsonError, match=r"^the body is not valid JSON in UTF-8$"):
        parse_json(body)


def nested(depth: int, kind: str) -> bytes:
    opening, closing = ("[", "]") if kind == "array" else ('{"a":', "}")
    return (opening * depth + "1" + closing * depth).encode()


@pytest.mark.parametrize("kind", ["array", "object"])
def test_nesting_is_taken_to_its_limit_and_refused_beyond_it(kind: str) -> None:
    parse_json(nested(32, kind))
    for depth in (33, 500, 10_000, 100_000):
        with pytest.raises(RefusedJsonError) as refused:
            parse_json(nested(depth, kind))
        assert (refused.value.code, str(refused.value)) == ("too_deep", "nested deeper than 32 levels")


BEYOND = "an integer beyond ±9007199254740990; send it as text"


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ({str(number): 1 for number in range(257)}, "too_large", "an object with more than 256 keys"),
        ([0] * 1_001, "too_large", "an array with more than 1000 items"),
        ("x" * 8_193, "too_large", "a text longer than 8192 characters"),
        ({"x" * 8_193: 1}, "too_large", "a text longer than 8192 characters"),
        (2**53 - 1, "number_out_of_range", BEYOND),
        ([1 - 2**53], "number_out_of_range", BEYOND),
        (10**400, "number_out_of_range", BEYOND),
        ("a\0b", "invalid_string", "a text with the character U+0000"),
        ({"a\0": 1}, "invalid_string", "a text with the character U+0000"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_what_is_too_much_is_refused_by_name(value: Any, code: str, message: str) -> None:
    """Wherever it stands: beside values of every kind, too."""
    for body in (
        value,
        [None, True, 1.5, "a", {}, value],
        [value, None, False],
        {"a": None, "b": value, "c": True},
    ):
        with pytest.raises(RefusedJsonError) as refused:
            parse_json(json.dumps(body).encode())
        assert (refused.value.code, str(refused.value)) == (code, message)


def test_the_limits_themselves_are_taken() -> None:
    for value in (
        [0] * 1_000,
        "x" * 8_192,
        2**53 - 2,
        2 - 2**53,
        {str(n): n for n in range(256)},
    ):
        assert parse_json(json.dumps(value).encode()) == value


def test_a_number_too_large_for_a_double_is_refused() -> None:
    with pytest.raises(RefusedJsonError, match=r"^a number too large to represent$") as refused:
        parse_json(b"[1e400]")
    assert refused.value.code == "number_out_of_range"
