"""The folded store against the slow reference: the same stream, late, shuffled and repeated; every answer on any window."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from analytics.event import Event
from analytics.questions import SourcesQuestion, StatsQuestion
from analytics.scope import Project, Scope
from analytics.store import StoreUnavailableError
from analytics.window import MS_PER_DAY, MS_PER_HOUR, format_instant, parse_instant
from storage import event_stats
from storage.database import Result, Statement
from storage.dictionary import hash63
from storage.event_store import SqlEventStore
from storage.fold import fold
from storage.sqlite import Sqlite
from tests import reference
from tests.house import ROOT, InProcess
from tests.scale import scale

SCHEMA = (ROOT / "schema.sql").read_text()
START = parse_instant("2026-02-20")
COLUMNS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]


def stream(chance: random.Random, count: int, days: int) -> list[Event]:
    """Events of few visitors and few values, so that everything collides: days, hours, values, instants."""
    events = []
    for number in range(count):
        hour = chance.randrange(days * 24)
        ts_ms = START + hour * MS_PER_HOUR + chance.choice([0, 0, 1, MS_PER_HOUR - 1])
        visitor = f"v{hour // (24 * 30) * 3 + chance.randrange(6)}"  # some leave, others come
        source, medium = chance.choice(
            [("facebook", "paid"), ("facebook", "social"), ("google", "paid"), ("x", "x")]
        )
        events.append(
            Event(
                event_id=f"e{number}",
                event_name=chance.choice(["view", "view", "cart", "buy"]),
                ts_ms=ts_ms,
                received_ms=ts_ms,
                anonymous_id=visitor,
                user_id=None,
                session_id="s",
                url=None,
                path=chance.choice([None, "/", "/a"]),
                referrer=None,
                properties="{}",
                source=source,
                medium=medium,
                campaign=chance.choice([None, "spring"]),
                source_confidence="high",
                source_rule_id="utm",
                country=chance.choice(["DE", "US"]),
                device_type="desktop",
                browser=chance.choice(["chrome", ""]),
                os="linux",
                ip_hash="",
                origin="server",
                timed_by_client=True,
                named_by_client=True,
            )
        )
    return events


def row_of(event: Event, project: str) -> reference.Row:
    return reference.Row(
        project=project,
        event_id=event.event_id,
        event_name=event.event_name,
        ts_ms=event.ts_ms,
        anonymous_id=event.anonymous_id,
        source=event.source,
        medium=event.medium,
        campaign=event.campaign,
        country=event.country,
        device_type=event.device_type,
        browser=event.browser,
        os=event.os,
        path=event.path,
        tie=hash63(event.event_id),
    )


class Folded:
    """A store over a house with one project, fed in requests of random sizes and folded at random moments."""

    def __init__(
        self, chance: random.Random, count: int, changed: Callable[[Event], Event] = lambda event: event
    ) -> None:
        house = InProcess()
        keys = house.account("business")
        self.db = house.db
        found = self.db.connection.execute("SELECT id FROM api_keys WHERE kind = 'sk'").fetchone()
        project = keys["projects"][0]
        self.scope = Scope(
            found["id"], keys["account"]["id"], (Project(1, project["id"], project["slug"], project["name"]),)
        )
        self.deferred: list[Awaitable[None]] = []
        self.store = SqlEventStore(self.db, self.deferred.append)
        #: Within the reach of the tails, or beyond it.
        self.days = chance.choice([40, 140])
        self.events = [changed(event) for event in stream(chance, count, self.days)]
        sent = [*self.events, *chance.choices(self.events, k=count // 5)]
        if chance.random() < 0.5:
            chance.shuffle(sent)
        else:
            sent.sort(key=lambda event: event.ts_ms + chance.choice([0, 0, 0, 3 * MS_PER_DAY]))
        asyncio.run(self._feed(chance, sent))

    async def _feed(self, chance: random.Random, sent: list[Event]) -> None:
        while sent:
            size = chance.choice([1, 1, 2, 7, 30])
            await self.store.append(self.scope, sent[:size], quota=10**9)
            sent = sent[size:]
            if chance.random() < 0.3:
                await self.store.fold_waiting()
            if chance.random() < 0.05:
                await self.add_up(chance)
        if chance.random() < 0.5:
            await self.add_up(chance)
        while self.deferred:
            await self.deferred.pop()

    async def add_up(self, chance: random.Random) -> None:
        """As the cron does it, some day between the first and the last or long after."""
        today = START // MS_PER_DAY + chance.randrange(2 * self.days)
        await self.store.add_up_days(1, today - chance.choice([30, 800]), today)

    def add_all_up(self, first_day: int = START // MS_PER_DAY) -> None:
        """The same until nothing is left, long after the last day."""
        while asyncio.run(self.store.add_up_days(1, first_day, START // MS_PER_DAY + 1_000)):
            pass

    @property
    def rows(self) -> list[reference.Row]:
        return [row_of(event, self.scope.projects[0].id) for event in self.events]


def window_of(chance: random.Random, folded: Folded) -> tuple[int, int]:
    """Aligned to midnight or not, short or long, also across all there is."""
    start = START + chance.randrange(-3, folded.days) * MS_PER_DAY
    end = start + chance.choice([1, 1, 2, 5, 7, 30, 60, 91, 92, 93, 100, 140]) * MS_PER_DAY
    if chance.random() < 0.6:
        start += chance.choice([0, chance.randrange(24) * MS_PER_HOUR, 1, MS_PER_DAY - 1])
        end += chance.choice([0, chance.randrange(24) * MS_PER_HOUR, 1, -1])
    if chance.random() < 0.15:
        end = max((event.ts_ms for event in folded.events), default=end) + chance.choice(
            [0, 1, MS_PER_HOUR]
        )  # up to now
    return start, max(end, start + 1)


def stats_arguments(chance: random.Random) -> dict[str, Any]:
    size = chance.choice([0, 1, 1, 1, 2, 3])
    arguments: dict[str, Any] = {
        "metric": chance.choice(["count", "uniques", "uniques"]),
        "group_by": chance.choice(
            [["source", "medium"], chance.sample(COLUMNS, size), chance.sample(COLUMNS, size)]
        ),
        "limit": 1000,
    }
    if chance.random() < 0.3:
        arguments["event"] = chance.choice(["view", "buy", "none"])
    if chance.random() < 0.4:
        arguments["interval"] = chance.choice(["hour", "day", "week", "month"])
    return arguments


def question(kind: type[Any], start: int, end: int, arguments: dict[str, Any]) -> Any:
    return kind.model_validate({"from": format_instant(start), "to": format_instant(end), **arguments})


def compare_once(folded: Folded, chance: random.Random) -> str:
    """Asks one random question; returns the tier that answered."""
    start, end = window_of(chance, folded)
    if chance.random() < 0.3:
        breakdown = chance.choice(["source", "source_medium"])
        asked = question(SourcesQuestion, start, end, {"breakdown": breakdown, "limit": 200})
        answer = asyncio.run(folded.store.sources(folded.scope, asked))
        expected = reference.sources(folded.rows, from_ms=start, to_ms=end, breakdown=breakdown, limit=200)
        assert answer.rows == expected, (breakdown, format_instant(start), format_instant(end))
        return answer.tier
    arguments = stats_arguments(chance)
    answer = asyncio.run(folded.store.stats(folded.scope, question(StatsQuestion, start, end, arguments)))
    expected = reference.stats(folded.rows, from_ms=start, to_ms=end, **arguments)
    assert answer.rows == expected, (arguments, format_instant(start), format_instant(end), answer.tier)
    return answer.tier


COMPARISONS = scale(2_000, 100_000)


@pytest.mark.parametrize("seed", range(20))
def test_every_answer_of_the_folded_store_equals_the_reference(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all media looked up together, and with all but one singly."""
    chance = random.Random(seed)
    monkeypatch.setattr(event_stats, "_FEW", chance.choice([1, 64]))
    folded = Folded(chance, chance.choice([30, 120, 300]))
    tiers = {compare_once(folded, chance) for _ in range(COMPARISONS // 20)}
    assert tiers == {"daily", "visitor_days", "events"}


@pytest.mark.parametrize("days", [(0, 91), (91, 0), (0, 45, 91), (91, 0, 45)])
def test_one_visitor_is_one_to_the_ends_of_the_longest_window_whatever_came_first(
    days: Sequence[int],
) -> None:
    house = InProcess()
    keys = house.account("business")["projects"][0]
    window = {"from_": "2026-02-01", "to": format_instant(parse_instant("2026-02-01") + 92 * MS_PER_DAY)}

    def visitors(**more: Any) -> list[dict[str, Any]]:
        result = house.call(keys["rk"], "get_stats", metric="uniques", **window, **more)["structuredContent"]
        assert result["meta"]["tier"] == "daily"
        return [row["value"] for row in result["rows"]]

    for day in days:
        at = format_instant(parse_instant("2026-02-01T12:00:00Z") + day * MS_PER_DAY)
        house.track(keys["sk"], {"event": "e", "anonymous_id": "v", "timestamp": at, "event_id": f"{day}"})
        for question in ({}, {"event": "e"}, {"group_by": ["source"]}, {"group_by": ["source", "medium"]}):
            assert visitors(**question) == [1]


class BreaksAt(Sqlite):
    """A database whose n-th statement fails, once."""

    breaks_at: int | None = None

    def _run(self, statement: Statement) -> Result:
        if self.breaks_at is not None:
            self.breaks_at -= 1
            if self.breaks_at < 0:
                self.breaks_at = None
                raise StoreUnavailableError("broken on purpose")
        return super()._run(statement)


def waiting_store(database: Sqlite, seed: int) -> tuple[SqlEventStore, Scope, list[Event]]:
    """A store in which some events are folded and more are waiting."""
    house = InProcess(db=database)
    keys = house.account("business")
    (key_id,) = database.connection.execute("SELECT id FROM api_keys WHERE kind = 'sk'").fetchone()
    project = keys["projects"][0]
    scope = Scope(
        key_id, keys["account"]["id"], (Project(1, project["id"], project["slug"], project["name"]),)
    )
    store = SqlEventStore(database, lambda work: work.close())  # type: ignore[attr-defined]
    events = stream(random.Random(seed), 60, 40)

    async def feed() -> None:
        await store.append(scope, events[:25], quota=10**9)
        await store.fold_waiting()
        for start in range(25, 60, 7):
            await store.append(scope, events[start : start + 7], quota=10**9)

    asyncio.run(feed())
    return store, scope, events


def everything(store: SqlEventStore, scope: Scope) -> list[reference.Row]:
    whole = {"from": "2026-02-01", "to": "2026-05-01", "group_by": ["source", "medium"], "metric": "uniques"}
    return asyncio.run(store.stats(scope, StatsQuestion.model_validate(whole))).rows


def expected_of(events: list[Event], scope: Scope) -> list[dict[str, Any]]:
    return reference.stats(
        [row_of(event, scope.projects[0].id) for event in events],
        from_ms=parse_instant("2026-02-01"),
        to_ms=parse_instant("2026-05-01"),
        group_by=["source", "medium"],
        metric="uniques",
    )


@pytest.mark.parametrize("statement", range(len(fold([1]))))
def test_a_fold_that_fails_at_any_statement_leaves_everything_to_the_next(statement: int) -> None:
    database = BreaksAt(schema=SCHEMA)
    store, scope, events = waiting_store(database, statement)
    database.breaks_at = statement
    with pytest.raises(StoreUnavailableError):
        asyncio.run(database.batch(fold([1])))
    assert everything(store, scope) == expected_of(events, scope)


def test_two_folds_at_once_are_one_fold_and_one_that_finds_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "events.sqlite")
    store, scope, events = waiting_store(Sqlite(path, SCHEMA), 1)

    def fold_there(_number: int) -> int:
        results = asyncio.run(Sqlite(path).batch(fold([1])))
        return sum(result.changes for result in results)

    with ThreadPoolExecutor(4) as pool:
        changes = list(pool.map(fold_there, range(4)))
    assert sum(change > 0 for change in changes) == 1
    assert everything(store, scope) == expected_of(events, scope)
