"""What SQLite's own plan says of a statement, whatever its text is: whether it reads a whole table, reads the events once
for each row of something, or reaches the tables of events by anything but their project.

Every statement that a test sends through the house is looked at once (tests/faults.py); the statements that mean all
projects on purpose are listed here, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.erasures import PENDING, PRUNE
from storage.fold import WAITING_PROJECTS
from storage.health import SELECT_TABLES
from storage.kv_copies import PENDING as COPIES_PENDING
from storage.purge import set_boundaries
from storage.sqlite import Sqlite

#: Tables whose key begins with the project.
BY_PROJECT = frozenset(
    {"inbox", "events", "visitor_days", "daily", "eight_days", "path_counts", "people", "arrivals", "dictionary", "folds",
     "retention", "erasures", "latest_events"}
)  # fmt: skip
#: Where the project is the row's number itself, or the number was read from a row of the project.
BY_NUMBER = frozenset({"dictionary", "folds", "retention", "latest_events"})

#: The crons and /healthz; no request with a key runs them.
OVER_ALL = frozenset(
    {
        WAITING_PROJECTS.sql,
        SELECT_TABLES,
        PENDING,
        COPIES_PENDING,
        PRUNE,
        *(one.sql for one in set_boundaries(0, {})),
    }
)

_seen: set[str] = set()
_databases: list[Sqlite] = []
#: What was found in a run; the house answers such a failure with 500, and at the end of the run it fails all the same.
FOUND: list[str] = []


@dataclass(frozen=True)
class Step:
    """A line of a plan. Where it is a loop over rows: `tables`, those its name may stand for; `how` the rows are found."""

    parent: int
    detail: str
    loop: str = ""
    name: str = ""
    how: str = ""
    tables: frozenset[str] = frozenset()


def plan(database: Sqlite, sql: str, parameters: Sequence[Any]) -> list[Step]:
    names, steps = tables_by_name(database, sql), []
    for row in database.connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(parameters)):
        match = re.match(r"(SEARCH|SCAN) (\w+)(.*)", row["detail"])
        if match and "VIRTUAL TABLE" not in match[3]:
            loop, name, how = match.groups()
            tables = frozenset(names.get(name, ()))
            steps.append(Step(row["parent"], row["detail"], loop, name, how, tables))
        else:
            steps.append(Step(row["parent"], row["detail"]))
    return steps


def tables_by_name(database: Sqlite, sql: str) -> Mapping[str, set[str]]:
    """The tables that a name in a plan may stand for: its own, or those it is an alias of somewhere in the statement."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names: dict[str, set[str]] = {}
    for row in database.connection.execute(query):
        table = row["name"]
        for name in {table, *re.findall(rf"\b{table}\s+AS\s+(\w+)", sql)}:
            names.setdefault(name, set()).add(table)
    return names


def scanned(steps: Sequence[Step]) -> Iterator[str]:
    """Whole tables that are read."""
    return (step.detail for step in steps if step.loop == "SCAN" and step.tables)


#: Of a statement's own rows, those of which there are only a few: the projects, the days, the two ends of a window.
_FEW: Final = re.compile(r"CONSTANT|days|spans?|edges?|recent")
_WHOLE_DAYS: Final = re.compile(r" USING PRIMARY KEY \(project=\? AND day[>=]\?( AND day<\?)?\)")
_MANY_ROWS: Final = frozenset({"events", "visitor_days"})
_ROLLED_UP_DAYS: Final = re.compile(r" USING PRIMARY KEY \(project=\? AND kind=\? AND (day|octet)[<>]\?")
_ROLL_UPS: Final = frozenset({"daily", "eight_days"})


def read_again_and_again(steps: Sequence[Step]) -> Iterator[str]:
    """Loops over whole days of events inside a loop over rows of events, of visitors, or that the statement made; over
    all days of a roll-up inside a loop over its days: their product."""
    outer: dict[int, list[Step]] = {}
    for step in steps:
        before = outer.setdefault(step.parent, [])
        if step.loop and _WHOLE_DAYS.match(step.how):
            yield from (
                f"{step.detail} inside {one.detail}"
                for one in before
                if one.tables & _MANY_ROWS or (one.loop == "SCAN" and not _FEW.fullmatch(one.name))
            )
        if step.loop and _ROLLED_UP_DAYS.match(step.how):
            yield from (f"{step.detail} inside {one.detail}" for one in before if one.tables & _ROLL_UPS)
        before.append(step)


def unscoped(steps: Sequence[Step]) -> Iterator[str]:
    """Steps that reach rows of the tables above by anything but their project."""
    for step in steps:
        if not step.tables & BY_PROJECT:
            continue
        searched = step.loop == "SEARCH" and "AUTOMATIC" not in step.how
        by_number = "(rowid=?)" in step.how and step.tables & BY_NUMBER
        # An alias that also stands for another table.
        elsewhere = step.tables - BY_PROJECT and "(project=?" not in step.how
        if not (searched and ("(project=?" in step.how or by_number or elsewhere)):
            yield step.detail


def faults(database: Sqlite, sql: str, parameters: Sequence[Any] = ()) -> list[str]:
    """What is wrong with the plan of a statement."""
    if sql in OVER_ALL:
        return []
    steps = plan(database, sql, parameters)
    if not steps and "FROM" in sql:  # a DELETE without WHERE shows none
        return ["not by project: no plan, all of it"]
    return [
        *(f"a whole table: {one}" for one in scanned(steps)),
        *(f"again and again: {one}" for one in read_again_and_again(steps)),
        *(f"not by project: {one}" for one in unscoped(steps)),
    ]


def watch(schema: str, sql: str, parameters: Sequence[Any]) -> None:
    """Fails the test that ran a statement with such a plan. Each text is looked at once a run."""
    if sql in _seen:
        return
    _seen.add(sql)
    if not _databases:
        _databases.append(Sqlite(schema=schema))
    if found := faults(_databases[0], sql, parameters):
        FOUND.append("\n".join([*found, sql]))
        raise AssertionError(FOUND[-1])
