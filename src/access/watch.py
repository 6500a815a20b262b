"""What is written down about requests: that a key was used, and that somebody was refused. Bounded, however many come.

A key's use is written once an hour and isolate. Of refusals the 1st, 10th, 100th … of an hour and isolate are entries of
the audit log; an entry is named after the hour, who, why and how often, so that all isolates together write it once. Who
could not say who they are is `nobody`, of whom only bursts are written, from the 10th on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from access.audit import AuditEntry

HOUR_MS: Final = 3_600_000
NOBODY: Final = "nobody"
#: Entries at 1, 10, … of a key, at 10, 100, … of nobody; no more than these of one hour.
MARKS: Final = tuple(10**power for power in range(7))
MAX_REMEMBERED: Final = 4_096

#: What is written down: who may not do what, and failures to authenticate. Source: security.md, Audit.
WRITTEN_DOWN: Final = frozenset(
    {"missing_bearer_token", "malformed_api_key", "invalid_api_key", "key_kind_mismatch", "key_kind_not_allowed",
     "account_key_required", "insufficient_scope", "forget_requires_secret_key", "origin_not_allowed",
     "unknown_project_id", "unknown_project_slug", "rate_limited"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Actor:
    """Whose verified key it was."""

    key_id: str
    account_id: str


class Ledger(Protocol):
    """Where it is written."""

    async def used(self, key_id: str, now_ms: int) -> None:
        """Notes that a key was used, if the last note is older than an hour."""

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Adds entries to the audit log; those that are there already are left as they are."""


class Noticed:
    """How often each thing happened in its hour, as far as an isolate knows: the most recent things only."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()

    def count(self, who: str, what: str, now_ms: int) -> int:
        """How often it has happened in this hour, this time included."""
        hour, times = self._counts.get((who, what), (0, 0))
        times = times + 1 if hour == now_ms // HOUR_MS else 1
        self._counts[who, what] = (now_ms // HOUR_MS, times)
        self._counts.move_to_end((who, what))
        while len(self._counts) > MAX_REMEMBERED:
            self._counts.popitem(last=False)
        return times


class Watch:
    """Writes down what is to be written, after the response: `defer` is Workers' waitUntil."""

    def __init__(self, ledger: Ledger, noticed: Noticed, defer: Callable[[Awaitable[None]], None]) -> None:
        self._ledger = ledger
        self._noticed = noticed
        self._defer = defer

    def used(self, actor: Actor, now_ms: int) -> None:
        if self._noticed.count(actor.key_id, "used", now_ms) == 1:
            self._defer(self._ledger.used(actor.key_id, now_ms))

    def refused(
        self,
        actor: Actor | None,
        code: str,
        place: str,
        now_ms: int,
        *,
        request_id: str = "",
        client_ip: str = "",
    ) -> None:
        """`code` is what the client heard, with the reason behind a colon where it did not hear that; `place` a route."""
        if code.partition(":")[0] not in WRITTEN_DOWN:
            return
        who = actor.key_id if actor else NOBODY
        times = self._noticed.count(who, code, now_ms)
        if times not in MARKS or (actor is None and times == 1):
            return
        entry = AuditEntry(
            f"{now_ms // HOUR_MS} {who} {code} {times}",
            who,
            code,
            place,
            "refused",
            account_id=actor.account_id if actor else "",
            at=now_ms,
            times=times,
            request_id=request_id,
            address=network_of(client_ip),
        )
        self._defer(self._ledger.write([entry]))


def network_of(client_ip: str) -> str:
    """The /24 or /48 of an address, which tells a place and no person; empty where there is no address."""
    if "." in client_ip and ":" not in client_ip:
        return ".".join(client_ip.split(".")[:3])[:11] + ".0/24"
    if ":" not in client_ip:
        return ""
    groups = client_ip.partition("::")[0].split(":")[:3]
    return ":".join(group[:4] for group in groups if group) + "::/48"
