"""Text written by strangers, as it is kept: what a reader cannot see is taken out before it is stored.

Control, format (zero-width, bidirectional, tag) and private-use characters, surrogates and unassigned ones go; line breaks
and every other kind of white space become a space. Source: security.md, toxic flow, control 4.
"""

from __future__ import annotations

from typing import Any


def visible(text: str) -> str:
    """The text without what cannot be seen. `isprintable` is exactly the complement of those classes, and of spaces."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one.isspace() else "" for one in text)


def visible_throughout(value: Any) -> Any:
    """The same for every text in a JSON value, names included. Nesting is bounded by analytics.intake."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [visible_throughout(item) for item in value]
    if isinstance(value, dict):
        return {visible(name): visible_throughout(member) for name, member in value.items()}
    return value
