"""How much an isolate works on at once: what comes on top is refused at once, so that what it has begun is still wanted
when it is done. Without a bound a spike is felt long after it is over: every answer comes too late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from access.gate import Refusal
from web.messages import Request

#: Requests at once. An answer takes some 10 ms of an isolate's one core, so the last of them waits for well under a second.
MOST: Final = 64
RETRY_AFTER_S: Final = 2


class ConcurrencyLimit:
    """Counts the requests under way in an isolate. A request whose body is still arriving is not counted: it takes no time
    of ours, and many slow clients must not keep the others out."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._under_way = 0

    @contextmanager
    def working_on(self, request: Request) -> Iterator[Request]:
        """Counts a request until the end. Errors: Refusal 503 `overloaded`, also from reading the body."""
        self._enter()
        try:
            yield replace(request, read_body=self._uncounted(request.read_body))
        finally:
            self._under_way -= 1

    def _enter(self) -> None:
        if self._under_way >= self._most:
            raise self._overloaded()
        self._under_way += 1

    def _overloaded(self) -> Refusal:
        return Refusal(503, "overloaded", {"at_once": self._most}, {"retry-after": str(RETRY_AFTER_S)})

    def _uncounted(
        self, read_body: Callable[[int], Awaitable[bytes | None]]
    ) -> Callable[[int], Awaitable[bytes | None]]:
        async def read(limit: int) -> bytes | None:
            self._under_way -= 1
            try:
                body = await read_body(limit)
            finally:
                self._under_way += 1
            if self._under_way > self._most:
                raise self._overloaded()
            return body

        return read
