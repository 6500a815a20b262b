"""Reports on a Database: each method is one batch behind the guard and the fold of the event store it is part of."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.measures import Measurement
from analytics.reports import Measured
from analytics.scope import Scope
from analytics.store import Cost
from storage.database import Result, Statement
from storage.measuring import counted_rows, measuring


class SqlReports:
    """The port of analytics/reports.py; `_asked` is the event store's."""

    async def _asked(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        raise NotImplementedError

    async def measure(self, scope: Scope, asked: Sequence[Measurement]) -> Measured:
        results = await self._asked(scope, [measuring(scope.numbers, one) for one in asked])
        counted = [counted_rows(one, result.rows) for one, result in zip(asked, results, strict=True)]
        return Measured(counted, read_cost(results))


def read_cost(results: Sequence[Result]) -> Cost:
    """What several statements cost together."""
    return Cost(rows_read=sum(result.rows_read for result in results))
