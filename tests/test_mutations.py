"""Each line of tests/mutations.py is there; at night each is taken away, and its test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT
from tests.mutations import MUTATIONS, Mutation

nightly = pytest.mark.skipif(
    not os.environ.get("NIGHTLY"), reason="at night only: a test run for each mutation"
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_line_is_there_once(mutation: Mutation) -> None:
    assert (ROOT / "src" / mutation.file).read_text().count(mutation.old) == 1


@nightly
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_without_the_line_its_test_fails(mutation: Mutation, tmp_path: Path) -> None:
    for name in ("src", "tests", "dev"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("schema.sql", "pyproject.toml", "wrangler.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    file = tmp_path / "src" / mutation.file
    file.write_text(file.read_text().replace(mutation.old, mutation.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not worker", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if name != "NIGHTLY"}
    done = subprocess.run(
        [*command, *mutation.test.split()],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 1, (
        f"{mutation.test} passes without it: {done.stdout[-1500:]}{done.stderr[-500:]}"
    )
