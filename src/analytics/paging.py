"""Pages of events: a cursor is the place of the last event shown, sealed to the question and the projects asked about.

A cursor is opaque to clients, and it opens only for who could have received it: same arguments, same projects. It holds
the window of the first page, so that `7d` means the same on every page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import struct
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any, Final

from analytics.problems import InvalidArgumentsError
from analytics.questions import EventsQuestion
from analytics.scope import Scope
from analytics.store import Answer, EventStore, Place
from analytics.window import Window

_DOMAIN: Final = b"mm-cursor-v1\0"
_SEAL_BYTES: Final = 16
#: The members of a `Window` and of a `Place` in their order, and a hash of how the window was asked for.
_POSITION: Final = struct.Struct(">qqqqqqq8s")
#: Arguments that may change from page to page.
_FREE: Final = frozenset({"cursor", "limit"})


@dataclass(frozen=True, slots=True)
class Page:
    """Events, the window they were sought in, and the cursor of the next page, or None when this was the last."""

    answer: Answer
    window: Window
    next_cursor: str | None


@cache
def cursor_secret(pepper: bytes) -> bytes:
    """The secret cursors are sealed with, from one the house has already; neither tells the other."""
    return hmac.digest(pepper, _DOMAIN, "sha256")


class EventPages:
    """Reads events page by page. `secret` seals the cursors."""

    def __init__(self, events: EventStore, secret: bytes) -> None:
        self._events = events
        self._secret = secret

    async def read(self, scope: Scope, question: EventsQuestion) -> Page:
        """One page.

        Errors: InvalidArgumentsError for a cursor that was not made for this question; those of the store.
        """
        bound = _bound(scope, question)
        window, after = question.window, None
        if question.cursor is not None:
            window, after = self._open(question, bound)
            question = question.model_copy(update={"from_": window.start_ms, "to": window.end_ms})
        answer = await self._events.events(scope, question, after)
        return Page(answer, window, None if answer.last is None else self._seal(question, answer.last, bound))

    def _seal(self, question: EventsQuestion, place: Place, bound: bytes) -> str:
        body = _POSITION.pack(*astuple(question.window), *astuple(place), _said(question))
        return sealed(self._secret, body, bound)

    def _open(self, question: EventsQuestion, bound: bytes) -> tuple[Window, Place]:
        """The window may be repeated in the words it was asked for, or as the answer told it."""
        body = opened(self._secret, question.cursor or "", bound)
        start_ms, end_ms, *place, said = _POSITION.unpack(body)
        window = Window(start_ms, end_ms)
        if said != _said(question) and window != question.window:
            raise _invalid()
        return window, Place(*place)


def sealed(secret: bytes, body: bytes, bound: bytes) -> str:
    """A cursor that holds `body` and is good for `bound` alone, which never holds a zero byte."""
    return base64.urlsafe_b64encode(_signature(secret, body, bound) + body).decode().rstrip("=")


def opened(secret: bytes, cursor: str, bound: bytes) -> bytes:
    """What a cursor holds. Errors: InvalidArgumentsError, unless it was sealed for `bound`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _signature(secret, body, bound)):
        raise _invalid()
    return body


def _signature(secret: bytes, body: bytes, bound: bytes) -> bytes:
    return hmac.digest(secret, bound + b"\0" + body, "sha256")[:_SEAL_BYTES]


def _bound(scope: Scope, question: EventsQuestion) -> bytes:
    """What a cursor is good for: the projects and the arguments but the window, as one text."""
    arguments: dict[str, Any] = {
        name: getattr(question, name)
        for name in EventsQuestion.model_fields
        if name not in _FREE and name not in ("from_", "to")
    }
    projects = [one.id for one in scope.projects]
    return json.dumps([projects, arguments], sort_keys=True).encode()


def _said(question: EventsQuestion) -> bytes:
    return hashlib.sha256("\0".join(question.asked_window).encode()).digest()[:8]


def _invalid() -> InvalidArgumentsError:
    reason = "is not a next_cursor of these arguments; repeat them as they were, or start without a cursor"
    return InvalidArgumentsError([{"field": "cursor", "reason": reason}])
