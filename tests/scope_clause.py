"""Whether a statement touches the tables of events only along `project`: SQLite's own plan says so, whatever the text is.

Every statement that a test sends through the house is looked at once (tests/faults.py); the statements that mean all
projects on purpose are listed here, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from storage.erasures import PENDING, PRUNE
from storage.fold import WAITING_PROJECTS
from storage.health import SELECT_TABLES
from storage.purge import set_boundaries
from storage.sqlite import Sqlite

#: Tables whose key begins with the project.
BY_PROJECT = frozenset(
    {"inbox", "events", "visitor_days", "daily", "path_days", "people", "arrivals", "dictionary", "folds", "retention",
     "erasures"}
)  # fmt: skip
#: Where the project is the row's number itself, or the number was read from a row of the project.
BY_NUMBER = frozenset({"dictionary", "folds", "retention"})

#: The crons and /healthz; no request with a key runs them.
OVER_ALL = frozenset(
    {WAITING_PROJECTS.sql, SELECT_TABLES, PENDING, PRUNE, *(one.sql for one in set_boundaries(0, {}))}
)

_seen: set[str] = set()
_databases: list[Sqlite] = []
#: What was found in a run; the house answers such a failure with 500, and at the end of the run it fails all the same.
FOUND: list[str] = []


def plan(database: Sqlite, sql: str, parameters: Sequence[Any]) -> list[str]:
    rows = database.connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(parameters)).fetchall()
    return [row["detail"] for row in rows]


def tables_by_name(database: Sqlite, sql: str) -> dict[str, set[str]]:
    """The tables that a name in a plan may stand for: its own, or those it is an alias of somewhere in the statement."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names: dict[str, set[str]] = {}
    for row in database.connection.execute(query):
        table = row["name"]
        for name in {table, *re.findall(rf"\b{table}\s+AS\s+(\w+)", sql)}:
            names.setdefault(name, set()).add(table)
    return names


def unscoped(database: Sqlite, sql: str, parameters: Sequence[Any]) -> list[str]:
    """The steps of a statement that reach rows of the tables above by anything but their project."""
    if sql in OVER_ALL:
        return []
    names = tables_by_name(database, sql)
    steps = plan(database, sql, parameters)
    found = [] if steps or "FROM" not in sql else ["no plan: all of it"]  # a DELETE without WHERE shows none
    for detail in steps:
        match = re.match(r"(SEARCH|SCAN) (\w+)(.*)", detail)
        tables = names.get(match[2], set()) if match else set()
        if not match or not tables & BY_PROJECT or "VIRTUAL TABLE" in match[3]:
            continue
        searched = match[1] == "SEARCH" and "AUTOMATIC" not in match[3]
        by_number = "(rowid=?)" in match[3] and tables & BY_NUMBER
        elsewhere = (
            tables - BY_PROJECT and "(project=?" not in match[3]
        )  # an alias that also stands for another table
        if not (searched and ("(project=?" in match[3] or by_number or elsewhere)):
            found.append(detail)
    return found


def watch(schema: str, sql: str, parameters: Sequence[Any]) -> None:
    """Fails the test that ran a statement without its scope clause. Each text is looked at once a run."""
    if sql in _seen:
        return
    _seen.add(sql)
    if not _databases:
        _databases.append(Sqlite(schema=schema))
    if found := unscoped(_databases[0], sql, parameters):
        FOUND.append(f"not by project: {found}\n{sql}")
        raise AssertionError(FOUND[-1])
