"""From the bytes of a body to a JSON value, for every body the service takes. Hostile input gets a named refusal.

The parser is pydantic's: on the real runtime the standard library's overflows the stack of WebAssembly on deep nesting
and takes the interpreter with it (security.md M1). One walk afterwards refuses what the parser lets through.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pydantic_core import from_json

MAX_DEPTH: Final = 32
MAX_KEYS: Final = 256
MAX_ITEMS: Final = 1_000
MAX_TEXT: Final = 8_192
#: Beyond it an integer does not survive the way to D1 and back (workers-platform.md §2.3).
MAX_INTEGER: Final = 2**53 - 2


class MalformedJsonError(ValueError):
    """The body is not JSON in UTF-8."""


class RefusedJsonError(ValueError):
    """The body is JSON that this service does not take; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_json(body: bytes) -> Any:
    """The JSON value of a body.

    Errors: MalformedJsonError; RefusedJsonError for what is too deep, too wide, too long or out of range.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise RefusedJsonError("too_deep", f"nested deeper than {MAX_DEPTH} levels") from None
        raise MalformedJsonError("the body is not valid JSON in UTF-8") from None
    _walk(value)
    return value


def _walk(root: Any) -> None:
    """Looks at every value, one level of nesting after the other."""
    level, depth = [root], 1
    while level:
        inside: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                if len(value) > MAX_TEXT or "\0" in value:
                    raise _refused_text(value)
            elif kind is dict or kind is list:
                _check_size(value, depth)
                if kind is dict:
                    inside += value  # its keys are texts
                    inside += value.values()
                else:
                    inside += value
            elif kind is int:
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    raise RefusedJsonError(
                        "number_out_of_range", f"an integer beyond ±{MAX_INTEGER}; send it as text"
                    )
            elif kind is float and not math.isfinite(value):
                raise RefusedJsonError("number_out_of_range", "a number too large to represent")
        level, depth = inside, depth + 1


def _check_size(value: dict[str, Any] | list[Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RefusedJsonError("too_deep", f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if len(value) > MAX_KEYS:
            raise RefusedJsonError("too_large", f"an object with more than {MAX_KEYS} keys")
    elif len(value) > MAX_ITEMS:
        raise RefusedJsonError("too_large", f"an array with more than {MAX_ITEMS} items")


def _refused_text(text: str) -> RefusedJsonError:
    if len(text) > MAX_TEXT:
        return RefusedJsonError("too_large", f"a text longer than {MAX_TEXT} characters")
    return RefusedJsonError("invalid_string", "a text with the character U+0000")
