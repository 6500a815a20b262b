"""Tombstones of erasures: names in KV, which no restore of D1 takes back. Whom they mean, only who has the pepper can tell.

An erasure is repeatable and so is its tombstone: each is a name of its own, so none overwrites another's time, and KV's one
write a second for a name holds nobody up. A list gives names, so a name says everything, and is all that is read.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

from access.plans import PLANS

_DOMAIN: Final = b"mm-erased-v1\0"
_PREFIX: Final = "erased:v1:"

#: How long a tombstone is kept. Time Travel reaches back 30 days, an export of the database as far as somebody kept one; but
#: what retention takes (access/plans.py) it takes again from whatever was restored. So a tombstone outlives the longest
#: retention, with a margin for a purge that was late, and then no copy of any age brings anybody back.
KEPT_DAYS: Final = max(plan.retention_days for plan in PLANS.values()) + 35
KEPT_MS: Final = KEPT_DAYS * 86_400_000

#: How long KV may take before an erasure is answered without it; the cron writes the tombstone then.
KV_BUDGET_S: Final = 2.0
#: One run lists at most so many pages, 1,000 names each: KV allows 1,000 calls an invocation (workers-platform.md §3.3).
PAGES_PER_RUN: Final = 500


class TooManyTombstonesError(Exception):
    """There are more than one run can list; those it saw were looked at."""


class NameStore(Protocol):
    """A KV namespace whose names can be listed. May raise anything when it is down."""

    async def put(self, name: str, text: str, expiration_s: int | None = None) -> None:
        """Stores a text, until an instant if one is given."""

    async def list(self, prefix: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Some names that begin so, in order, and where to go on, or None at the end."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One erasure: everything of `person` in a project that had arrived by `at_ms` was erased.

    Shape: `person` is a keyed hash. Units: milliseconds UTC.
    """

    project_id: str
    person: str
    include_anonymous: bool
    at_ms: int

    @property
    def name(self) -> str:
        extent = "all" if self.include_anonymous else "named"
        return f"{_PREFIX}{self.project_id}:{self.person}:{extent}:{self.at_ms}"

    @property
    def expires_s(self) -> int:
        return (self.at_ms + KEPT_MS) // 1000


def tombstone_of(name: str) -> Tombstone | None:
    """The inverse of `Tombstone.name`; None for a name of another kind."""
    parts = name.removeprefix(_PREFIX).split(":")
    if len(parts) != 4 or parts[2] not in ("all", "named") or not parts[3].isdecimal():
        return None
    return Tombstone(parts[0], parts[1], parts[2] == "all", int(parts[3]))


@cache
def tombstone_secret(pepper: bytes) -> bytes:
    """The secret persons are named with, from one the house has already; neither tells the other."""
    return hmac.digest(pepper, _DOMAIN, "sha256")


class Tombstones:
    """Writes and lists them. `secret` names persons; `now_ms` is the clock that events are received by."""

    def __init__(
        self,
        namespace: NameStore,
        secret: bytes,
        now_ms: Callable[[], int],
        kv_budget_s: float = KV_BUDGET_S,
    ) -> None:
        self._namespace = namespace
        self._secret = secret
        self._now_ms = now_ms
        self._kv_budget_s = kv_budget_s

    def now_ms(self) -> int:
        return self._now_ms()

    def person(self, project_id: str, person: int) -> str:
        """Whom a tombstone names. `person` is the hash that the table `people` knows them by: anyone can work that out of a
        `user_id` they guess, and nobody the name without the secret."""
        return hmac.digest(self._secret, f"{project_id}\0{person}".encode(), "sha256")[:16].hex()

    async def keep(self, one: Tombstone) -> None:
        """Errors: whatever KV raises, and TimeoutError."""
        await asyncio.wait_for(self._namespace.put(one.name, "", one.expires_s), self._kv_budget_s)

    async def pages(self) -> AsyncIterator[list[Tombstone]]:
        """Every tombstone, page by page. Errors: TooManyTombstonesError after the last page that a run may list."""
        cursor: str | None = None
        for _ in range(PAGES_PER_RUN):
            names, cursor = await self._namespace.list(_PREFIX, cursor)
            yield [found for name in names if (found := tombstone_of(name))]
            if cursor is None:
                return
        raise TooManyTombstonesError(f"more than {PAGES_PER_RUN} pages of tombstones")
