"""Every tool of both endpoints against the slow computation, on one account to which everything happens that can: events
come late, shuffled, twice; devices turn out to be one person's; somebody is forgotten; what is too old goes. Random
questions in between, on the folded store in process and on the real D1. What is drawn: tests/stories.py; what is true:
tests/model.py."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from access.plans import PLANS
from analytics.window import MS_PER_DAY, format_instant
from tests.figures import Figures
from tests.house import InProcess, Service
from tests.model import ANSWERS, Asked, Project, differences, wrong_about_names
from tests.runtime import Runtime
from tests.scale import scale
from tests.stories import (
    NOW_TOOLS,
    OPTIONS,
    Action,
    Ask,
    Fold,
    Forget,
    Options,
    Purge,
    Resend,
    Send,
    stories,
)

NOW: Final = "2026-06-01T00:00:00Z"
#: Tools that read no events.
WRITES: Final = frozenset({"track_event"})
#: Relative errors that answers may have: sums of fractions in another order, and an interval found by halving.
ABOUT: Final = {"compare_segments": 1e-6}
EXACT: Final = 1e-9
#: Columns that are no measure: what a row means, and what changes with each call.
UNCOMPARED: Final = {"health": {"definition"}, "forget_user": {"token", "expires_at"}}
#: The longest windows with an interval of hours, and with a longer one of a time zone, so that the model takes no longer
#: with them than with others.
HOURS: Final = 3 * MS_PER_DAY
ZONED: Final = 40 * MS_PER_DAY
SCAN: Final = 92 * MS_PER_DAY
AT_ONCE: Final = 4
#: At least this share of the answers says something; some of each tool do.
SPEAKING: Final = 0.3
#: Any question folds what waits.
FOLDS: Final = {"from": "2026-03-01", "to": "2026-03-02"}


class DifferenceError(AssertionError):
    """An answer is not the model's."""


