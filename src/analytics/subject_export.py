"""Exporting a person: what can be asked, and pages whose cursors are sealed to who asked about whom.

A cursor carries the name of the export's one entry in the audit log, so that its pages are one entry however they are
asked for. It opens only for the key, the project, the person and the choice about anonymous events of the first page.
"""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from analytics.event import UserId
from analytics.paging import opened, sealed
from analytics.scope import Scope
from analytics.store import Answer, EventStore, Place

#: Also how many rows an export gives at once unless told.
MAX_EXPORTED_ROWS: Final = 1_000
_ENTRY_BYTES: Final = 8
#: `ts_ms`, `event`, `name` and `visitor` of a `Place`, and the entry.
_POSITION: Final = struct.Struct(f">qqqq{_ENTRY_BYTES}s")


class ExportQuestion(BaseModel):
    """The body of POST /v1/export."""

    model_config = ConfigDict(strict=True, extra="ignore")

    user_id: UserId
    include_anonymous: bool = Field(
        False, description="Also the events without user_id of the devices the person was seen on."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_EXPORTED_ROWS)] = MAX_EXPORTED_ROWS
    cursor: str | None = Field(None, min_length=1, max_length=512)


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some events, and the cursor of the next page, or None when nothing is left."""

    answer: Answer
    next_cursor: str | None


class ExportPages:
    """Reads everything about a person page by page. `secret` seals the cursors."""

    def __init__(self, events: EventStore, secret: bytes) -> None:
        self._events = events
        self._secret = secret

    async def read(self, scope: Scope, question: ExportQuestion, request_id: str) -> ExportPage:
        """One page.

        Errors: InvalidArgumentsError for a cursor that was not made for this question; those of the store.
        """
        bound = _bound(scope, question)
        after, entry = None, secrets.token_hex(_ENTRY_BYTES)
        if question.cursor is not None:
            after, entry = _unpacked(opened(self._secret, question.cursor, bound))
        answer = await self._events.export(
            scope,
            question.user_id,
            include_anonymous=question.include_anonymous,
            limit=question.limit,
            after=after,
            request_id=request_id,
            entry=entry,
        )
        next_cursor = (
            None if answer.last is None else sealed(self._secret, _packed(answer.last, entry), bound)
        )
        return ExportPage(answer, next_cursor)


def _bound(scope: Scope, question: ExportQuestion) -> bytes:
    """What a cursor is good for. Its first word tells it from the cursors of event lists, sealed with the same secret."""
    projects = [one.id for one in scope.projects]
    return json.dumps(
        ["export", scope.key_id, projects, question.user_id, question.include_anonymous]
    ).encode()


def _packed(place: Place, entry: str) -> bytes:
    return _POSITION.pack(place.ts_ms, place.event, place.name, place.visitor, bytes.fromhex(entry))


def _unpacked(body: bytes) -> tuple[Place, str]:
    ts_ms, event, name, visitor, entry = _POSITION.unpack(body)
    return Place(ts_ms, 0, event, name, visitor), entry.hex()
