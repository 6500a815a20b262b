"""A Database that tries again: what D1 itself calls transient, a few times, within a budget.

Every batch may be run twice. A question changes nothing but folds, and a second fold finds the inbox empty; an append
carries its claim or its event's identity, so the second row collides with the first or folds into the same events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from storage.database import Database, Result, Statement
from storage.faults import Fault, fault_of, named

#: How long to wait before each further try, at most; the wait is drawn from 0 up to it. Three tries in all.
TRANSIENT_WAITS_MS: Final = (50, 150)
#: An overloaded database is asked once more, and not before this.
OVERLOADED_WAIT_MS: Final = 250
#: No further try begins once a batch has taken this long.
BUDGET_MS: Final = 2_000

#: Every batch earns half a retry, up to this many: however long an outage lasts, it costs 1.5 times the calls.
MOST_RETRIES: Final = 10.0
EARNED: Final = 0.5


@dataclass
class RetryBudget:
    """What the retries of one isolate may still cost."""

    left: float = MOST_RETRIES

    def earn(self) -> None:
        self.left = min(MOST_RETRIES, self.left + EARNED)

    def spend(self) -> bool:
        """Whether one more retry is allowed; it is counted."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Patient:
    """The port over another database. `chance` draws from [0, 1); `sleep` takes seconds.

    Errors: what storage/faults.py names; anything else passes through.
    """

    database: Database
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    now_ms: Callable[[], int]
    budget: RetryBudget = field(default_factory=RetryBudget)

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        self.budget.earn()
        began_ms = self.now_ms()
        tries = 0
        while True:
            tries += 1
            try:
                return await self.database.batch(statements)
            except Exception as error:
                fault = fault_of(error)
                wait_ms = self._wait_ms(fault, tries)
                late = self.now_ms() - began_ms + (wait_ms or 0) > BUDGET_MS
                if wait_ms is None or late or not self.budget.spend():
                    raise named(fault, error) from error
            await self.sleep(wait_ms / 1000)

    def _wait_ms(self, fault: Fault | None, tries: int) -> float | None:
        """How long to wait before the next try; None when there is none."""
        if fault == "transient" and tries <= len(TRANSIENT_WAITS_MS):
            return self.chance() * TRANSIENT_WAITS_MS[tries - 1]
        if fault == "overloaded" and tries == 1:
            return OVERLOADED_WAIT_MS * (1 + self.chance())
        return None
