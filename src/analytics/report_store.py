"""The store as reports see it: what it counts for each of them. Storage implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from analytics.annotations import Annotation
from analytics.cohorts import Activity, LifecycleQuestion, RetentionQuestion, Returned
from analytics.diagnosis import Diagnosed, DiagnoseQuestion
from analytics.health import HealthQuestion, Healthy
from analytics.measures import Counted, Measurement
from analytics.money import AttributionQuestion, ChannelRoiQuestion, Credit, RevenueQuestion, Spent, Takings
from analytics.scan import Day, Scanned, ScanQuestion
from analytics.schema import Described, SchemaQuestion
from analytics.scope import Scope
from analytics.store import Answer, Cost, EventStore, Tier
from analytics.visits import JourneyQuestion, PathsQuestion, SessionsQuestion


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted for each measurement, in their order."""

    counted: list[list[Counted]]
    cost: Cost = field(default_factory=Cost)
    tier: Tier = "events"


class Reports(Protocol):
    """Answers reports about the projects of a scope and no others. Errors: as `EventStore`."""

    async def measure(self, scope: Scope, asked: Sequence[Measurement]) -> Measured:
        """Counts for each measurement, all in one round trip; what has no events is absent."""

    async def noted(self, scope: Scope, asked: Measurement) -> tuple[Measured, list[Annotation]]:
        """The counts of one measurement, and the notes of its window, in order; one more than are shown if there are."""

    async def retention(self, scope: Scope, question: RetentionQuestion) -> tuple[list[Returned], Cost]:
        """The sizes of cohorts, and how many of each came back when."""

    async def lifecycle(self, scope: Scope, question: LifecycleQuestion) -> tuple[list[Activity], Cost]:
        """Visitors of each kind in each interval, or by number of active intervals."""

    async def takings(self, scope: Scope, question: RevenueQuestion) -> Takings:
        """Income by currency, the customers who paid most, subscriptions at both ends, visitors."""

    async def credits(
        self, scope: Scope, question: AttributionQuestion | ChannelRoiQuestion
    ) -> tuple[list[Credit], list[Spent], Cost]:
        """Conversions by the values of their touches, and what `$ad_spend` events cost."""

    async def sessions(self, scope: Scope, question: SessionsQuestion) -> Answer:
        """Single sessions, newest first."""

    async def paths(self, scope: Scope, question: PathsQuestion) -> Answer:
        """Rows `project_id?, path, sessions, visitors, share`, the most frequent first."""

    async def journey(self, scope: Scope, question: JourneyQuestion) -> Answer:
        """The events of one person, in order."""

    async def describe(self, scope: Scope, question: SchemaQuestion) -> Described:
        """The events of the window, what they carry and the most frequent values."""

    async def scan(self, scope: Scope, question: ScanQuestion, days: Sequence[Day]) -> Scanned:
        """Counts of the judged days and of the four weeks before them; none without days."""

    async def diagnose(self, scope: Scope, question: DiagnoseQuestion) -> Diagnosed:
        """Both periods by every dimension that is asked for."""

    async def health(self, scope: Scope, question: HealthQuestion) -> Healthy:
        """Visitors of both periods, what they did, and income by currency."""


class ReportingStore(EventStore, Reports, Protocol):
    """Everything that can be asked of the stored events."""
