"""docs/contract.md: every requirement names tests that exist; what is open stands here, by name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.house import ROOT

#: Requirements nobody has tested yet. Whoever meets one takes it out and names the test in the table.
OPEN: dict[str, str] = {}
CELLS = re.compile(r"\| ([A-Z]\d+) \| (.+) \| ([^|]+) \|")
NODES = re.compile(r"(?:`[a-z0-9_/]+\.py(?:::\w+)+` ?)+")


def table() -> dict[str, str]:
    """What the last cell of each row says, by the row's id."""
    lines = (ROOT / "docs/contract.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| Id ")]
    found = [CELLS.fullmatch(row) for row in rows]
    assert all(found), [row for row, match in zip(rows, found, strict=True) if not match]
    ids = [match[1] for match in found if match]
    assert len(set(ids)) == len(ids), "an id stands twice"
    return {match[1]: match[3] for match in found if match}


ROWS = table()


@cache
def named_in(path: Path) -> set[str]:
    """The tests of a file as pytest names them: `test_x`, `TestY::test_x`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("row", ROWS)
def test_every_requirement_names_tests_that_exist_or_is_open_by_name(row: str) -> None:
    said = ROWS[row]
    if row in OPEN:
        assert said == "open", "it names a test now: take it out of OPEN"
        return
    assert NODES.fullmatch(said), f"{row} names no test"
    for node in re.findall(r"`([^`]+)`", said):
        file, _, name = node.partition("::")
        assert name in named_in(ROOT / "tests" / file), f"{row} names {node}, which does not exist"


def test_what_is_open_is_in_the_table() -> None:
    assert OPEN.keys() <= ROWS.keys()


def test_the_table_covers_every_part_of_the_contract() -> None:
    assert {row[0] for row in ROWS} == set("KHIQSMEAP")
    assert len(ROWS) >= 80
