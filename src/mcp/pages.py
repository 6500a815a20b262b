"""Pages of an answer: rows beyond what a model can take in are cut, and a cursor leads on, whatever the tool.

A cursor is a place among the rows of one question, asked again over the window of the first page. It opens nothing that the
question itself does not, so it needs no seal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from pydantic import BaseModel, Field, create_model

from analytics.problems import InvalidArgumentsError
from mcp.messages import to_json
from mcp.size import fitting
from mcp.tool import Context, Reading, Tool

#: The window in milliseconds UTC, how many rows to skip, hashes of the other arguments and of how the window was asked for.
_PLACE: Final = struct.Struct(">qqI8s8s")


class Paged(BaseModel):
    """What every question for rows takes beside its own arguments."""

    cursor: str | None = Field(None, min_length=1, max_length=256)


def in_pages(tool: Tool[Any]) -> Tool[Any]:
    """The tool with pages."""

    async def run(asked: Any, context: Context) -> Reading:
        place = _opened(tool.name, asked)
        whole = cast("Reading", await tool.run(place.question, context))
        return _page(whole, place)

    if "cursor" in tool.input.model_fields:
        return replace(tool, run=run)
    return replace(
        tool, input=create_model(f"{tool.input.__name__}InPages", __base__=(Paged, tool.input)), run=run
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins. Shape: `question` has the window of the first page."""

    tool: str
    question: Any
    skip: int = 0

    def sealed(self, shown: int) -> str:
        """The cursor of the page after `shown` more rows."""
        start, end = _window(self.question)
        arguments = _arguments(self.tool, self.question)
        body = _PLACE.pack(start, end, self.skip + shown, arguments, _said(self.question))
        return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _opened(tool: str, asked: Any) -> _Place:
    """Where the asked page begins. Errors: InvalidArgumentsError for a cursor of another question."""
    if asked.cursor is None:
        return _Place(tool, asked)
    try:
        start, end, skip, hashed, said = _PLACE.unpack(
            base64.b64decode(asked.cursor + "=" * (-len(asked.cursor) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, struct.error, ValueError):
        raise _invalid(asked.cursor) from None
    if hashed != _arguments(tool, asked) or (said != _said(asked) and (start, end) != _window(asked)):
        raise _invalid(asked.cursor)
    return _Place(tool, asked.model_copy(update={"from_": start, "to": end}), skip)


def _arguments(tool: str, asked: Any) -> bytes:
    """What makes two questions the same but for their window."""
    return _hash(tool + to_json(asked.model_dump(mode="json", exclude={"cursor", "from_", "to"})))


def _page(whole: Reading, place: _Place) -> Reading:
    rows = whole.text[place.skip :]
    shown = fitting(rows)
    structured = {**whole.structured, "rows": rows[:shown]}
    if shown < len(rows):
        structured |= {"truncated": True, "next_cursor": place.sealed(shown)}
    return replace(whole, text=rows[:shown], structured=structured)


def _window(question: Any) -> tuple[int, int]:
    """A question without a window, such as `realtime`, is about now on every page."""
    return getattr(question, "from_", 0), getattr(question, "to", 0)


def _said(question: Any) -> bytes:
    return _hash("\0".join(getattr(question, "asked_window", ("", ""))))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _invalid(cursor: str) -> InvalidArgumentsError:
    reason = "is not a next_cursor of these arguments; repeat them as they were, or start without a cursor"
    return InvalidArgumentsError([{"field": "cursor", "reason": reason, "value": cursor[:80]}])
