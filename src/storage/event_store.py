"""EventStore on a Database: each method is one batch, and so one round trip, with the guard in front; what waits
to be folded may cost a second."""

from __future__ import annotations

import heapq
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from access.audit import AuditEntry
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
from analytics.schema import MAX_EVENT_NAMES, OTHER_NAMES
from analytics.scope import Scope
from analytics.store import Answer, Cost, FunnelCounts, Place, Row, StepCount, StorageFullError, Stored
from analytics.window import Window, format_instant
from storage.audit_log import record_write
from storage.backlog import Backlog
from storage.database import Database, Result, Statement
from storage.dictionary import hash63, select_unknown_events, select_values
from storage.erasures import note
from storage.event_funnel import select_funnel
from storage.event_rows import beyond, label, place_of, select_events, select_recent
from storage.event_sample import estimated, select_sample
from storage.event_stats import Planned, plan_comparison, plan_event_names, plan_sources, plan_stats
from storage.fold import WAITING_PROJECTS, fold
from storage.forget import count_subject, look_for, sweep
from storage.funnel_sparse import answers, select_sparse_funnel
from storage.guard import check, guard
from storage.inbox import ORIGINS, accept
from storage.octets import add_up, to_add_up
from storage.purge import FIRST_KEY, STAGES, WALKS, Stage, Walk, set_boundaries
from storage.reports import SqlReports, cost_of
from storage.subject_export import FIRST_PLACE, before_day, label_whole, select_subject
from storage.tombstones import Tombstone, Tombstones
from storage.unfold import unfold
from storage.usage import demand

#: Above so many events of the asked names on the asked days, a caller who allows it gets a sample.
ROW_BUDGET = 1_000_000
#: A request this large is folded right after its answer; of smaller ones every so many'th is, whichever isolate it hits.
FOLD_AT_ONCE = 200
FOLD_ONE_IN = 64


