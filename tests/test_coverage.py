"""The modules that guard data have no line and no branch that the fast tests leave out; of the rest they leave out at most a
tenth (security.md §4).

The tests named here run once more in a process of their own, traced; those of the Worker cannot be, and so not
src/entry.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house import ROOT

#: Authentication, scope, what builds SQL, intake.
GUARDED = (
    "src/access/*.py",
    "src/analytics/filters.py",
    "src/analytics/intake.py",
    "src/analytics/scope.py",
    "src/storage/forget.py",
    "src/storage/guard.py",
    "src/storage/key_store.py",
    "src/storage/sql_parts.py",
)
#: The fewest fast tests that go everywhere. Whoever adds a branch adds its test here, if it is not among them.
SELECTED = (
    "tests/unit/test_access.py",
    "tests/unit/test_filters.py",
    "tests/unit/test_intake.py",
    "tests/test_account.py::test_a_project_deleted_behind_a_stale_record_answers_as_if_it_had_never_been",
    "tests/test_account.py::test_list_projects_and_its_resource_name_every_project",
    "tests/test_account.py::test_without_a_selector_a_question_covers_every_project_and_rows_say_which",
    "tests/test_audit.py",
    "tests/test_fault_sweep.py::test_unknown_keys_cost_d1_no_more_than_the_bucket_holds",
    "tests/test_first_answers.py",
    "tests/test_forget_user.py",
    "tests/test_isolation.py::test_a_scope_holds_only_the_principals_own_projects",
    "tests/test_keys_command.py",
    "tests/test_leaks.py",
    "tests/test_limits.py",
    "tests/test_refusals.py",
    "tests/test_reports.py::test_on_the_account_every_report_answers_for_each_project_apart",
    "tests/test_watch.py",
)
#: Fast ones that go through most of the rest.
BESIDE = (
    "tests/test_browser_script.py",
    "tests/test_concurrency.py",
    "tests/test_export.py",
    "tests/test_faults.py",
    "tests/test_health.py",
    "tests/test_kv_copies.py",
    "tests/test_ladder.py",
    "tests/test_mcp_edge.py",
    "tests/test_paging.py",
    "tests/test_prompts_and_completions.py",
    "tests/test_quota.py",
    "tests/test_reports.py",
    "tests/test_request_log.py",
    "tests/test_rest.py",
    "tests/test_restore.py",
    "tests/test_sample.py",
    "tests/test_size.py",
    "tests/test_streams.py",
    "tests/unit/test_beats.py",
    "tests/unit/test_local_time.py",
    "tests/unit/test_relative.py",
    "tests/unit/test_window.py",
)
#: Of the lines and branches of the rest, in per cent.
LEAST = 90
#: It needs Pyodide: tests/runtime.py.
NOT_TRACED = ("src/entry.py",)
#: Seconds long, and they go nowhere that the others do not.
LEFT_OUT = (
    "tests/test_limits.py::test_the_burst_and_then_the_rate_pass_and_not_one_more",
    "tests/test_limits.py::test_track_event_shares_the_count_of_track",
    "tests/test_watch.py::test_a_flood_over_many_isolates_writes_a_handful",
    "tests/test_watch.py::test_of_nobody_only_bursts_are_written_down",
    "tests/unit/test_intake.py::test_json_means_what_it_says",
)


def traced(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coverage", *arguments]
    environment = {**os.environ, "COVERAGE_FILE": str(data), "COVERAGE_RCFILE": os.devnull}
    environment.pop("NIGHTLY", None)  # the fast tests at their usual sizes, in one process
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_what_guards_data_is_covered_whole_and_the_rest_to_nine_tenths(tmp_path: Path) -> None:
    """One test, because the traced run is one."""
    files = files_of_traced_run(tmp_path)
    guarded = {str(path.relative_to(ROOT)) for one in GUARDED for path in ROOT.glob(one)}
    assert guarded <= files.keys(), "a module that is not traced"
    missing = {
        name: {"lines": files[name]["missing_lines"], "branches": files[name]["missing_branches"]}
        for name in guarded
        if files[name]["missing_lines"] or files[name]["missing_branches"]
    }
    assert missing == {}
    rest = [file["summary"] for name, file in files.items() if name not in guarded]
    covered = sum(one["covered_lines"] + one["covered_branches"] for one in rest)
    there_is = sum(one["num_statements"] + one["num_branches"] for one in rest)
    assert covered * 100 >= LEAST * there_is, f"{covered} of {there_is} lines and branches of the rest"


def files_of_traced_run(folder: Path) -> dict[str, Any]:
    """What coverage says of each file of `src/`, by its name."""
    data, report = folder / "coverage", folder / "report.json"
    left_out = [f"--deselect={one}" for one in LEFT_OUT]
    options = [
        "-q",
        "-m",
        "not worker",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--hypothesis-profile=ci",
    ]
    selected = ["-m", "pytest", *options, *left_out, *SELECTED, *BESIDE]
    ran = traced(data, "run", "--branch", "--source=src", *selected)
    assert ran.returncode == 0, ran.stdout[-3_000:] + ran.stderr[-1_000:]
    said = traced(data, "json", "-o", str(report), f"--omit={','.join(NOT_TRACED)}")
    assert said.returncode == 0, said.stdout + said.stderr
    found: dict[str, Any] = json.loads(report.read_text())["files"]
    return found


@pytest.mark.parametrize("pattern", GUARDED)
def test_nothing_that_guards_data_is_excepted(pattern: str) -> None:
    """A comment could take a branch out of the count."""
    found = list(ROOT.glob(pattern))
    assert found, "it was moved: name its new place"
    assert [
        path.name for path in found if "no cover" in path.read_text() or "no branch" in path.read_text()
    ] == []
