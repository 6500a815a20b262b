"""How a night is shared between processes, and that nothing they found or counted is lost on the way."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import LONG_FILES, LONGEST
from tests.figures import MARK, Figures, added
from tests.house import ROOT

TESTS = ROOT / "tests"


def test_what_is_said_to_take_longest_is_there() -> None:
    defined = [
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    ]
    assert [defined.count(name) for name in LONGEST] == [1] * len(LONGEST)
    assert [name for name in LONG_FILES if not (TESTS / name).is_file()] == []


def test_figures_of_several_tests_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = Figures(print)
    monkeypatch.setattr("tests.figures.TOTALS", totals)
    added([(MARK + "kills", 2), ("of somebody else", 9)])
    added([(MARK + "kills", 3)])
    assert totals == {"kills": 5}


def test_what_another_process_complains_of_fails_the_run(tmp_path: Path) -> None:
    """With pytest-xdist, a statement with a bad plan is found by a process that does not report."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *")
    (tmp_path / "test_inner.py").write_text(
        textwrap.dedent("""
        from tests import plans

        def test_passes(figures):
            figures.count("inner", 3)
            plans.FOUND.append("made up by a test")
    """)
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        "pyproject.toml",
        "-p",
        "no:cacheprovider",
        "-n",
        "1",
    ]
    done = subprocess.run(
        [*command, f"--rootdir={ROOT}", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "inner: 3" in done.stdout
    assert "made up by a test" in done.stderr
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
