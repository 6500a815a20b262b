"""/healthz: red when the schema is missing or D1 does not answer (security.md T-FLT-D9), and cheap."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from storage.health import SELECT_TABLES, TABLES
from storage.sqlite import Sqlite
from tests.house import ROOT, InProcess


def test_every_table_of_the_schema_is_looked_for() -> None:
    schema = (ROOT / "schema.sql").read_text()
    assert sorted(TABLES) == sorted(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", schema))


@pytest.mark.parametrize("table", TABLES)
def test_without_a_table_it_is_not_ready(house: InProcess, table: str) -> None:
    assert house.get("/healthz").status == 200
    house.db.connection.execute(f"DROP TABLE {table}")
    house.now = "2026-05-20T12:00:10Z"
    answer = house.get("/healthz")
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (503, {"error": "not_ready"}, "5")


def test_no_row_is_read() -> None:
    house = InProcess()
    house.track(house.account()["projects"][0]["sk"], {"event": "e"})
    house.fold()
    plan = [row["detail"] for row in house.db.connection.execute(f"EXPLAIN QUERY PLAN {SELECT_TABLES}")]
    assert [one for one in plan if "SEARCH" in one] == []
    row = house.db.connection.execute(SELECT_TABLES).fetchone()
    assert set(row) == {0}
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        Sqlite().connection.execute(SELECT_TABLES)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("transient", 502, "upstream_failed"),
        ("overloaded", 503, "overloaded"),
        ("not ready", 503, "not_ready"),
    ],
)
def test_it_says_what_d1_says_and_is_green_again_afterwards(
    house: InProcess, fault: str, status: int, error: str
) -> None:
    house.faults.d1 = lambda _number, _statements: fault
    answer = house.get("/healthz")
    assert (answer.status, answer.json) == (status, {"error": error})
    house.faults.reset()
    house.now = "2026-05-20T12:00:01Z"
    assert house.get("/healthz").json == {"ok": True}


@pytest.mark.parametrize(("fault", "asked"), [(None, [0, 10, 20]), ("not ready", list(range(21)))])
def test_who_asks_often_costs_d1_little(house: InProcess, fault: Any, asked: list[int]) -> None:
    house.faults.d1 = lambda _number, _statements: fault
    calls = []
    for second in range(21):
        house.now = f"2026-05-20T12:00:{second:02}Z"
        before = house.faults.d1_calls
        for _ in range(20):
            house.get("/healthz")
        if house.faults.d1_calls > before:
            calls.append(second)
    assert calls == asked
    assert house.faults.d1_calls == len(asked)
