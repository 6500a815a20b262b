"""Every statement that a request can become: none is missing, each is bound, within D1's limits, answered from an index."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from storage.sqlite import Sqlite
from tests.asked import HOSTILE, REST, Asked, everything_asked
from tests.house import ROOT
from tests.plans import BY_PROJECT, OVER_ALL, faults, plan
from web.rest import REST_ROUTES

Statements = Mapping[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def everything() -> Asked:
    return everything_asked()


@pytest.fixture(scope="module")
def asked(everything: Asked) -> Statements:
    """The statements behind every tool, resource, completion, route and write: text → values."""
    return {sql: min(bound, key=repr) for sql, bound in (everything.writes | everything.reads).items()}


@pytest.fixture(scope="module")
def database() -> Sqlite:
    return Sqlite(schema=(ROOT / "schema.sql").read_text())


# --- none is missing --------------------------------------------------------------------------------------------------


def test_every_tool_and_every_route_that_reads_is_asked(everything: Asked) -> None:
    """Of each tool every argument, and every value that `tools/list` names: `Asked` asks for those by itself."""
    assert everything.tools - {"track_event", "list_projects"} <= set().union(
        *everything.meter.askers.values()
    )
    assert REST.keys() == {path for path, route in REST_ROUTES.items() if route.method == "GET"}
    assert len(everything.reads) > 600


#: What only crons and the operator's commands run; tests/plans.py looks at their plans as well.
NOT_OF_REQUESTS = {"audit_log.py", "erasures.py", "forget_again.py", "kv_copies.py"}
#: No SQL: a regular expression, and what is cut off a URL.
NO_SQL = {"ids.py", "addresses.py"}


SQL = re.compile(
    r"[()=<>*|?]|\b(SELECT|DISTINCT|FROM|JOIN|ON|WHERE|AND|OR|NOT|IN|IS|NULL|EXISTS|BETWEEN|UNION|GROUP|ORDER|BY|DESC|LIMIT"
    r"|OVER|AS|CASE|WHEN|THEN|ELSE|END|WITH|INSERT|VALUES|UPDATE|SET|DELETE)\b"
)


def sql_of(path: Path) -> Iterator[str]:
    """The pieces of SQL that a module puts statements together from: texts with a word or a sign of SQL, without what is
    filled in, which is a piece of its own."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            for piece in re.split(r"\{[^{}]*\}", node.value):
                if SQL.search(piece):
                    yield piece


def never_asked(statements: Statements, path: Path) -> list[str]:
    every = "\n".join(statements)
    return [piece for piece in sql_of(path) if piece not in every]


@pytest.mark.parametrize("path", sorted((ROOT / "src/storage").glob("*.py")), ids=lambda path: path.name)
def test_every_piece_of_sql_is_in_a_statement_that_was_asked(path: Path, asked: Statements) -> None:
    """All SQL is in these modules (tests/test_architecture.py): a statement, or a form of one, that nobody here asks for
    would hold a piece that is in none of the others. Ask for it in QUESTIONS of tests/asked.py."""
    if path.name in NOT_OF_REQUESTS | NO_SQL:
        assert never_asked(asked, path), "everything in it is asked: take it from the list"
    else:
        assert never_asked(asked, path) == []


def test_a_piece_that_is_never_asked_is_found(tmp_path: Path) -> None:
    module = tmp_path / "new.py"
    module.write_text(
        '"""SELECT is prose here."""\nA = f"SELECT e.day {B} AND e.ts > 5" if B else "1.0 * a / {b}"\n'
    )
    asked: Statements = {"SELECT e.day FROM x WHERE y": ()}
    assert sorted(never_asked(asked, module)) == [" AND e.ts > 5", "1.0 * a / "]


# --- bound, and within the limits -------------------------------------------------------------------------------------


def test_what_a_caller_writes_is_bound_and_never_part_of_the_text(asked: Statements) -> None:
    assert any(HOSTILE in str(parameters) for parameters in asked.values())
    for sql in asked:
        assert "DROP" not in sql
        assert "x')" not in sql