@dataclass
class Compared:
    """How many answers were compared, by endpoint and tool, how many of them said more than "nothing", and which tiers
    gave them."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    spoke: Counter[tuple[str, str]] = field(default_factory=Counter)
    tiers: set[str] = field(default_factory=set)


class Teller:
    """Tells a story to the service and to the model, and compares."""

    def __init__(self, service: Service, compared: Compared) -> None:
        self.service = service
        self.compared = compared
        account = service.account("business", "One", "Two")  # type: ignore[attr-defined]
        self.ak = account["account"]["ak"]
        self.projects = [Project(service, one) for one in account["projects"]]
        self.requests: list[tuple[Project, Send, list[Options]]] = []
        self.done: list[Action] = []
        self.sent = 0

    def tell(self, story: Iterable[Action]) -> None:
        for asks, actions in groupby(story, lambda action: isinstance(action, Ask)):
            if asks:
                self._ask(list(actions))  # type: ignore[arg-type]
                continue
            for action in actions:
                self.done.append(action)
                self._do(action)

    # --- what happens ---------------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        match action:
            case Send():
                project = self.projects[action.project]
                self.requests.append((project, action, list(self._events(action))))
                self._post(*self.requests[-1])
            case Resend() if self.requests:
                project, send, events = self.requests[action.which % len(self.requests)]
                self._post(project, send, events[:1] if action.alone else events)
            case Fold():
                for project in self.projects:
                    self.service.rows(project.project["rk"], "get_stats", **FOLDS)
                self._add_days_up()
            case Forget():
                project = self.projects[action.project]
                asked = {"user_id": action.user_id, "include_anonymous": action.include_anonymous}
                answer = self.service.post("/v1/forget", asked, project.project["sk"])
                assert answer.json == {
                    "ok": True,
                    "queued": False,
                    "deleted": project.forget(action.user_id, action.include_anonymous),
                }
            case Purge():
                self._purge(action.first_day)

    def _events(self, send: Send) -> Iterator[Options]:
        for beat in send.beats:
            at = self.service._now_ms() - beat.at * 60_000 if beat.at < 1_000 else beat.at
            for time in range(beat.times):
                self.sent += 1
                stamp = format_instant(at - time * beat.apart_ms)
                yield {**beat.event, "event_id": f"e{self.sent}", "timestamp": stamp}

    def _post(self, project: Project, send: Send, events: list[Options]) -> None:
        """A single event goes where single events go."""
        if len(events) > 1:
            path, body = "/v1/batch", {"events": events}
        else:
            path, body = "/v1/track", events[0]
        answer = self.service.post(
            path, body, project.project["sk"], user_agent=send.user_agent, **project.at(send.country)
        )
        assert answer.status == 202, answer.text
        project.note(project.row(event, send.country, send.user_agent) for event in events)

    def _add_days_up(self) -> None:
        """As the cron does it; on the Worker, where its clock decides, tests/test_rollups_on_d1.py does."""
        if isinstance(self.service, InProcess):
            store, now = self.service.wiring().events, self.service._now_ms()
            numbers = self.service.db.connection.execute("SELECT number FROM projects").fetchall()
            for row in numbers:
                asyncio.run(store.add_up_days(row["number"], 0, now // MS_PER_DAY))

    def _purge(self, first_day: int) -> None:
        """As the cron does it, on the day that makes `first_day` the first that the plan keeps."""
        house = self.service
        assert isinstance(house, InProcess)
        days = PLANS["business"].retention_days

        async def purge() -> None:
            store = house.wiring().events
            await store.fold_waiting()
            for project, first in (await store.set_retention(first_day + days, {"business": days})).items():
                await store.purge(project, first, (first_day + days) * MS_PER_DAY)

        asyncio.run(purge())
        for project in self.projects:
            project.keep_from(first_day * MS_PER_DAY)

    # --- what is asked --------------------------------------------------------------------------------------------

    def _ask(self, asks: list[Ask]) -> None:
        questions = [self._question(ask) for ask in asks]
        if isinstance(self.service, InProcess):
            answers = [self._answer(*one) for one in zip(asks, questions, strict=True)]
        else:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = list(pool.map(self._answer, asks, questions))
        for ask, question, (rows, before_ms, after_ms) in zip(asks, questions, answers, strict=True):
            self._compare(ask, question, rows, before_ms, after_ms)

    def _question(self, ask: Ask) -> Asked:
        places = ask.of[1] or (range(len(self.projects)) if ask.path == "/mcp/account" else (0,))
        chosen = [project for place, project in enumerate(self.projects) if place in places]
        now_ms = self.service._now_ms()
        start, end = ask.span.start_ms, ask.span.end_ms
        if ask.span.until != "given":
            end += (
                now_ms
                if ask.span.until == "now"
                else max((one.latest_ms for one in self.projects), default=0)
            )
        end = max(end, start + 1)
        if ask.options.get("interval") == "hour":
            end = min(end, start + HOURS)
        if ask.tool == "lifecycle" or ("interval" in ask.options and ask.tool != "get_stats"):
            end = min(end, start + ZONED)
        if ask.tool == "scan":
            end = min(end, start + SCAN)
        if days := ask.options.get("days_back", 0):
            end = min(end, start + days * MS_PER_DAY)
        return Asked(chosen, self.projects, start, end, now_ms, ask.options, ask.stitched)

    def _answer(self, ask: Ask, question: Asked) -> tuple[list[Options], int, int]:
        """All pages of the answer, and between which instants it was given."""
        arguments = ask.arguments([one.project for one in self.projects])
        if ask.tool not in NOW_TOOLS:
            arguments |= {"from": format_instant(question.start_ms), "to": format_instant(question.end_ms)}
        key = self.ak if ask.path == "/mcp/account" else self._key(ask.tool)
        before_ms = self.service._now_ms()
        rows: list[Options] = []
        pages = ask.options.get("pages", 1_000)
        while True:
            result = self.service.call(key, ask.tool, ask.path, **arguments)
            assert not result.get("isError"), (ask, result)
            structured = result["structuredContent"]
            self.compared.tiers.add(structured.get("meta", {}).get("tier", ""))
            rows += structured.get("rows", [structured])
            if wrong := list(wrong_about_names(ask.tool, question, structured.get("unknown_events", ()))):
                raise DifferenceError("\n".join([repr(ask), *wrong]))
            pages -= 1
            if not pages or "next_cursor" not in structured:
                return rows, before_ms, self.service._now_ms()
            arguments["cursor"] = structured["next_cursor"]

    def _key(self, tool: str) -> str:
        return self.projects[0].project["sk" if tool == "forget_user" else "rk"]

    def _compare(self, ask: Ask, question: Asked, rows: list[Options], before_ms: int, after_ms: int) -> None:
        hidden = UNCOMPARED.get(ask.tool, set())
        found = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
        wrong: list[str] = []
        for now_ms in {before_ms, after_ms} if ask.tool == "realtime" else {question.now_ms}:
            true = ANSWERS[ask.tool](
                Asked(
                    question.of, question.every, question.start_ms, question.end_ms, now_ms, ask.options, ask.stitched
                )
            )  # fmt: skip
            wrong = list(differences(found, true, ABOUT.get(ask.tool, EXACT), "rows"))
            if not wrong:
                break
        window = f"[{format_instant(question.start_ms)}, {format_instant(question.end_ms)})"
        asked = (
            f"{ask.path} {ask.tool} over {window}: {ask.options}, of {ask.of}{', stitched' * ask.stitched}"
        )
        if wrong:
            raise DifferenceError("\n".join([asked, *wrong[:5], *self._after(ask)]))
        self.compared.counts[ask.path, ask.tool] += 1
        self.compared.spoke[ask.path, ask.tool] += says_something(found)

    def _after(self, ask: Ask) -> list[str]:
        """What had happened before a question that was answered wrongly. On the Worker Hypothesis cannot make that short,
        because an account takes seconds; if it is wrong in process, too, it is made short there."""
        if isinstance(self.service, InProcess):
            return ["after", *map(repr, self.done)]
        done = list(self.done)
        now = format_instant(self.service._now_ms())

        def fails(actions: list[Action]) -> bool:
            try:
                Teller(InProcess(now=now), Compared()).tell([*actions, ask])
            except DifferenceError:
                return True
            return False

        if not fails(done):
            return ["on the Worker only, after", *map(repr, done)]
        for action in self.done:
            if fails(fewer := [one for one in done if one is not action]):
                done = fewer
        return ["in process, too, after", repr([*done, ask])]


def says_something(rows: list[Options]) -> bool:
    """Whether an answer has rows, and where those have numbers, one that is not 0."""
    numbers = [one for row in rows for one in _numbers({**row, "step": None, "period": None})]
    return bool(rows) and (not numbers or any(numbers))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def listed(service: Service) -> set[tuple[str, str]]:
    """Every tool that reads events, as both endpoints list them."""
    account = service.account("business")  # type: ignore[attr-defined]
    keys = {"/mcp": account["projects"][0]["sk"], "/mcp/account": account["account"]["ak"]}
    return {
        (path, tool["name"])
        for path, key in keys.items()
        for tool in service.rpc(key, "tools/list", path=path)["result"]["tools"]
        if tool["name"] not in WRITES
    }


@dataclass(frozen=True)
class Amount:
    """How much is compared: answers in all and of each tool; how often a chapter asks each tool, how many stories are
    told before it is counted again."""

    wanted: int
    each: int
    times: int
    stories: int


IN_PROCESS: Final = Amount(scale(2_000, 90_000), scale(20, 900), 1, scale(20, 150))
ON_THE_WORKER: Final = Amount(scale(1_500, 10_000), scale(10, 100), 2, scale(4, 12))
ROUNDS: Final = 400
PHASES: Final = [Phase.generate, Phase.shrink]
#: With so many events of an account the model takes longer than the Worker.
MANY: Final = 400


def test_every_answer_of_every_tool_equals_the_model(
    service: Service, figures: Figures, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = listed(service)
    assert {tool for _, tool in tools} == ANSWERS.keys() == OPTIONS.keys(), (
        "a tool without a model, or without questions"
    )
    amount = ON_THE_WORKER if isinstance(service, Runtime) else IN_PROCESS
    compared = Compared()

    tellers: list[Teller] = []

    def teller() -> Teller:
        """Each story in process is one of its own. On the Worker, where an account takes seconds, some are one story."""
        if isinstance(service, InProcess):
            return Teller(InProcess(now=NOW), compared)
        if not tellers or sum(len(project.rows) for project in tellers[-1].projects) > MANY:
            tellers.append(Teller(service, compared))
        return tellers[-1]

    @settings(
        max_examples=amount.stories,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=PHASES if isinstance(service, InProcess) else [Phase.generate],
        database=None,
    )
    @given(stories(amount.times, purges=isinstance(service, InProcess)))
    def told(story: list[Action]) -> None:
        teller().tell(story)

    for number in range(ROUNDS):
        seed(scale(number, secrets.randbits(64)))(
            told
        )()  # the same stories on every change, others each night
        if compared.counts.total() >= amount.wanted and all(
            compared.counts[one] >= amount.each for one in tools
        ):
            break
    ring = "on the real D1" if isinstance(service, Runtime) else "in process"
    figures.count(f"every tool: answers compared with the model, {ring}", compared.counts.total())
    with capsys.disabled():
        print(summary(compared))
    assert compared.counts.total() >= amount.wanted
    assert {one: compared.counts[one] for one in tools if compared.counts[one] < amount.each} == {}
    assert {tool for (_, tool), count in compared.spoke.items() if count} == ANSWERS.keys()
    assert compared.spoke.total() >= compared.counts.total() * SPEAKING
    assert compared.tiers >= {"daily", "visitor_days", "events"}


def summary(compared: Compared) -> str:
    """What was compared, for who reads the run."""
    told = {
        one: f"{one[1]} {compared.spoke[one]} of {count}" for one, count in sorted(compared.counts.items())
    }
    lines = [
        f"{path}: {', '.join(told[one] for one in told if one[0] == path)}"
        for path in ("/mcp", "/mcp/account")
    ]
    return "\n".join(
        ["", f"{compared.counts.total()} answers compared, {compared.spoke.total()} said something:", *lines]
    )
