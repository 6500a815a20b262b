"""What a question reads is bounded by what it is about: for every statement that a request reads with (tests/asked.py), its
work is counted again and again while there is more and more that it could read. Counted are the steps of SQLite's virtual
machine: reading a row takes at least one, so that a bound on steps is one on rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from analytics.window import MS_PER_DAY, format_instant, parse_instant
from tests.asked import END, EVENTS, HOSTILE, START, Asked, Meter, Options, events, everything_asked
from tests.house import InProcess
from tests.plans import plan

OTHERS: Final = 3_000
#: Far before every window and what it is compared with, and far behind what is looked at after it.
BEFORE, AFTER = START - 900 * MS_PER_DAY, END + 400 * MS_PER_DAY

#: Steps for each event of other days: of tier 2, which is in the order of visitors, whoever asks about all of them passes
#: over those days; who the people behind the devices are is looked up among all `$identify`.
PASSED_OVER: Final = {
    "visitor_days USING PRIMARY KEY (project=?)": 30,
    "daily USING PRIMARY KEY (project=? AND kind=?)": 6,
}
#: The same of tools that ask about all days of a person, whose devices have such events here.
OF_A_PERSON: Final = {"forget_user": 80, "export": 80}

#: Twice as much takes so many times the steps at most: a product of events and events, or of visitors, takes four times.
LINEAR: Final = 2.1
#: The same where a visitor has twice as many events: each conversion is held against each touch before it, each step of a
#: funnel against those before.
PAIRED: Final = {"attribution": 2.5, "channel_roi": 2.5, "funnel": 2.5}

#: The steps that a tool may take for each event of its window, whatever else it is asked: five filters, each looking a text
#: up or taking properties apart, or the twenty steps of a funnel.
PER_EVENT: Final = {
    "attribution": 10, "breakdown": 800, "channel_roi": 250, "compare_projects": 45, "compare_segments": 200,
    "describe_schema": 45, "diagnose": 90, "export": 90, "forget_user": 45, "funnel": 1_700, "get_stats": 110, "health": 140,
    "lifecycle": 120, "overview": 650, "paths": 550, "query_events": 10, "realtime": 5, "resources": 5, "retention": 85,
    "revenue": 45, "scan": 65, "sessions": 480, "timeseries": 1_000, "top_sources": 60, "user_journey": 140,
}  # fmt: skip
#: And those of a statement that reads roll-ups and nothing else: three weeks here, of a dozen values.
ROLLED_UP: Final = 20_000

#: What must be found, by the stage that finds it: all projects, all days of one, each visitor or event with each.
_DAYS: Final = f"BETWEEN {START // MS_PER_DAY} AND {END // MS_PER_DAY}"
FOUND: Final = {
    "neighbours": "SELECT sum(ts) FROM events",
    "other days": "SELECT sum(ts) FROM events WHERE project = 1",
    "visitors": f"""SELECT count(*) FROM visitor_days AS v CROSS JOIN visitor_days AS w
       WHERE v.project = 1 AND w.project = 1 AND v.day {_DAYS} AND w.day {_DAYS}""",
    "events": f"""SELECT count(*) FROM events AS e CROSS JOIN events AS f
       WHERE e.project = 1 AND e.day {_DAYS} AND f.project = 1 AND f.day {_DAYS}""",
}


class Stages:
    """The steps of every statement: `alone`, and then with more of one kind of event after the other."""

    def __init__(self, asked: Asked) -> None:
        self.askers = asked.meter.askers
        self.reads = asked.reads | {sql: {()} for sql in FOUND.values()}
        self.plans = {sql: plan(asked.meter, sql, min(bound, key=repr)) for sql, bound in self.reads.items()}
        self.steps = {"alone": asked.meter.steps_of(self.reads)}
        asked.send(asked.neighbour, events(OTHERS, START, END, "neighbour"))
        self.steps["neighbours"] = asked.meter.steps_of(self.reads)
        for label, start in (("before", BEFORE), ("after", AFTER)):
            asked.send(asked.mine, events(OTHERS // 2, start, start + 40 * MS_PER_DAY, label))
        self.steps["other days"] = asked.meter.steps_of(self.reads)
        mine = events(EVENTS, START, END, "mine")
        others = [one | {name: f"other {one[name]}" for name in ("event_id", "anonymous_id")} for one in mine]
        asked.send(asked.mine, others)
        self.steps["visitors"] = asked.meter.steps_of(self.reads)
        asked.send(asked.mine, [later(one) for one in [*mine, *others]])
        self.steps["events"] = asked.meter.steps_of(self.reads)

    def compared(self, stage: str) -> dict[str, tuple[int, int]]:
        """The steps of each statement before a stage and after it; more than counting in hundreds explains."""
        names = list(self.steps)
        before, after = self.steps[names[names.index(stage) - 1]], self.steps[stage]
        return {
            sql: (before[sql], after[sql])
            for sql, bound in self.reads.items()
            if after[sql] > before[sql] + Meter.STEP * len(bound)
        }

    def values(self, sql: str) -> int:
        """With how many values a statement was asked: its steps are those of all together."""
        return len(self.reads[sql])

    def allowed(self, sql: str, of_tools: Mapping[str, float], otherwise: float = 0) -> float:
        """What every tool behind a statement allows."""
        return min((of_tools.get(tool, otherwise) for tool in self.askers[sql]), default=otherwise)

    def reads_any(self, sql: str, *tables: str) -> bool:
        return any(step.tables & set(tables) for step in self.plans[sql])


def later(event: Options) -> Options:
    """The same of the same visitor a millisecond later."""
    at = format_instant(parse_instant(event["timestamp"]) + 1)
    return event | {"event_id": f"later {event['event_id']}", "timestamp": at}


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages(everything_asked())


def found(stage: str, wrong: Mapping[str, tuple[int, int]]) -> None:
    """Nothing is wrong but the statement that has to be."""
    assert FOUND[stage] in wrong, "the stage finds nothing"
    more = {sql: steps for sql, steps in wrong.items() if sql not in FOUND.values()}
    assert not more, "\n\n".join(f"{before} → {after}: {sql}" for sql, (before, after) in more.items())


def test_no_statement_reads_what_is_the_neighbours(stages: Stages) -> None:
    found("neighbours", stages.compared("neighbours"))


def test_no_statement_reads_other_days_than_it_is_about(stages: Stages) -> None:
    def passed_over(sql: str) -> float:
        keys = {f"{table}{step.how}" for step in stages.plans[sql] for table in step.tables}
        return sum(PASSED_OVER[key] for key in keys & PASSED_OVER.keys()) + stages.allowed(sql, OF_A_PERSON)

    found("other days", {
        sql: (before, after)
        for sql, (before, after) in stages.compared("other days").items()
        if after - before > passed_over(sql) * OTHERS * stages.values(sql)
    })  # fmt: skip


def test_twice_the_visitors_take_twice_the_steps_and_what_reads_roll_ups_no_more(stages: Stages) -> None:
    found("visitors", {
        sql: (before, after)
        for sql, (before, after) in stages.compared("visitors").items()
        if after > before * LINEAR or not stages.reads_any(sql, "events", "visitor_days")
    })  # fmt: skip


def test_twice_the_events_of_the_same_visitors_take_twice_the_steps_and_what_reads_no_events_no_more(
    stages: Stages,
) -> None:
    found("events", {
        sql: (before, after)
        for sql, (before, after) in stages.compared("events").items()
        if after > before * stages.allowed(sql, PAIRED, LINEAR) or not stages.reads_any(sql, "events")
    })  # fmt: skip


def test_every_tool_takes_no_more_steps_for_an_event_than_it_may(stages: Stages) -> None:
    found("events", {
        sql: (before, after)
        for stage, more in (("visitors", EVENTS), ("events", 2 * EVENTS))
        for sql, (before, after) in stages.compared(stage).items()
        if after - before > stages.allowed(sql, PER_EVENT) * more * stages.values(sql)
    })  # fmt: skip


def test_what_reads_roll_ups_alone_takes_few_steps(stages: Stages) -> None:
    steps = {
        sql: taken / stages.values(sql)
        for sql, taken in stages.steps["events"].items()
        if not stages.reads_any(sql, "events", "visitor_days")
    }
    assert len(steps) > 40
    assert {sql: taken for sql, taken in steps.items() if taken > ROLLED_UP} == {}


def of_a_person(noise: int, where: str) -> Counter[str]:
    """The steps of what is asked and done about a person with 300 events on four devices, with so many others in the way."""
    meter = Meter()
    house = InProcess(db=meter)
    mine, neighbour = house.account("business", "Mine", "Neighbour")["projects"]
    others = events(noise, START, END, "others")
    for number, one in enumerate(others):
        one |= {"anonymous_id": f"other{number % 300}"} if where == "same project" else {"user_id": HOSTILE}
    for place in range(0, noise, 1_000):
        keys = mine if where == "same project" else neighbour
        house.track(keys["sk"], *others[place : place + 1_000])
    theirs = events(300, START, END, "theirs")
    house.track(
        mine["sk"],
        *(one | {"anonymous_id": f"own{n % 4}", "user_id": HOSTILE} for n, one in enumerate(theirs)),
    )
    house.fold()
    meter.taken = Counter()
    asked = {"user_id": HOSTILE, "include_anonymous": True}
    first = house.post("/v1/export", asked | {"limit": 100}, mine["sk"]).json
    rest = house.post("/v1/export", asked | {"cursor": first["next_cursor"]}, mine["sk"]).json
    assert len(first["rows"]) + len(rest["rows"]) == 300
    assert house.call(mine["sk"], "forget_user", **asked)["structuredContent"]["events"] == 300
    return meter.taken


@pytest.mark.parametrize("where", ["same project", "foreign"])
def test_what_is_asked_about_a_person_reads_nothing_of_the_others(where: str) -> None:
    """Three thousand events of others on the same days, with the same names: on devices of theirs, or in another project."""
    alone, crowded = of_a_person(0, where), of_a_person(3_000, where)
    assert sum("visitor_days" in sql and "people" in sql for sql in alone) == 3
    assert max(alone.values()) > 10_000
    more = {sql: (alone[sql], taken) for sql, taken in crowded.items() if taken > alone[sql] * 1.2 + 1_000}
    assert not more, "\n\n".join(f"{before} → {after}: {sql}" for sql, (before, after) in more.items())
