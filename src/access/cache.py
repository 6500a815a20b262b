"""Records an isolate keeps for a few seconds, so that a busy key costs no look-up. Holds no secret and no token."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: How long a revoked key may still pass the gate; reading data is refused at once (storage/guard.py).
FOUND_MS: Final = 15_000
ABSENT_MS: Final = 10_000
MAX_RECORDS: Final = 1_024


class RecordCache(Generic[T]):
    """The most recently used records, and for a shorter time that there was none."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[int, T | None]] = OrderedDict()

    def get(self, name: str, now_ms: int) -> tuple[bool, T | None]:
        """Whether the name is known at this instant, and what is known."""
        entry = self._entries.get(name)
        if entry is None or now_ms >= entry[0]:
            return False, None
        self._entries.move_to_end(name)
        return True, entry[1]

    def put(self, name: str, record: T | None, now_ms: int) -> None:
        self._entries[name] = (now_ms + (FOUND_MS if record is not None else ABSENT_MS), record)
        self._entries.move_to_end(name)
        while len(self._entries) > MAX_RECORDS:
            self._entries.popitem(last=False)

    def forget(self, name: str) -> None:
        self._entries.pop(name, None)
