"""As much of JSON Schema as the house's own schemas use; a keyword it does not know is an error, never a pass."""

from __future__ import annotations

import re
from typing import Any, Final

ANNOTATIONS: Final = frozenset({"description", "default", "title", "examples"})
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
    "number": (int, float), "null": (type(None),),
}  # fmt: skip


def misfits(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """Where a value does not conform, each as a sentence that begins with the place; empty when it does."""
    found: list[str] = []
    for keyword, wanted in schema.items():
        if keyword not in ANNOTATIONS:
            found += CHECKS[keyword](value, wanted, place, schema)
    return found


def _type(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    names = wanted if isinstance(wanted, list) else [wanted]
    for name in names:
        if isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)):
            return []
        if name == "integer" and isinstance(value, float) and value.is_integer():
            return []
    return [f"{place} is {value!r:.80}, not of type {wanted}"]


def _properties(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    members = value if isinstance(value, dict) else {}
    return [
        misfit
        for name, schema in wanted.items()
        if name in members
        for misfit in misfits(members[name], schema, f"{place}.{name}")
    ]


def _patterns(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    members = value if isinstance(value, dict) else {}
    return [
        misfit
        for pattern, schema in wanted.items()
        for name in members
        if re.search(pattern, name)
        for misfit in misfits(members[name], schema, f"{place}.{name}")
    ]


def _required(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    members = value if isinstance(value, dict) else wanted
    return [f"{place} lacks {name}" for name in wanted if name not in members]


def _additional(value: Any, wanted: Any, place: str, schema: Any) -> list[str]:
    others = {} if not isinstance(value, dict) else {
        name: member for name, member in value.items()
        if name not in schema.get("properties", {})
        and not any(re.search(pattern, name) for pattern in schema.get("patternProperties", {}))
    }  # fmt: skip
    if wanted is False:
        return [f"{place} has {name}, which is not allowed" for name in others]
    return [] if wanted is True else [
        misfit for name, member in others.items() for misfit in misfits(member, wanted, f"{place}.{name}")
    ]  # fmt: skip


def _items(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    items = value if isinstance(value, list) else []
    return [misfit for at, item in enumerate(items) for misfit in misfits(item, wanted, f"{place}[{at}]")]


def _any_of(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
    options = [misfits(value, option, place) for option in wanted]
    return [] if any(not option for option in options) else [f"{place} is {value!r:.80}, no option of anyOf"]


def _limit(fits: Any) -> Any:
    def check(value: Any, wanted: Any, place: str, _schema: Any) -> list[str]:
        return [] if fits(value, wanted) else [f"{place} is {value!r:.80}, beyond {wanted}"]

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


CHECKS: Final[dict[str, Any]] = {
    "type": _type,
    "properties": _properties,
    "patternProperties": _patterns,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "enum": _limit(lambda value, wanted: value in wanted),
    "const": _limit(lambda value, wanted: value == wanted),
    "minimum": _limit(lambda value, wanted: not _is_number(value) or value >= wanted),
    "maximum": _limit(lambda value, wanted: not _is_number(value) or value <= wanted),
    "minLength": _limit(lambda value, wanted: not isinstance(value, str) or len(value) >= wanted),
    "maxLength": _limit(lambda value, wanted: not isinstance(value, str) or len(value) <= wanted),
    "minProperties": _limit(lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted),
    "minItems": _limit(lambda value, wanted: not isinstance(value, list) or len(value) >= wanted),
    "maxItems": _limit(lambda value, wanted: not isinstance(value, list) or len(value) <= wanted),
}
