"""EventStore on a Database: each method is one batch, and so one round trip, with the guard in front."""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Sequence

from analytics.event import Event
from analytics.questions import (
    ComparisonQuestion,
    EventsQuestion,
    FunnelQuestion,
    SourcesQuestion,
    StatsQuestion,
)
from analytics.scope import Scope
from analytics.store import Answer, Cost, FunnelCounts, Row, StepCount, Stored
from analytics.window import Window, format_instant
from storage.database import Database, Result, Statement
from storage.event_funnel import select_funnel
from storage.event_rows import label, select_events, select_recent, store_statements
from storage.event_stats import select_comparison, select_event_names, select_sources, select_stats
from storage.guard import check, guard

MAX_EVENT_NAMES = 1_000


class SqlEventStore:
    """The port of analytics/store.py over the tables of schema.sql."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, scope: Scope, events: Sequence[Event]) -> Stored:
        (project,) = scope.projects
        claim = secrets.token_hex(8)
        results = await self._guarded(scope, store_statements(scope.key_id, project.number, events, claim))
        stored = results[-1].changes
        return Stored(stored=stored, duplicates=len(events) - stored, cost=_cost(results))

    async def events(self, scope: Scope, question: EventsQuestion) -> Answer:
        statements = [select_events(project.number, question) for project in scope.projects]
        return await self._newest(scope, statements, question.limit)

    async def recent(self, scope: Scope, limit: int) -> Answer:
        return await self._newest(
            scope, [select_recent(project.number, limit) for project in scope.projects], limit
        )

    async def stats(self, scope: Scope, question: StatsQuestion) -> Answer:
        by_project = scope.spans_projects or question.by_project
        statement = select_stats(scope.numbers, question, by_project)
        answer = await self._rows(scope, statement, question.limit, by_project=by_project)
        for row in answer.rows:
            if "bucket" in row:
                row["bucket"] = format_instant(row["bucket"])
        return answer

    async def sources(self, scope: Scope, question: SourcesQuestion) -> Answer:
        answer = await self._rows(scope, select_sources(scope.numbers, question), question.limit)
        for row in answer.rows:
            row["paid_share"] = row.pop("paid") / row["events"]
        return answer

    async def compare(self, scope: Scope, question: ComparisonQuestion) -> Answer:
        (result,) = await self._guarded(scope, [select_comparison(scope.numbers, question)])
        values = {row["project"]: row["value"] for row in result.rows}
        rows: list[Row] = [
            {"project_id": one.id, "slug": one.slug, "name": one.name, "value": values.get(one.number, 0)}
            for one in scope.projects
        ]
        return Answer(sorted(rows, key=lambda row: (-row["value"], row["slug"])), _cost([result]))

    async def event_names(self, scope: Scope, window: Window) -> Answer:
        return await self._rows(
            scope, select_event_names(scope.numbers, window, MAX_EVENT_NAMES), MAX_EVENT_NAMES
        )

    async def funnel(self, scope: Scope, question: FunnelQuestion) -> FunnelCounts:
        (result,) = await self._guarded(scope, [select_funnel(scope.numbers, question)])
        ids = {project.number: project.id if scope.spans_projects else None for project in scope.projects}
        steps = [
            StepCount(
                step=row["step"],
                visitors=row["visitors"],
                median_ms=row["median_ms"],
                mean_ms=float(row["mean_ms"]),
                project_id=ids[row["project"]],
                group=row["grp"],
            )
            for row in result.rows
        ]
        return FunnelCounts(steps, _cost([result]))

    async def _newest(self, scope: Scope, statements: list[Statement], limit: int) -> Answer:
        """The newest rows over all projects: each project's own newest, merged by time."""
        results = await self._guarded(scope, statements)
        labelled = [
            [label(row, project.id if scope.spans_projects else None) for row in result.rows]
            for project, result in zip(scope.projects, results, strict=True)
        ]
        rows = list(heapq.merge(*labelled, key=lambda row: row["timestamp"], reverse=True))
        return Answer(rows[:limit], _cost(results), truncated=len(rows) > limit)

    async def _rows(
        self, scope: Scope, statement: Statement, limit: int, *, by_project: bool = False
    ) -> Answer:
        (result,) = await self._guarded(scope, [statement])
        rows: list[Row] = [dict(row) for row in result.rows[:limit]]
        if not (by_project or scope.spans_projects):
            for row in rows:
                row.pop("project_id", None)
        return Answer(rows, _cost([result]), truncated=len(result.rows) > limit)

    async def _guarded(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        """Runs the statements behind the guard, in its own batch. Errors: ScopeWithdrawnError."""
        verdict, *results = await self._database.batch([guard(scope), *statements])
        check(scope, verdict)
        return results


def _cost(results: Sequence[Result]) -> Cost:
    return Cost(
        rows_read=sum(result.rows_read for result in results),
        rows_written=sum(result.rows_written for result in results),
    )
