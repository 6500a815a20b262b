"""Rate limits: an exact token bucket per project and route in each isolate, the platform's limiter behind it.

What is exact and what is per location: docs/limits.md. No clock of its own and no I/O but the guards it is given.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from access.gate import Principal, Refusal

Route = Literal["track", "batch", "read"]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a project may call a route: `burst` at once, and `per_s` more each second."""

    per_s: int
    burst: int


#: Source: contract.md §2 for track and batch; reads are generous: they are cheap, and what is not is refused by the store.
RATES: Final[Mapping[Route, Rate]] = {"track": Rate(50, 200), "batch": Rate(5, 20), "read": Rate(200, 1_000)}

#: What is said of the limit on failed authentication.
FAILING: Final = {"route": "authentication"}

_MILLI: Final = 1_000
_MAX_BUCKETS: Final = 10_000


class Buckets:
    """The token buckets of an isolate, the most recently used. Integers throughout: a token is 1,000 parts, and a
    millisecond brings `per_s` of them."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[Route, str], tuple[int, int]] = OrderedDict()
        self._prepaid: OrderedDict[str, int] = OrderedDict()

    def take(self, route: Route, owner: str, rate: Rate, now_ms: int) -> int:
        """Takes one token. 0, or in how many milliseconds there will be one."""
        full = rate.burst * _MILLI
        parts, at_ms = self._buckets.get((route, owner), (full, now_ms))
        parts = min(full, parts + max(0, now_ms - at_ms) * rate.per_s)
        missing = max(0, _MILLI - parts)
        self._buckets[route, owner] = (parts if missing else parts - _MILLI, max(now_ms, at_ms))
        self._buckets.move_to_end((route, owner))
        while len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return -(-missing // rate.per_s)

    def prepay(self, key: str, calls: int) -> None:
        """Keeps calls that a limiter of the platform has counted already."""
        if calls:
            self._prepaid[key] = self._prepaid.pop(key, 0) + calls
        while len(self._prepaid) > _MAX_BUCKETS:
            self._prepaid.popitem(last=False)

    def spend(self, key: str) -> bool:
        """Whether there was a prepaid call; it is spent."""
        left = self._prepaid.pop(key, 0)
        if left > 1:
            self._prepaid[key] = left - 1
        return left > 0


@dataclass(frozen=True, slots=True)
class Guard:
    """One limiter of the platform. Units: `period_s`, over which it counts and after which to come again; `calls`, how
    many calls it counts as one: an isolate asks it before the first of them."""

    allows: Callable[[str], Awaitable[bool]]
    period_s: int
    calls: int = 1


class RateLimits:
    """Who may call now. `guards` are the platform's limiters of the routes, `sign_ins` that of failed authentication."""

    def __init__(
        self,
        buckets: Buckets,
        rates: Mapping[Route, Rate] = RATES,
        guards: Mapping[Route, Guard] | None = None,
        sign_ins: Guard | None = None,
    ) -> None:
        self._buckets = buckets
        self._rates = rates
        self._guards = guards or {}
        self._sign_ins = sign_ins

    async def admit(self, route: Route, principal: Principal, now_ms: int) -> None:
        """Counts one call of a verified key. Errors: Refusal 429 `rate_limited`.

        A platform limiter that fails lets it pass: the bucket has counted it.
        """
        owner = principal.account_id if principal.kind == "ak" else principal.projects[0].id
        rate = self._rates.get(route)
        if rate is not None and (wait_ms := self._buckets.take(route, owner, rate, now_ms)):
            limit = {"route": route, "per_s": rate.per_s, "burst": rate.burst}
            raise _too_many(-(-wait_ms // _MILLI), limit)
        guard, key = self._guards.get(route), f"{route}:{owner}"
        if guard is None or self._buckets.spend(key):
            return
        if not await _allows(guard, key, failing=True):
            raise _too_many(guard.period_s, {"route": route})
        self._buckets.prepay(key, guard.calls - 1)

    async def refuse(self, refusal: Refusal, address: str) -> Refusal:
        """What somebody hears who could not say who they are: 401, or after too many of them 429.

        A platform limiter that fails counts as too many: nothing but failures is turned away by it.
        """
        if self._sign_ins is None or await _allows(self._sign_ins, address, failing=False):
            return refusal
        return _too_many(self._sign_ins.period_s, FAILING)


async def _allows(guard: Guard, key: str, *, failing: bool) -> bool:
    try:
        return await guard.allows(key)
    except Exception:
        return failing


def _too_many(wait_s: int, limit: Mapping[str, object]) -> Refusal:
    return Refusal(429, "rate_limited", limit, {"retry-after": str(wait_s)})
