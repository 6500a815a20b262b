"""The event store as the rest of the house sees it: what it answers and how it fails. Storage implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from analytics.erasure import Subject
from analytics.event import Event
from analytics.filters import Dimension
from analytics.questions import (
    ComparisonQuestion,
    EventsQuestion,
    FunnelQuestion,
    SourcesQuestion,
    StatsQuestion,
)
from analytics.scope import Scope
from analytics.window import Window

Row = dict[str, Any]

#: Where an answer comes from: whole days and values, visitors per day, or single events (src/storage/tiers.py).
Tier = Literal["daily", "visitor_days", "events"]


class StoreUnavailableError(Exception):
    """The store did not answer; asking again later may succeed."""

    reason = "store_unavailable"
    retry_after_s = 5


class StoreOverloadedError(StoreUnavailableError):
    """The store has more to do than it can; asking again at once makes it worse."""

    reason = "overloaded"
    retry_after_s = 10


class StoreNotReadyError(StoreUnavailableError):
    """The store lacks a table: its schema is not applied, or not yet."""

    reason = "not_ready"


class StorageFullError(Exception):
    """The store takes nothing more in; what it holds can still be read."""


class QueryTooHeavyError(Exception):
    """The question needs more work than the store allows; a narrower window may succeed."""


class ScopeWithdrawnError(Exception):
    """The key, its account or a project is no longer valid, though a cached record still said so.

    Shape: `project_gone` is True when the key is fine and a project is not.
    """

    def __init__(self, *, project_gone: bool = False) -> None:
        super().__init__("project withdrawn" if project_gone else "key withdrawn")
        self.project_gone = project_gone


class QuotaExceededError(Exception):
    """The project's plan has no room for these events. Units: `resets_ms` is when a month with room begins."""

    def __init__(self, quota: int, used: int, resets_ms: int) -> None:
        super().__init__("quota exceeded")
        self.quota = quota
        self.used = used
        self.resets_ms = resets_ms


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost the database, as it counts it itself."""

    rows_read: int = 0
    rows_written: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in the one order of all events of a scope, newest first: no two share a place.

    Shape: `project` is the event's project by its position in the scope; `event`, `name` and `visitor` are storage's.
    """

    ts_ms: int
    project: int
    event: int
    name: int
    visitor: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows that answer a question.

    Shape: one dict a row, columns in the contract's order; `truncated` says that the limit cut rows off; `tier` is the
    roll-up that served it; `last`, of single events that go on, is the place of the last one; `origins`, of single
    events, how many each origin handed in.
    """

    rows: list[Row]
    cost: Cost = field(default_factory=Cost)
    truncated: bool = False
    tier: Tier = "events"
    sampled: bool = False
    last: Place | None = None
    origins: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """The outcome of an append. `duplicate` says that the one event of the request was stored already."""

    duplicate: bool
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class StepCount:
    """How far a funnel's visitors came. Units: milliseconds from the chain's start; None where there is no time."""

    step: int
    visitors: int
    median_ms: int | None
    mean_ms: float | None
    project_id: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class FunnelCounts:
    """One entry per project, group and step that any visitor reached; steps nobody reached are absent."""

    steps: list[StepCount]
    cost: Cost = field(default_factory=Cost)


class EventStore(Protocol):
    """Keeps events and answers questions about them, for the projects of a scope and no others.

    Errors: StoreUnavailableError, QueryTooHeavyError, ScopeWithdrawnError.
    """

    async def append(self, scope: Scope, events: Sequence[Event], quota: int) -> Stored:
        """Stores events of the scope's one project, all or none; those already stored are left as they are.

        Errors: QuotaExceededError, when a month would have more than `quota` events of the project.
        """

    async def subject(self, scope: Scope, user_id: str, *, include_anonymous: bool) -> Subject:
        """What `forget` would delete of a person in the scope's one project."""

    async def forget(
        self, scope: Scope, user_id: str, *, include_anonymous: bool, request_id: str = "", entry: str = ""
    ) -> int:
        """Deletes the events of a person in the scope's one project and corrects every roll-up; how many there were.

        With `include_anonymous` also the events without `user_id` of the devices the person was seen on. Repeatable: what
        an interrupted call left is deleted by the next. Each call is one entry of the audit log; calls that give the same
        `entry` are one.
        """

    async def export(
        self,
        scope: Scope,
        user_id: str,
        *,
        include_anonymous: bool,
        limit: int,
        after: Place | None = None,
        request_id: str = "",
        entry: str = "",
    ) -> Answer:
        """All that is stored about the events that `forget` would delete if asked the same, oldest first, after a place.

        A call looks at a bounded number of events, so there may be fewer rows than the limit, or none, though it goes on:
        `last` is then where. Each call is in the audit log; calls that give the same `entry` are one.
        """

    async def events(self, scope: Scope, question: EventsQuestion, after: Place | None = None) -> Answer:
        """Events, newest first, in the columns of contract.md's GET /v1/query; those after a place if one is given."""

    async def recent(self, scope: Scope, limit: int) -> Answer:
        """The newest events, whatever their age, in the columns of `events`."""

    async def stats(self, scope: Scope, question: StatsQuestion) -> Answer:
        """Rows `bucket?, project_id?, <group columns>, value`."""

    async def sources(self, scope: Scope, question: SourcesQuestion) -> Answer:
        """Rows `project_id?, source, medium?, events, uniques, paid_share`."""

    async def funnel(self, scope: Scope, question: FunnelQuestion) -> FunnelCounts:
        """How many visitors reached each step. Source: metrics.md, Funnel."""

    async def compare(self, scope: Scope, question: ComparisonQuestion) -> Answer:
        """Rows `project_id, slug, name, value`: every project of the scope, zeros too, highest first."""

    async def event_names(self, scope: Scope, window: Window) -> Answer:
        """Rows `project_id?, event_name, count`, most frequent first; those beyond 500 are one row `(other)` a project, with
        the number of `names`."""

    async def set_retention(self, today: int, keeps: Mapping[str, int]) -> Mapping[int, int]:
        """From now on each project begins `keeps[plan]` days before `today`; the first day kept, by project number."""

    async def purge(self, project: int, first_day: int, now_ms: int) -> int:
        """Deletes what is older than `first_day`; how many events. Repeatable: it goes on where another one stopped."""

    async def add_up_days(self, project: int, first_day: int, today: int) -> int:
        """Adds up days from `first_day` on that few events still come for, so that long windows read fewer rows; how many
        times eight. Repeatable; answers are the same with and without."""

    async def fold_waiting(self) -> int:
        """Brings the roll-ups of every project up to date; how many projects had something waiting."""

    async def values(self, scope: Scope, dimension: Dimension, prefix: str, limit: int) -> Sequence[str]:
        """Texts that events of the scope carry in a dimension and that begin with `prefix`, in order."""

    async def unknown_events(
        self, scope: Scope, names: Sequence[str]
    ) -> tuple[Mapping[str, Sequence[str]], Cost]:
        """Those of some event names that no project of the scope ever received, in their order; with each, names they did
        receive, the nearest in the order of texts first and not more than 200 in all."""
