"""Reports on a Database: each method is one batch behind the guard and the fold of the event store it is part of."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.cohorts import Activity, LifecycleQuestion, RetentionQuestion, Returned
from analytics.measures import Measurement
from analytics.report_store import Measured
from analytics.scope import Scope
from analytics.store import Cost
from storage.coming_back import lifecycle, retention
from storage.database import Result, Statement
from storage.measuring import counted_rows, measuring


class SqlReports:
    """The port of analytics/report_store.py; `_asked` is the event store's."""

    async def _asked(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        raise NotImplementedError

    async def measure(self, scope: Scope, asked: Sequence[Measurement]) -> Measured:
        results = await self._asked(scope, [measuring(scope.numbers, one) for one in asked])
        counted = [counted_rows(one, result.rows) for one, result in zip(asked, results, strict=True)]
        return Measured(counted, read_cost(results))

    async def retention(self, scope: Scope, question: RetentionQuestion) -> tuple[list[Returned], Cost]:
        results = await self._asked(scope, [retention(scope.numbers, question)])
        return [Returned(**row) for row in results[0].rows], read_cost(results)

    async def lifecycle(self, scope: Scope, question: LifecycleQuestion) -> tuple[list[Activity], Cost]:
        results = await self._asked(scope, [lifecycle(scope.numbers, question)])
        return [Activity(**row) for row in results[0].rows], read_cost(results)


def read_cost(results: Sequence[Result]) -> Cost:
    """What several statements cost together."""
    return Cost(rows_read=sum(result.rows_read for result in results))