def test_every_statement_stays_within_the_limits_of_d1(asked: Statements) -> None:
    """Source: workers-platform.md §3.2. The adapter of these tests enforces the other limits while they run."""
    for sql, parameters in asked.items():
        assert len(parameters) <= 100, sql
        assert len(sql.encode()) <= 100_000, sql
        numbers = {int(number) for number in re.findall(r"\?(\d+)", sql)}
        assert numbers <= set(range(1, len(parameters) + 1)), sql
        assert not re.search(r"\?(?!\d)", sql), sql
        assert not re.search(r"\b(LIKE|GLOB)\b", sql), sql
        assert not re.search(r"\?\d+\s*(/|%|\|\|)|(/|%|\|\|)\s*\?\d+", sql), "a bound number is REAL: CAST it"
        assert not re.search(r";\s*\S", sql), "one statement at a time"


# --- plans ------------------------------------------------------------------------------------------------------------


def test_no_statement_reads_a_whole_table_or_the_events_once_for_each_visitor(
    asked: Statements, database: Sqlite
) -> None:
    """tests/faults.py looks at the statements of all other tests as they run."""
    found = {sql: faults(database, sql, parameters) for sql, parameters in asked.items()}
    assert {sql: one for sql, one in found.items() if one} == {}


def test_every_statement_reaches_events_only_by_their_project(asked: Statements, database: Sqlite) -> None:
    """T-ISO-8, and the SQL audit: SQLite's plan, whatever the text is."""
    of_events = [
        step
        for sql in asked.keys() - OVER_ALL
        for step in plan(database, sql, asked[sql])
        if step.loop and step.tables == {"events"}
    ]
    assert len(of_events) > 500
    assert [step for step in of_events if not step.how.startswith(" USING PRIMARY KEY (project=?")] == []


def test_where_a_session_begins_is_sought_in_an_index(asked: Statements, database: Sqlite) -> None:
    """Rows are joined to rows here, of which there may be as many as events: without an index that is their product."""
    joins = [
        step.how
        for sql, parameters in asked.items()
        if "AS own" in sql
        for step in plan(database, sql, parameters)
        if step.name == "own"
    ]
    assert len(joins) > 5
    assert all("AUTOMATIC COVERING INDEX (project=? AND visitor=? AND begun=?)" in how for how in joins), (
        joins
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM events AS e WHERE e.day = 1",
        "SELECT count(*) FROM events",
        "SELECT 1 FROM projects AS p JOIN events AS e ON e.name = p.number WHERE p.number = 1",
        "DELETE FROM inbox",
        "SELECT 1 FROM visitor_days AS v JOIN daily AS n ON n.day = v.day WHERE v.project = 1",
        "UPDATE people SET person = 1 WHERE visitor = 2",
    ],
)
def test_a_statement_without_its_scope_clause_is_found(sql: str, database: Sqlite) -> None:
    assert any(one.startswith("not by project") for one in faults(database, sql))


def test_a_whole_table_is_found(database: Sqlite) -> None:
    assert faults(database, "SELECT id FROM api_keys WHERE status = 'active'") == [
        "a whole table: SCAN api_keys"
    ]
    by_device = "SELECT count(*) FROM events AS e WHERE e.visitor = 1"
    assert "a whole table: SCAN e" in faults(database, by_device)


@pytest.mark.parametrize(
    "rows",
    [
        "(SELECT DISTINCT d.project, d.visitor FROM events AS d WHERE d.project = 1 LIMIT 9)",
        "visitor_days",
    ],
)
def test_events_that_are_read_once_for_each_visitor_are_found(rows: str, database: Sqlite) -> None:
    sql = f"""SELECT count(*) FROM {rows} AS v CROSS JOIN events AS e
      WHERE v.project = 1 AND e.project = v.project AND e.day BETWEEN 1 AND 9 AND e.visitor = v.visitor"""
    assert any(one.startswith("again and again: SEARCH e") for one in faults(database, sql))


def test_every_table_of_a_project_is_watched(database: Sqlite) -> None:
    query = (
        "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE c.name = 'project'"
    )
    assert {row["name"] for row in database.connection.execute(query)} - {"api_keys"} == BY_PROJECT
