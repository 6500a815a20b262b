"""What the crons do. Each job can be repeated and can be killed at any moment; the next run goes on."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol

from access.plans import PLANS
from analytics.window import day_of
from web.house import House

_KEEPS: Final[dict[str, int]] = {name: plan.retention_days for name, plan in PLANS.items()}


class AuditLog(Protocol):
    """The audit log as the crons look after it."""

    async def seal(self) -> None:
        """Seals what is not sealed yet."""

    async def first_broken(self, now_ms: int) -> int | None:
        """The entry up to which the first seal of the last ones does not hold."""

    async def prune(self, now_ms: int) -> None:
        """Deletes what is older than entries are kept."""


class Copies(Protocol):
    """KV's copies of keys and accounts."""

    async def catch_up(self, now_ms: int) -> int:
        """Writes some of what is pending; how many."""


class Erasures(Protocol):
    """Erasures, and the tombstones of them that a restore of the database does not undo."""

    async def catch_up(self) -> int:
        """Writes some of the tombstones that are pending; how many."""

    async def replay_if_asked(self) -> int | None:
        """As `replay`, if an operator asked for it."""

    async def replay(self) -> int:
        """Carries out again what the database knows nothing of; how many events went."""

    async def prune(self) -> None:
        """Forgets erasures whose tombstones are over."""


class AuditBrokenError(Exception):
    """A seal of the audit log does not hold: somebody changed what it covers."""


async def run_often(house: House, copies: Copies, audit: AuditLog) -> None:
    """Every five minutes: KV is brought up to date, the audit log is sealed."""
    await _try(house, "kv_copies_failed", copies.catch_up(house.now_ms()))
    await _try(house, "audit_seal_failed", audit.seal())


async def run_daily(house: House) -> None:
    """Folds what waits, removes what is older than the plans keep, adds up days that are over. One project's failure does
    not stop the others."""
    now_ms = house.now_ms()
    await house.events.fold_waiting()
    today = day_of(now_ms)
    kept = await house.events.set_retention(today, _KEEPS)
    for project, first_day in kept.items():
        await _try(house, "purge_failed", house.events.purge(project, first_day, now_ms))
        await _try(house, "adding_up_failed", house.events.add_up_days(project, first_day, today))


async def look_after_erasures(house: House, erasures: Erasures, *, daily: bool) -> None:
    """Tombstones that KV missed are written; erasures that a restore undid are done again, once a day or when asked."""
    await _try(house, "tombstones_failed", erasures.catch_up())
    if daily:
        await _try(house, "erasures_replay_failed", erasures.replay())
        await _try(house, "erasures_prune_failed", erasures.prune())
    else:
        await _try(house, "erasures_replay_failed", erasures.replay_if_asked())


async def look_after_audit(house: House, audit: AuditLog) -> None:
    """Once a day: the last seals are checked; what is older than 400 days goes, unless one of them is broken."""
    await _try(house, "audit_check_failed", _check_and_prune(audit, house.now_ms()))


async def _check_and_prune(audit: AuditLog, now_ms: int) -> None:
    """Errors: AuditBrokenError."""
    broken = await audit.first_broken(now_ms)
    if broken is not None:
        raise AuditBrokenError(f"the seal over entry {broken} does not hold; `npm run audit` shows the log")
    await audit.prune(now_ms)


async def _try(house: House, failing: str, job: Awaitable[object]) -> None:
    try:
        await job
    except Exception as error:
        house.log(failing, error)
