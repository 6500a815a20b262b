"""Reports on a Database: each method asks once, behind the guard of the event store it is part of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analytics.annotations import Annotation
from analytics.cohorts import Activity, LifecycleQuestion, RetentionQuestion, Returned
from analytics.diagnosis import Diagnosed, DiagnoseQuestion
from analytics.health import HealthQuestion, Healthy, People
from analytics.measures import Measurement
from analytics.money import (
    AttributionQuestion,
    ChannelRoiQuestion,
    Credit,
    Customer,
    Income,
    RevenueQuestion,
    Spent,
    Subscriptions,
    Takings,
)
from analytics.report_store import Measured
from analytics.scan import Day, Scanned, ScanQuestion, scanned_window
from analytics.schema import Described, SchemaQuestion
from analytics.scope import Scope
from analytics.store import Answer, Cost, Row, Tier
from analytics.visits import JourneyQuestion, PathsQuestion, SessionsQuestion, labelled
from analytics.window import Window
from storage import checking_health, describing, money, visits
from storage.annotations import select_annotations
from storage.coming_back import lifecycle, retention
from storage.database import Result, Statement
from storage.diagnosing import diagnosing, moved_of
from storage.event_stats import Planned
from storage.measuring import counted_rows, measuring
from storage.measuring_days import rolled_up
from storage.scanning import scanning, series_of


def _planned(scope: Scope, asked: Measurement) -> Planned:
    """The roll-ups where they are exact, else the events."""
    return rolled_up(scope.numbers, asked) or Planned(measuring(scope.numbers, asked), "events")


class SqlReports:
    """The port of analytics/report_store.py; `_asked` is the event store's."""

    async def _asked(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        raise NotImplementedError

    async def measure(self, scope: Scope, asked: Sequence[Measurement]) -> Measured:
        planned = [_planned(scope, one) for one in asked]
        results = await self._asked(scope, [one.statement for one in planned])
        counted = [counted_rows(one, result.rows) for one, result in zip(asked, results, strict=True)]
        tiers = {one.tier for one in planned}
        return Measured(counted, cost_of(results), tiers.pop() if len(tiers) == 1 else "events")

    async def noted(self, scope: Scope, asked: Measurement) -> tuple[Measured, list[Annotation]]:
        planned = _planned(scope, asked)
        counted, notes = await self._asked(
            scope, [planned.statement, select_annotations(scope.numbers, asked.window)]
        )
        measured = Measured([counted_rows(asked, counted.rows)], cost_of([counted, notes]), planned.tier)
        return measured, [Annotation(**row) for row in notes.rows[::-1]]

    async def retention(self, scope: Scope, question: RetentionQuestion) -> tuple[list[Returned], Cost]:
        results = await self._asked(scope, [retention(scope.numbers, question)])
        return [Returned(**row) for row in results[0].rows], cost_of(results)

    async def lifecycle(self, scope: Scope, question: LifecycleQuestion) -> tuple[list[Activity], Cost]:
        results = await self._asked(scope, [lifecycle(scope.numbers, question)])
        return [Activity(**row) for row in results[0].rows], cost_of(results)

    async def takings(self, scope: Scope, question: RevenueQuestion) -> Takings:
        window = Window(question.from_, question.to)
        statements = [
            money.incomes(scope.numbers, question, None),
            money.top_customers(scope.numbers, question),
            money.subscriptions(scope.numbers, question),
            money.visitors(scope.numbers, window),
        ]
        if question.interval:
            statements.append(money.incomes(scope.numbers, question, question.interval))
        whole, customers, subscribed, seen, *series = results = await self._asked(scope, statements)
        return Takings(
            incomes=[Income(**row) for result in (whole, *series) for row in result.rows],
            customers=[Customer(**row) for row in customers.rows],
            subscriptions=[Subscriptions(**row) for row in subscribed.rows],
            visitors={row["project"]: row["visitors"] for row in seen.rows},
            cost=cost_of(results),
        )

    async def credits(
        self, scope: Scope, question: AttributionQuestion | ChannelRoiQuestion
    ) -> tuple[list[Credit], list[Spent], Cost]:
        statements = [money.credits(scope.numbers, question)]
        if isinstance(question, ChannelRoiQuestion):
            statements.append(money.ad_spend(scope.numbers, question))
        credited, *costs = results = await self._asked(scope, statements)
        spent = [Spent(**row) for result in costs for row in result.rows]
        return [Credit(**row) for row in credited.rows], spent, cost_of(results)

    async def sessions(self, scope: Scope, question: SessionsQuestion) -> Answer:
        return await self._listed(
            scope, visits.sessions(scope.numbers, question), visits.session_row, question.limit
        )

    async def paths(self, scope: Scope, question: PathsQuestion) -> Answer:
        return await self._listed(scope, visits.paths(scope.numbers, question), visits.path_row, None)

    async def journey(self, scope: Scope, question: JourneyQuestion) -> Answer:
        return await self._listed(
            scope, visits.journey(scope.numbers, question), visits.journey_row, question.limit
        )

    async def describe(self, scope: Scope, question: SchemaQuestion) -> Described:
        (result,) = await self._asked(scope, [describing.describing(scope.numbers, question)])
        return Described(
            events=describing.named_of(result.rows),
            properties=describing.carried_of(result.rows),
            values=describing.frequent_of(result.rows),
            cost=cost_of([result]),
        )

    async def scan(self, scope: Scope, question: ScanQuestion, days: Sequence[Day]) -> Scanned:
        statements: list[Statement] = []
        tier: Tier = "daily"
        if days:
            statement, tier = scanning(scope.numbers, question.timezone, scanned_window(question, days))
            statements.append(statement)
        results = await self._asked(scope, statements)
        series = [one for result in results for row in result.rows for one in series_of(row)]
        return Scanned(series, cost_of(results), tier)

    async def diagnose(self, scope: Scope, question: DiagnoseQuestion) -> Diagnosed:
        statement, tier = diagnosing(scope.numbers, question)
        results = await self._asked(scope, [statement])
        return Diagnosed([moved_of(row) for row in results[0].rows], cost_of(results), tier)

    async def health(self, scope: Scope, question: HealthQuestion) -> Healthy:
        statements = [
            checking_health.people(scope.numbers, question),
            checking_health.incomes(scope.numbers, question),
        ]
        people, earned = results = await self._asked(scope, statements)
        return Healthy(
            [People(**row) for row in people.rows], [Income(**row) for row in earned.rows], cost_of(results)
        )

    async def _listed(
        self, scope: Scope, statement: Statement, shown: Callable[[Row], Row], limit: int | None
    ) -> Answer:
        """The rows of one statement as they are shown; one more than the limit says that there are more."""
        results = await self._asked(scope, [statement])
        rows = labelled(scope.projects, [shown(row) for row in results[0].rows])
        cut = limit is not None and len(rows) > limit
        return Answer(rows[:limit], cost_of(results), truncated=cut)


def cost_of(results: Sequence[Result]) -> Cost:
    """What several statements cost together."""
    return Cost(
        rows_read=sum(result.rows_read for result in results),
        rows_written=sum(result.rows_written for result in results),
    )
