"""What a question reads is bounded by what it is about: for every statement of the read path, its work is counted with
little around the window and with much. Counted are the steps of SQLite's virtual machine, which reading a row takes."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest

from analytics.window import MS_PER_DAY, format_instant, parse_instant
from storage.database import Result, Statement
from storage.sqlite import Sqlite
from tests.house import ROOT, InProcess
from tests.test_sql import HOSTILE, ON_THE_ACCOUNT, QUESTIONS, WINDOW, ask

STEP = 100  # virtual machine steps between two counts
NAMES = ["a", "b", HOSTILE, *(HOSTILE + str(place) for place in range(4))]
START, END = parse_instant(WINDOW["from"]), parse_instant(WINDOW["to"])
#: Reading one more event takes so many steps at the very least; several reads of a few more of them are let through.
SLACK = 1_000
#: What is about the days before: `lifecycle`; and tier 2, which is in the order of visitors: what asks about all of them
#: passes over the days outside the window.
LOOKS_BACK = re.compile(
    r"around AS MATERIALIZED"
    r"|CROSS JOIN visitor_days AS v\s+WHERE v.project = (?:span.project|p.value) AND v.day "
)


class Meter(Sqlite):
    """A database that counts the steps of each statement, by its text; folds excepted."""

    def __init__(self) -> None:
        super().__init__(schema=(ROOT / "schema.sql").read_text())
        self.steps: Counter[str] = Counter()
        self.running = ""
        self.connection.set_progress_handler(self._count, STEP)

    def _count(self) -> int:
        self.steps[self.running] += STEP
        return 0

    def _run(self, statement: Statement) -> Result:
        self.running = statement.sql
        try:
            return super()._run(statement)
        finally:
            self.running = ""


def events(chance: random.Random, count: int, start: int, end: int, label: str) -> list[dict[str, Any]]:
    return [
        {
            "event": chance.choice(NAMES),
            "event_id": f"{label}{number}",
            "anonymous_id": f"v{chance.randrange(40)}",
            "user_id": HOSTILE if label == "e" and number % 9 == 0 else f"{label}u{number % 5}",
            "timestamp": format_instant(chance.randrange(start, end)),
            "url": f"https://site.example/{chance.randrange(5)}?utm_source=s{chance.randrange(3)}&utm_medium=cpc",
            "properties": {HOSTILE: number, "amount": 1},
        }
        for number in range(count)
    ]


def steps(noise: int, where: str) -> Counter[str]:
    """The steps of every question about the same 300 events, with so many others in the way."""
    chance, meter = random.Random(1), Meter()
    house = InProcess(db=meter)
    account = house.account("business", "Mine", "Neighbour")
    mine, neighbour = account["projects"]
    house.track(mine["sk"], *events(chance, 300, START, END, "e"))
    sent = {
        "before": (mine, START - 160 * MS_PER_DAY, START - 120 * MS_PER_DAY),
        "foreign": (neighbour, START, END),
    }
    keys, first, last = sent[where]
    for place in range(0, noise, 1_000):
        house.track(keys["sk"], *events(chance, min(1_000, noise - place), first, last, f"n{place} "))
    house.fold()
    meter.steps.clear()
    for tool, options in QUESTIONS:
        if tool not in ON_THE_ACCOUNT:  # what is about the whole account is about the neighbour, too
            ask(house, mine["rk"], tool, "/mcp", options)
    return meter.steps


def of_a_person(noise: int, where: str) -> Counter[str]:
    """The steps of what is asked and done about a person with 300 events on four devices, with so many others in the way."""
    chance, meter = random.Random(1), Meter()
    house = InProcess(db=meter)
    mine, neighbour = house.account("business", "Mine", "Neighbour")["projects"]
    others = events(chance, noise, START, END, "n")
    for number, one in enumerate(others):
        one |= {"anonymous_id": f"other{number % 300}"} if where == "same project" else {"user_id": HOSTILE}
    for place in range(0, noise, 1_000):
        keys = mine if where == "same project" else neighbour
        house.track(keys["sk"], *others[place : place + 1_000])
    theirs = events(chance, 300, START, END, "e")
    house.track(
        mine["sk"],
        *(one | {"anonymous_id": f"own{n % 4}", "user_id": HOSTILE} for n, one in enumerate(theirs)),
    )
    house.fold()
    meter.steps.clear()
    asked = {"user_id": HOSTILE, "include_anonymous": True}
    first = house.post("/v1/export", asked | {"limit": 100}, mine["sk"]).json
    rest = house.post("/v1/export", asked | {"cursor": first["next_cursor"]}, mine["sk"]).json
    assert len(first["rows"]) + len(rest["rows"]) == 300
    assert house.call(mine["sk"], "forget_user", **asked)["structuredContent"]["events"] == 300
    return meter.steps


@pytest.fixture(scope="module")
def alone() -> Counter[str]:
    return steps(0, "before")


def test_questions_take_steps_that_can_be_compared(alone: Counter[str]) -> None:
    assert len(alone) > 100
    assert max(alone.values()) > 20 * SLACK


@pytest.mark.parametrize("where", ["foreign", "before"])
def test_no_statement_reads_what_it_is_not_about(where: str, alone: Counter[str]) -> None:
    crowded = steps(3_000, where)
    more = {
        sql: (alone[sql], taken)
        for sql, taken in crowded.items()
        if taken > alone[sql] * 1.2 + SLACK and not (where == "before" and LOOKS_BACK.search(sql))
    }
    assert not more, "\n\n".join(f"{before} → {after}: {sql}" for sql, (before, after) in more.items())


@pytest.mark.parametrize("where", ["same project", "foreign"])
def test_what_is_asked_about_a_person_reads_nothing_of_the_others(where: str) -> None:
    """Three thousand events of others on the same days, with the same names: on devices of theirs, or in another project."""
    alone, crowded = of_a_person(0, where), of_a_person(3_000, where)
    assert sum("visitor_days" in sql and "people" in sql for sql in alone) == 3
    assert max(alone.values()) > 10 * SLACK
    more = {sql: (alone[sql], taken) for sql, taken in crowded.items() if taken > alone[sql] * 1.2 + SLACK}
    assert not more, "\n\n".join(f"{before} → {after}: {sql}" for sql, (before, after) in more.items())
