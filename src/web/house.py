"""What every route works with: the wired parts of the house and what one request needs of them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from access.gate import Gate, Principal, Refusal
from access.rate_limits import Buckets, RateLimits
from access.watch import Actor, Watch
from analytics.erasure import ErasureTokens
from analytics.event import Arrival, Origin
from analytics.paging import EventPages
from analytics.report_store import ReportingStore
from analytics.store import QuotaExceededError
from analytics.subject_export import ExportPages
from analytics.window import format_instant
from web.concurrency import ConcurrencyLimit
from web.messages import Request, Response
from web.request_log import Caller, RequestLog


class Log(Protocol):
    """Takes what happened, the exception behind it, and the id that the client was told."""

    def __call__(self, event: str, error: BaseException, request_id: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class House:
    """The parts `entry` wires together; the id of the one request they serve, and who sent it."""

    events: ReportingStore
    pages: EventPages
    exports: ExportPages
    erasures: ErasureTokens
    gate: Gate
    ip_hash_salt: str
    now_ms: Callable[[], int]
    log: Log
    requests: RequestLog = field(default_factory=RequestLog)
    limits: RateLimits = field(default_factory=lambda: RateLimits(Buckets()))
    watch: Watch | None = None
    concurrency: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)
    #: Raises what is wrong with the database. Errors: StoreUnavailableError.
    check_store: Callable[[], Awaitable[None]] | None = None
    request_id: str = ""
    caller: Caller = field(default_factory=Caller)

    def for_request(self) -> House:
        """The house with an id of its own for one request, which every line it logs carries."""
        own_id = new_request_id()

        def log(event: str, error: BaseException, request_id: str = own_id) -> None:
            self.log(event, error, request_id)

        return replace(self, log=log, request_id=own_id, caller=Caller())

    async def admit(self, authorization: str | None) -> Principal:
        """Who sent the request. Errors: as `Gate.admit`."""
        principal = await self.gate.admit(authorization, self.now_ms())
        self.caller.is_known(principal)
        return principal

    def used(self) -> None:
        """Notes that the caller's key was used."""
        if self.watch and self.caller.actor:
            self.watch.used(self.caller.actor, self.now_ms())

    def refused(self, request: Request, code: str, actor: Actor | None = None) -> None:
        """Notes that the request was refused; `actor` is whose key it was, where it opens nothing."""
        self.caller.error = code
        self.caller.actor = actor or self.caller.actor
        if self.watch:
            self.watch.refused(
                self.caller.actor,
                code,
                f"{request.method} {request.path}",
                self.now_ms(),
                request_id=self.request_id,
                client_ip=request.client_ip,
            )

    def answered(self, request: Request, response: Response, path: str | None) -> None:
        """Notes what the request got; `path` is the route it took, if it took one."""
        self.requests.note(request, response, self.caller, self.request_id, path=path)

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
