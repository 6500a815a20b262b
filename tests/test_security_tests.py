"""docs/security-tests.md: every line of the security list names tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.house import ROOT
from tests.test_contract import NODES, named_in

CELLS = re.compile(r"\| (T-[A-Z]+-[A-Z]?\d+) \| (.+) \| ([^|]+) \|")
#: How many lines each part of the list has.
PARTS = {"KEY": 10, "TIME": 1, "ISO": 8, "SQL": 5, "FLT": 23, "FUZZ": 7, "KILL": 6, "LEAK": 2, "INJ": 7, "LOG": 3,
         "GDPR": 4, "RET": 1, "AUD": 2, "SUP": 1, "BAK": 1, "BAD": 4, "COV": 1}  # fmt: skip


def table() -> dict[str, str]:
    """What the last cell of each row says, by the row's id."""
    lines = (ROOT / "docs/security-tests.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| Id ")]
    found = [CELLS.fullmatch(row) for row in rows]
    assert all(found), [row for row, match in zip(rows, found, strict=True) if not match]
    ids = [match[1] for match in found if match]
    assert len(set(ids)) == len(ids), "an id stands twice"
    return {match[1]: match[3] for match in found if match}


ROWS = table()


@pytest.mark.parametrize("row", ROWS)
def test_every_line_names_tests_that_exist(row: str) -> None:
    said = ROWS[row]
    assert NODES.fullmatch(said), f"{row} names no test"
    for node in re.findall(r"`([^`]+)`", said):
        file, _, name = node.partition("::")
        assert name in named_in(ROOT / "tests" / file), f"{row} names {node}, which does not exist"


def test_no_line_of_the_list_is_missing() -> None:
    parts = [row.split("-")[1] for row in ROWS]
    assert {part: parts.count(part) for part in parts} == PARTS
