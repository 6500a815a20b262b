"""The two rings: `house` is the application in process, `worker` the same on the local runtime; `service` is either."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests import plans
from tests.answers import against_the_protocol
from tests.figures import MARK, NIGHT, TOTALS, Figures, added
from tests.house import ROOT, InProcess, Service
from tests.runtime import Runtime

#: For runs of which only whether they fail is asked: making the first example that fails smaller can take minutes.
settings.register_profile("unshrunk", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))

#: Complaints that no single test made: from this process, and from those that pytest-xdist started.
COMPLAINTS: list[str] = []

#: What takes longest comes first, and is no longer bound to its file: each a group of its own among the processes of a
#: night, and of those in SPREAD each case. So is each test of LONG_FILES, before all others. The tests of a file that are
#: left stay together, in one process and in order.
SPREAD = (
    "test_no_answer_holds_what_its_key_may_not_see",
    "test_any_two_calls_to_d1_may_fail",
    "test_no_mutated_body_gets_more_than_a_refusal",
    "test_every_answer_of_every_tool_equals_the_model",
)
LONGEST = (
    "test_kill_minus_nine_loses_doubles_and_tears_nothing",
    "test_every_answer_of_every_tool_equals_the_model",
    *SPREAD,
    "test_any_envelope_gets_one_whole_reply",
    "test_one_wrong_argument_is_explained_or_answered",
    "test_what_is_taken_is_given_back_as_it_was_meant",
    "test_without_the_line_its_test_fails",
    "test_schemathesis_finds_nothing_undescribed",
    "test_what_others_add_change_and_delete_never_changes_an_answer",
)
LONG_FILES = (
    "test_reports_equal_the_reference.py",
    "test_answers_equal_the_reference.py",
    "test_projects_equal_the_reference.py",
    "test_moved.py",
    "test_rollups.py",
)
#: What a file asks for how much it is to do: by itself, or of a file that asked.
SIZES = {"scale", "NIGHT", "TIMES"}
#: Part of the night without asking: the list of goals names them, and tests/asked.py asks for two of them.
NAMED = ("test_bad_input.py", "test_rows_read.py", "test_sql.py")


def larger_at_night(item: pytest.Item) -> bool:
    """`npm test` runs the others, at the only size they have."""
    file = item.getparent(pytest.Module)
    assert file is not None
    return not SIZES.isdisjoint(vars(file.obj)) or item.path.name in NAMED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """At night: what is larger then, the order, and the groups that `--dist loadgroup` hands out."""
    if not NIGHT:
        return
    config.hook.pytest_deselected(items=[one for one in items if not larger_at_night(one)])
    items[:] = filter(larger_at_night, items)

    def place(item: pytest.Item) -> int:
        name, file = item.name.split("[")[0], item.path.name
        if name in LONGEST:
            return LONGEST.index(name)
        return len(LONGEST) + (LONG_FILES.index(file) if file in LONG_FILES else len(LONG_FILES))

    items.sort(key=place)
    for item in items:
        name = item.name.split("[")[0]
        alone = name in LONGEST or item.path.name in LONG_FILES
        group = item.name if name in SPREAD else name if alone else item.path.name
        no_brackets = re.sub(r"[^\w.]", "-", group)  # they would end the name
        item.add_marker(pytest.mark.xdist_group(no_brackets))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """At the end of a run, every result that an MCP endpoint gave is held against the protocol's own models; and no
    statement had a plan that it may not have. A process of pytest-xdist hands what it found to the one that reports."""
    said = against_the_protocol(str(ROOT / ".venv-mcp/bin/python"))
    if said:
        COMPLAINTS.append(f"MCP results that break the protocol:\n{said}")
    if plans.FOUND:
        COMPLAINTS.append("Statements with a plan that no statement may have:\n" + "\n".join(plans.FOUND))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["complaints"] = COMPLAINTS
    elif COMPLAINTS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("\n" + "\n".join(COMPLAINTS) + "\n")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended."""
    COMPLAINTS.extend(getattr(node, "workeroutput", {}).get("complaints", []))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        added(report.user_properties)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The figures of docs/reliability.md."""
    if TOTALS:
        terminalreporter.section("figures of this run")
        for name, total in sorted(TOTALS.items()):
            terminalreporter.write_line(f"{name}: {total:,}")


@pytest.fixture
def figures(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Figures]:
    """What the test counts; the sums of all tests stand at the end of the run."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name} {line}", file=sys.stderr, flush=True)

    counted = Figures(say)
    yield counted
    request.node.user_properties.extend((MARK + name, amount) for name, amount in counted.items())


@pytest.fixture
def house() -> InProcess:
    """A fresh house for each test; nothing is shared."""
    return InProcess()


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The Worker, started once for all tests, without demo events. Tests that need their own data make an account."""
    runtime = Runtime(tmp_path_factory.mktemp("state"), "--no-demo")
    yield runtime
    runtime.stop()


@pytest.fixture(params=["in process", pytest.param("worker", marks=pytest.mark.worker)])
def service(request: pytest.FixtureRequest) -> Service:
    """Either ring: what a test says with it holds in both."""
    ring: Service = request.getfixturevalue("house" if request.param == "in process" else "worker")
    return ring


@pytest.fixture
def account(service: Service) -> dict[str, Any]:
    """A new business account with one project, in the shape of dev-keys.json."""
    keys: dict[str, Any] = service.account("business")  # type: ignore[attr-defined]
    return keys


@pytest.fixture(scope="session")
def _shared() -> dict[type, dict[str, Any]]:
    return {}


@pytest.fixture
def shared(service: Service, _shared: dict[type, dict[str, Any]]) -> dict[str, Any]:
    """An account for tests that count nothing: on the Worker, where making one is slow, all share it."""
    if isinstance(service, InProcess):
        return service.account("business")
    if type(service) not in _shared:
        _shared[type(service)] = service.account("business")  # type: ignore[attr-defined]
    return _shared[type(service)]
