"""What every route works with: the wired parts of the house and what one request needs of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from access.gate import Gate, Principal, Refusal
from access.rate_limits import Buckets, RateLimits
from analytics.event import Arrival, Origin
from analytics.paging import EventPages
from analytics.report_store import ReportingStore
from analytics.store import QuotaExceededError
from analytics.window import format_instant
from web.messages import Request


class Log(Protocol):
    """Takes what happened, the exception behind it, and the id that the client was told."""

    def __call__(self, event: str, error: BaseException, request_id: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class House:
    """The parts `entry` wires together, and the id of the one request they serve."""

    events: ReportingStore
    pages: EventPages
    gate: Gate
    ip_hash_salt: str
    now_ms: Callable[[], int]
    log: Log
    limits: RateLimits = field(default_factory=lambda: RateLimits(Buckets()))
    request_id: str = ""

    def for_request(self) -> House:
        """The house with an id of its own for one request, which every line it logs carries."""
        own_id = new_request_id()

        def log(event: str, error: BaseException, request_id: str = own_id) -> None:
            self.log(event, error, request_id)

        return replace(self, log=log, request_id=own_id)

    def arrival(self, request: Request, principal: Principal, origin: Origin) -> Arrival:
        """What the server knows of the request that brings an event of the principal's one project."""
        (project,) = principal.projects
        return Arrival(
            received_ms=self.now_ms(),
            project_id=project.id,
            origin=origin,
            ip_hash_salt=self.ip_hash_salt,
            new_event_id=new_event_id,
            ip=request.client_ip,
            country=request.country,
            user_agent=request.headers.get("user-agent", ""),
        )


def past_quota(error: QuotaExceededError, now_ms: int) -> Refusal:
    """Source: contract.md §6. The quota of a month that is over does not come back: its `resets_at` is null."""
    resets_at = format_instant(error.resets_ms) if error.resets_ms > now_ms else None
    return Refusal(402, "plan_limit", {"quota": error.quota, "used": error.used, "resets_at": resets_at})


def new_event_id() -> str:
    return f"evt_{secrets.token_hex(12)}"


def new_request_id() -> str:
    return f"req_{secrets.token_hex(8)}"