class SqlEventStore(SqlReports):
    """The port of analytics/store.py over the tables of schema.sql.

    An append is one row in the inbox. A question sees everything that was acknowledged before it: its batch says whether
    something waits for its projects, and only then a second one folds that and asks again; `backlog` guesses when to
    begin with the second. `defer` runs something after the response (Workers: waitUntil); `mark` is
    how the audit log names a person (access/audit.py); `tombstones` keep erasures where no restore undoes them.
    """

    def __init__(
        self,
        database: Database,
        defer: Callable[[Awaitable[None]], None],
        row_budget: int = ROW_BUDGET,
        backlog: Backlog | None = None,
        mark: Callable[[str], str] = lambda _user_id: "",
        tombstones: Tombstones | None = None,
    ) -> None:
        self._database = database
        self._defer = defer
        self._row_budget = row_budget
        self._backlog = backlog or Backlog()
        self._mark = mark
        self._tombstones = tombstones

    async def append(self, scope: Scope, events: Sequence[Event], quota: int) -> Stored:
        (number,) = scope.numbers
        claim, wanted = secrets.token_hex(8), demand(events, quota)
        statements = [
            guard(scope),
            wanted.usage(number),
            accept(scope.key_id, number, events, claim, wanted),
        ]
        self._backlog.note(scope.numbers, waiting=True)
        verdict, usage, accepted = await self._database.batch(statements)
        check(scope, verdict)
        if accepted.changes == 0 and wanted.exceeds(usage):
            # What waits may be duplicates, or of other months: the word that counts is said after a fold.
            verdict, *_, usage, accepted = await self._database.batch(
                [guard(scope), *fold([number]), *statements[1:]]
            )
            check(scope, verdict)
            if accepted.changes == 0:
                wanted.check(usage)
        if len(events) >= FOLD_AT_ONCE or int(claim, 16) % FOLD_ONE_IN == 0:
            self._defer(self._fold(number))
        return Stored(duplicate=accepted.changes == 0, cost=cost_of([verdict, usage, accepted]))

    async def fold_waiting(self) -> int:
        """Folds every project for which something waits, one at a time; how many there were. For the cron."""
        (waiting,) = await self._database.batch([WAITING_PROJECTS])
        for row in waiting.rows:
            await self._fold(row["project"])
        return len(waiting.rows)

    async def _fold(self, number: int) -> None:
        await self._database.batch(fold([number]))

    async def subject(self, scope: Scope, user_id: str, *, include_anonymous: bool) -> Subject:
        (found,) = await self._asked(scope, [count_subject(scope, user_id, include_anonymous)])
        return Subject(**found.rows[0])

    async def forget(
        self, scope: Scope, user_id: str, *, include_anonymous: bool, request_id: str = "", entry: str = ""
    ) -> int:
        deleted = 0
        # Written with the first thing that is deleted: however far an interrupted call came, it is in the log, and once.
        log = record_write(scope, self._about_person("person.forget", scope, user_id, request_id, entry))
        while True:
            looked_ms = self._tombstones.now_ms() if self._tombstones else 0
            *_, found, known = await self._folded(scope, [log, *look_for(scope, user_id, include_anonymous)])
            if found.rows:
                _, marked, *_ = await self._database.batch(unfold(scope, [row["key"] for row in found.rows]))
                deleted += marked.changes
            elif not known.rows[0]["known"]:
                kept = await self._bury(scope, user_id, include_anonymous, looked_ms)
                await self._database.batch([sweep(scope, user_id), *kept])
                return deleted

    async def _bury(self, scope: Scope, user_id: str, include_anonymous: bool, at_ms: int) -> list[Statement]:
        """Writes the tombstone of an erasure, before it is answered; the statements that remember it, or that it is to be
        written yet: an outage of KV does not keep a person from being erased."""
        if self._tombstones is None:
            return []
        project_id = scope.projects[0].id
        person = self._tombstones.person(project_id, hash63(user_id))
        one = Tombstone(project_id, person, include_anonymous, at_ms)
        try:
            await self._tombstones.keep(one)
        except Exception:
            return [note(scope.projects[0].number, one, pending=True)]
        return [note(scope.projects[0].number, one, pending=False)]

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
        # In the batch of what is read: what was shown is in the log. Never the rows without the fold, as reports give them
        # when the database is full: an export that leaves something out says that it is everything.
        log = record_write(scope, self._about_person("person.export", scope, user_id, request_id, entry))
        place = FIRST_PLACE if after is None else after
        asked = select_subject(scope, user_id, include_anonymous, place, limit)
        _, found, beyond_budget = await self._folded(scope, [log, *asked])
        rows = [label_whole(row) for row in found.rows[:limit]]
        last = place_of(found.rows[limit - 1], 0) if len(found.rows) > limit else None
        if last is None and (next_day := beyond_budget.rows[0]["next_day"]) is not None:
            last = before_day(next_day)
        cost = cost_of([found, beyond_budget])
        return Answer(rows, cost, truncated=last is not None, last=last)

    def _about_person(
        self, action: str, scope: Scope, user_id: str, request_id: str, entry: str
    ) -> AuditEntry:
        target = f"{scope.projects[0].id} person {self._mark(user_id)}"
        return AuditEntry(
            entry or secrets.token_hex(8),
            scope.key_id,
            action,
            target,
            account_id=scope.account_id,
            request_id=request_id,
        )

    async def set_retention(self, today: int, keeps: Mapping[str, int]) -> Mapping[int, int]:
        _, boundaries = await self._database.batch(set_boundaries(today, keeps))
        return {row["project"]: row["first_day"] for row in boundaries.rows}

    async def purge(self, project: int, first_day: int, now_ms: int) -> int:
        events, *_ = [await self._run_out(stage, project, first_day) for stage in STAGES]
        for walk in WALKS:
            await self._look_through(walk, project, now_ms)
        return events

    async def _run_out(self, stage: Stage, project: int, first_day: int) -> int:
        """Rounds until nothing is found; how many rows were."""
        total, keys = 0, list[str]()
        while True:
            *_, found = await self._database.batch(stage.round(project, first_day, keys))
            keys = [row["key"] for row in found.rows]
            total += len(keys)
            if not keys:
                return total

    async def _look_through(self, walk: Walk, project: int, now_ms: int) -> None:
        after = FIRST_KEY
        while True:
            last, _ = await self._database.batch(walk.step(project, after, now_ms))
            if not last.rows:
                return
            after = last.rows[0]["key"]

    async def add_up_days(self, project: int, first_day: int, today: int) -> int:
        (found,) = await self._database.batch([to_add_up(project, first_day, today)])
        for row in found.rows:
            await self._database.batch(add_up(project, row["octet"]))
        return len(found.rows)

    async def events(self, scope: Scope, question: EventsQuestion, after: Place | None = None) -> Answer:
        statements = [
            select_events(project.number, question, beyond(after, position))
            for position, project in enumerate(scope.projects)
        ]
        return await self._newest(scope, statements, question.limit)

    async def recent(self, scope: Scope, limit: int) -> Answer:
        return await self._newest(
            scope, [select_recent(project.number, limit) for project in scope.projects], limit
        )

    async def stats(self, scope: Scope, question: StatsQuestion) -> Answer:
        by_project = scope.spans_projects or question.by_project
        planned = plan_stats(scope.numbers, question, by_project)
        if question.sample and planned.tier == "events":
            planned = Planned(select_sample(scope.numbers, question, by_project, self._row_budget), "events")
        answer = await self._planned(scope, planned, question.limit, by_project=by_project)
        if "sampled" in (answer.rows[0] if answer.rows else {}):
            sampled = bool(answer.rows[0]["sampled"])
            answer = replace(answer, rows=[estimated(row) for row in answer.rows], sampled=sampled)
        for row in answer.rows:
            if "bucket" in row:
                row["bucket"] = format_instant(row["bucket"])
        return answer

    async def sources(self, scope: Scope, question: SourcesQuestion) -> Answer:
        answer = await self._planned(scope, plan_sources(scope.numbers, question), question.limit)
        for row in answer.rows:
            row["paid_share"] = row.pop("paid") / row["events"]
        return answer

    async def compare(self, scope: Scope, question: ComparisonQuestion) -> Answer:
        planned = plan_comparison(scope.numbers, question)
        (result,) = await self._asked(scope, [planned.statement])
        values = {row["project"]: row["value"] for row in result.rows}
        rows: list[Row] = [
            {"project_id": one.id, "slug": one.slug, "name": one.name, "value": values.get(one.number, 0)}
            for one in scope.projects
        ]
        rows.sort(key=lambda row: (-row["value"], row["slug"]))
        return Answer(rows, cost_of([result]), tier=planned.tier)

    async def event_names(self, scope: Scope, window: Window) -> Answer:
        planned = plan_event_names(scope.numbers, window, MAX_EVENT_NAMES)
        answer = await self._planned(scope, planned, MAX_EVENT_NAMES + len(scope.projects))
        for row in answer.rows:
            names = row.pop("names")
            if row["event_name"] is None:
                row |= {"event_name": OTHER_NAMES, "names": names}
        return answer

    async def values(self, scope: Scope, dimension: Dimension, prefix: str, limit: int) -> Sequence[str]:
        statement = select_values(scope.numbers, dimension, prefix, limit)
        (result,) = await self._asked(scope, [statement])
        return [row["value"] for row in result.rows]

    async def unknown_events(
        self, scope: Scope, names: Sequence[str]
    ) -> tuple[Mapping[str, Sequence[str]], Cost]:
        statement = select_unknown_events(scope.numbers, names)
        (result,) = await self._asked(scope, [statement])
        near: dict[str, list[str]] = {}
        for row in result.rows:
            known = near.setdefault(row["name"], [])
            if row["value"] != row["name"]:
                known.append(row["value"])
        return {name: near[name] for name in names if name in near}, cost_of([result])

    async def funnel(self, scope: Scope, question: FunnelQuestion) -> FunnelCounts:
        select = select_sparse_funnel if answers(question) else select_funnel
        (result,) = await self._asked(scope, [select(scope.numbers, question)])
        ids = {project.number: project.id if scope.spans_projects else None for project in scope.projects}
        steps = [
            StepCount(
                step=row["step"],
                visitors=row["visitors"],
                median_ms=row["median_ms"],
                mean_ms=row["mean_ms"],
                project_id=ids[row["project"]],
                group=row["grp"],
            )
            for row in result.rows
        ]
        return FunnelCounts(steps, cost_of([result]))

    async def _newest(self, scope: Scope, statements: list[Statement], limit: int) -> Answer:
        """The newest rows over all projects: each project's own newest, merged by time."""
        results = await self._asked(scope, statements)
        placed = [[(row, position) for row in result.rows] for position, result in enumerate(results)]
        merged = list(heapq.merge(*placed, key=lambda one: one[0]["ts"], reverse=True))
        ids = [project.id if scope.spans_projects else None for project in scope.projects]
        rows = [label(row, ids[position]) for row, position in merged[:limit]]
        last = place_of(*merged[limit - 1]) if len(merged) > limit else None
        origins = Counter(ORIGINS[row["at_origin"]] for row, _ in merged[:limit])
        return Answer(rows, cost_of(results), truncated=last is not None, last=last, origins=origins)

    async def _planned(
        self, scope: Scope, planned: Planned, limit: int, *, by_project: bool = False
    ) -> Answer:
        (result,) = await self._asked(scope, [planned.statement])
        rows: list[Row] = [dict(row) for row in result.rows[:limit]]
        if not (by_project or scope.spans_projects):
            for row in rows:
                row.pop("project_id", None)
        return Answer(rows, cost_of([result]), truncated=len(result.rows) > limit, tier=planned.tier)

    async def _asked(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        """Answers questions about all that was acknowledged. Errors: ScopeWithdrawnError.

        When the database is full nothing can be folded, and what was folded before is still answered.
        """
        if not self._backlog.expects(scope.numbers):
            complete, results = await self._unfolded(scope, statements)
            if complete:
                return results
        try:
            return await self._folded(scope, statements)
        except StorageFullError:
            _, results = await self._unfolded(scope, statements)
            return results

    async def _unfolded(self, scope: Scope, statements: Sequence[Statement]) -> tuple[bool, list[Result]]:
        """Runs statements behind the guard, in one batch: whether nothing waited then, and what they gave."""
        verdict, *results = await self._database.batch([guard(scope), *statements])
        return not check(scope, verdict), results

    async def _folded(self, scope: Scope, statements: Sequence[Statement]) -> list[Result]:
        """Runs statements behind the guard and the fold, in one batch. Errors: ScopeWithdrawnError."""
        folding = fold(scope.numbers)
        verdict, *results = await self._database.batch([guard(scope), *folding, *statements])
        self._backlog.note(scope.numbers, waiting=check(scope, verdict))
        return results[len(folding) :]
