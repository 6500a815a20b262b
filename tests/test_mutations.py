"""Each line of tests/mutations.py is there; at night each is taken away, and its test fails. What small changes are."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.equivalent_mutations import EQUIVALENT
from tests.figures import NIGHT, Figures
from tests.house import ROOT
from tests.mutations import MUTATIONS, Mutation, as_markdown
from tests.scope_mutations import STORAGE, clauses
from tests.small_mutations import small_mutations
from tests.test_coverage import GUARDED

nightly = pytest.mark.skipif(not NIGHT, reason="at night only: a test run for each mutation")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_line_is_there_once(mutation: Mutation) -> None:
    assert (ROOT / "src" / mutation.file).read_text().count(mutation.old) == 1


def test_the_page_names_no_mutation_that_is_gone() -> None:
    """`python -m tests.mutations > docs/mutations.md` renews it."""
    page = (ROOT / "docs/mutations.md").read_text().splitlines()
    rows = [line for line in page if line.startswith("| ")][1:]
    assert len(rows) > 40
    assert set(rows) <= set(as_markdown().splitlines())


def test_scope_clauses_are_found_by_their_words() -> None:
    found = list(clauses())
    assert len(found) > 90
    assert len({one.file for one in found}) >= 20
    for one in found:
        assert one.without() != (STORAGE / one.file).read_text()


def test_small_changes_are_all_that_can_be_made_to_a_line() -> None:
    tree = ast.parse('def f(a, b=1):\n    """Text."""\n    return a < b and a not in [b + 2]\n')
    made = list(small_mutations("f.py", tree))
    assert [one.text for one in made] == [
        "1 → 2",
        "1 → 0",
        "return a < b and a not in [b + 2] → return None",
        "a < b and a not in [b + 2] → a < b or a not in [b + 2]",
        "a < b → a <= b",
        "a < b → a > b",
        "a not in [b + 2] → a in [b + 2]",
        "b + 2 → b - 2",
        "2 → 3",
        "2 → 1",
    ]
    assert [one.at_import for one in made] == [True, True, *[False] * 8]
    given: dict[str, Any] = {}
    exec(made[3].code(tree, Path("f.py")), given)
    assert given["f"](2, 1) is True
    assert "or" not in ast.unparse(tree)


def test_a_change_that_is_called_equivalent_is_one_that_is_made() -> None:
    paths = [path for one in GUARDED for path in ROOT.glob(one)]
    made = {
        str(one)
        for path in paths
        for one in small_mutations(str(path.relative_to(ROOT)), ast.parse(path.read_text()))
    }
    assert set(EQUIVALENT) - made == set()


def copied(into: Path) -> Path:
    """The repository as far as these tests need it; what is installed is linked."""
    for name in ("src", "tests", "dev"):
        shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("schema.sql", "pyproject.toml", "wrangler.toml"):
        shutil.copy(ROOT / name, into / name)
    for name in (".venv", ".venv-mcp"):
        (into / name).symlink_to((ROOT / name).resolve())
    return into


def failures(where: Path, tests: str) -> list[str]:
    """The tests that fail there, and statements that the end of the run complains of; nothing else counts as a failure."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-rfE",
        "-m",
        "not worker",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=unshrunk",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "NIGHTLY"}
    done = subprocess.run(
        [*command, *tests.split()],
        cwd=where, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    said += [line for line in done.stderr.splitlines() if line.startswith("not by project")]
    assert bool(said) == (done.returncode == 1), f"{done.stdout[-1500:]}{done.stderr[-1500:]}"
    return said


@nightly
@pytest.mark.parametrize("tests", sorted({one.test for one in MUTATIONS}))
def test_without_a_mutation_the_tests_pass_in_the_copy(tests: str, tmp_path: Path) -> None:
    assert failures(copied(tmp_path), tests) == []


@nightly
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_without_the_line_its_test_fails(mutation: Mutation, tmp_path: Path, figures: Figures) -> None:
    file = copied(tmp_path) / "src" / mutation.file
    file.write_text(file.read_text().replace(mutation.old, mutation.new))
    assert failures(tmp_path, mutation.test) != [], f"{mutation.test} passes without it"
    figures.count("mutations: lines taken away, and noticed")
