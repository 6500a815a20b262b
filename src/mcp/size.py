"""How much an answer may hold: what a client's model can take in at once. What is cut is said, never silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mcp.messages import to_json

#: About 25,000 tokens, beyond which common clients drop or shorten a tool's answer by themselves.
MAX_TEXT: Final = 100_000


def fitting(rows: Sequence[Any]) -> int:
    """How many rows, from the first on, make a JSON text of at most MAX_TEXT characters; one at least."""
    if len(to_json(rows)) <= MAX_TEXT:
        return len(rows)
    length = 1
    for count, row in enumerate(rows):
        length += len(to_json(row)) + 1
        if length > MAX_TEXT:
            return max(count, 1)
    return len(rows)
