"""Pages of events: a cursor is the place of the last event shown, sealed to the question and the projects asked about.

A cursor is opaque to clients, and it opens only for who could have received it: same arguments, same projects.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import struct
from dataclasses import astuple
from typing import Any, Final

from analytics.problems import InvalidArgumentsError
from analytics.questions import EventsQuestion
from analytics.scope import Scope
from analytics.store import Answer, EventStore, Place

_DOMAIN: Final = b"mm-cursor-v1\0"
_SEAL_BYTES: Final = 16
#: The members of a `Place` in their order.
_PLACE: Final = struct.Struct(">qqqqq")
#: Arguments that may change from page to page.
_FREE: Final = frozenset({"cursor", "limit"})


def cursor_secret(pepper: bytes) -> bytes:
    """The secret cursors are sealed with, from one the house has already; neither tells the other."""
    return hmac.digest(pepper, _DOMAIN, "sha256")


class EventPages:
    """Reads events page by page. `secret` seals the cursors."""

    def __init__(self, events: EventStore, secret: bytes) -> None:
        self._events = events
        self._secret = secret

    async def read(self, scope: Scope, question: EventsQuestion) -> tuple[Answer, str | None]:
        """One page, and the cursor of the next, or None when this was the last.

        Errors: InvalidArgumentsError for a cursor that was not made for this question; those of the store.
        """
        bound = _bound(scope, question)
        after = None if question.cursor is None else self._open(question.cursor, bound)
        answer = await self._events.events(scope, question, after)
        return answer, None if answer.last is None else self._seal(answer.last, bound)

    def _seal(self, place: Place, bound: bytes) -> str:
        body = _PLACE.pack(*astuple(place))
        return base64.urlsafe_b64encode(self._signature(body, bound) + body).decode().rstrip("=")

    def _open(self, cursor: str, bound: bytes) -> Place:
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._signature(body, bound)):
            raise _invalid()
        return Place(*_PLACE.unpack(body))

    def _signature(self, body: bytes, bound: bytes) -> bytes:
        return hmac.digest(self._secret, bound + b"\0" + body, "sha256")[:_SEAL_BYTES]


def _bound(scope: Scope, question: EventsQuestion) -> bytes:
    """What a cursor is good for: the projects and the arguments, as one text."""
    arguments: dict[str, Any] = {
        name: getattr(question, name) for name in EventsQuestion.model_fields if name not in _FREE
    }
    return json.dumps([[one.id for one in scope.projects], arguments], sort_keys=True).encode()


def _invalid() -> InvalidArgumentsError:
    reason = (
        "is not a next_cursor of these arguments; repeat them as they were, with `from` and `to` as `window` told them, "
        "or start without a cursor"
    )
    return InvalidArgumentsError([{"field": "cursor", "reason": reason}])
