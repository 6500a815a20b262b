"""How many small changes to the modules that guard data the fast tests notice: `python -m tests.mutation_score [FILE …]`.

Each change is made in a process of its own, and the tests that ran its line without it are run there, the shortest first,
until one fails. A change is made in the loaded module; one that is not only inside a function and went unnoticed there, once
more before anything is loaded. What uses up its processor time or cannot be imported counts as noticed. What changes
nothing, and why: tests/equivalent_mutations.py.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FunctionType

import coverage
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tests.equivalent_mutations import EQUIVALENT  # noqa: E402
from tests.small_mutations import Small, small_mutations  # noqa: E402
from tests.test_coverage import GUARDED, SELECTED  # noqa: E402

#: Beside those of tests/test_coverage.py. None starts the Worker.
MORE = (
    "tests/test_account.py", "tests/test_bad_input.py", "tests/test_forget.py", "tests/test_isolation.py",
    "tests/test_key_forgery.py", "tests/test_kv_copies.py", "tests/test_quota.py", "tests/test_reports.py",
    "tests/test_restore.py", "tests/test_sql.py", "tests/unit/test_guard.py", "tests/unit/test_sql_parts.py",
)  # fmt: skip
TESTS = (*(one for one in SELECTED if one.split("::")[0] not in MORE), *MORE)
#: Processor time: of the tests that are tried on one change, and what may be added to it before it is ended.
BUDGET_S, SPARE_S = 20.0, 3
#: Of a change that is made before anything is loaded, so many tests are loaded first.
FIRST = 4
#: The output of this program; that of its processes goes nowhere.
TOLD = os.fdopen(os.dup(1), "w", buffering=1)
UNNOTICED, NOTICED, NOT_HERE = 0, 1, 2


class Without:
    """A run without a change. Shape: `seconds` of each test; for each file, the tests that ran each of its lines, and "" for
    those that ran at import."""

    def __init__(self, files: list[str]) -> None:
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[int, list[str]]] = {}
        self._files = files
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[str(ROOT / one) for one in files]
        )

    def run(self, tests: Sequence[str], into: Path) -> int:
        unload()
        self._coverage.start()
        code = pytest_run(tests, self)
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {one: data.contexts_by_lineno(str(ROOT / one)) for one in self._files}
        into.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))
        return code

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.process_time()
        yield_ = yield
        self.seconds[item.nodeid] = time.process_time() - began
        self._coverage.switch_context("")
        return yield_


class Judge:
    """Ends the process at the first test that fails, and says which it was."""

    def __init__(self, said: Path) -> None:
        self._said = said

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._ends(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._ends(report.nodeid)

    def _ends(self, test: str) -> None:
        self._said.write_text(test)
        os._exit(NOTICED)

    def passed(self) -> None:
        """When no test failed."""
        from tests.plans import FOUND

        if FOUND:
            self._ends("tests/plans.py")
        os._exit(UNNOTICED)


class Loaded(Judge):
    """Changes in the loaded modules, in processes that branch off when all tests are collected."""

    def __init__(self, said: Path, work: Callable[[Loaded], None]) -> None:
        super().__init__(said)
        self._work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        held = gc.get_objects()
        self._functions = [
            one for one in held if isinstance(one, FunctionType) and ours(one.__code__.co_filename)
        ]
        self._caches = [
            one
            for one in held
            if isinstance(one, functools._lru_cache_wrapper)
            and ours(getattr(sys.modules.get(one.__module__), "__file__", None))
        ]
        del held
        gc.freeze()  # the processes that branch off share its memory
        self._work(self)
        return True

    def judge(self, one: Small, code: CodeType, tests: list[str]) -> None:
        try:
            done = put_in_values(one.module, code) if one.at_import else put_in(self._functions, code)
        except Exception:
            self._ends("nothing could be loaded")
        if not done:
            os._exit(NOT_HERE)
        for cache in self._caches:
            cache.cache_clear()
        items = [self._items[one] for one in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        self.passed()


class Fresh(Judge):
    """One change, made before anything of ours is loaded."""

    def __init__(self, said: Path, name: str, path: Path, code: CodeType, tests: list[str]) -> None:
        super().__init__(said)
        self._name, self._path, self._tests = name, path, tests

        class Changed(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code

        self._loader = Changed(name, str(path))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self._loader)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[one] for one in self._tests]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            self.passed()

    def judge(self) -> None:
        unload()
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]  # the part of a finder that is asked for
        pytest_run(sorted({one.split("::")[0] for one in self._tests}), self)
        self._ends("nothing could be loaded")


class Score:
    """What each change of some files came to. Shape: `noticed` holds the test that failed, or None."""

    def __init__(
        self,
        files: list[str],
        tests: Sequence[str],
        budget_s: float,
        noticed: dict[str, str | None],
        folder: Path,
    ) -> None:
        self.noticed, self._selected, self._budget_s = noticed, tests, budget_s
        self._said, without = folder / "said", folder / "without"
        if in_a_child(lambda: Without(files).run(tests, without)) != pytest.ExitCode.OK:
            raise SystemExit("a test fails without any change")
        ran = json.loads(without.read_text())
        self._seconds: dict[str, float] = ran["seconds"]
        self._lines: dict[str, dict[str, list[str]]] = ran["lines"]
        self._helpful: dict[str, Counter[str]] = defaultdict(Counter)
        self._trees = {one: ast.parse((ROOT / one).read_text()) for one in files}
        self.all = [one for file, tree in self._trees.items() for one in small_mutations(file, tree)]

    def run(self, say: Callable[[Small, str | None], None]) -> None:
        left = [one for one in self.all if not self.noticed.get(str(one)) and str(one) not in EQUIVALENT]
        later = self._said.with_name("later")

        def in_loaded(plugin: Loaded) -> None:
            again = [str(one) for one in left if not self._judged(one, plugin, say)]
            later.write_text(json.dumps([again, self.noticed]))

        in_a_child(lambda: pytest_run(self._selected, Loaded(self._said, in_loaded)))
        again, noticed = json.loads(later.read_text())
        self.noticed.update(noticed)
        for one in left:
            if str(one) in again:
                self._judged(one, None, say)

    def _judged(self, one: Small, plugin: Loaded | None, say: Callable[[Small, str | None], None]) -> bool:
        """Whether there is an answer; a change in the loaded module may need a process that has loaded nothing."""
        tests, at_import = self._tests(one)
        in_values = one.at_import and plugin is not None
        code = one.code(self._trees[one.file], ROOT / one.file, only_assignments=in_values)
        by: str | None = None
        if plugin is not None:
            if tests:
                by = self._ended(lambda: plugin.judge(one, code, tests), tests)
            if by == "" or (by is None and at_import):
                return False
        else:
            for some in filter(None, (tests[:FIRST], tests[FIRST:])):
                fresh = functools.partial(Fresh, self._said, one.module, ROOT / one.file, code)
                by = by or self._ended(lambda some=some, fresh=fresh: fresh(some).judge(), some)
        self.noticed[str(one)] = by
        if by in self._seconds:
            self._helpful[one.file][by] += 1
        say(one, by)
        return True

    def _ended(self, judge: Callable[[], None], tests: list[str]) -> str | None:
        """What noticed the change, if anything; an empty text when it cannot be made in the loaded module."""
        self._said.write_text("processor time")
        ended = in_a_child(judge, int(2 * sum(self._seconds[one] for one in tests)) + SPARE_S)
        if ended > NOT_HERE:
            raise SystemExit(f"the change could not be tried, exit {ended}")
        return {UNNOTICED: None, NOT_HERE: ""}.get(ended, self._said.read_text())

    def _tests(self, one: Small) -> tuple[list[str], bool]:
        """The tests to try, in order, and whether the change is one at import, or of a line that is run then too."""
        lines = self._lines[one.file]
        within = (
            lines.values()
            if one.at_import
            else [lines.get(str(n), []) for n in range(one.first, one.last + 1)]
        )
        ran = {test for tests in within for test in tests}
        at_import = one.at_import or "" in ran
        helpful, left_s, chosen = self._helpful[one.file], self._budget_s, []

        def order(test: str) -> tuple[bool, float]:
            return test not in ran, self._seconds[test] / (1 + helpful[test])

        # What is made at import shows in tests that run no line of the file.
        for test in sorted(self._seconds if at_import else ran, key=order):
            left_s -= self._seconds[test]
            if left_s < 0:
                break
            chosen.append(test)
        return chosen, at_import


def pytest_run(tests: Sequence[str], plugin: object) -> int:
    fixed = "-q -s -p no:cacheprovider -p no:xdist --hypothesis-profile=ci -m".split()
    return int(pytest.main([*fixed, "not worker", *tests], plugins=[plugin]))


def in_a_child(work: Callable[[], object], processor_s: int | None = None) -> int:
    """How a process ends that does the work and says nothing; below zero when it was ended."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        ended = 99
        try:
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            if processor_s is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
                signal.alarm(60 + 20 * processor_s)
            ended = int(work() or 0)  # type: ignore[call-overload]
        except BaseException:
            traceback.print_exc(file=TOLD)
        finally:
            os._exit(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ours(path: str | None) -> bool:
    return path is not None and path.startswith(
        tuple(f"{ROOT / one}{os.sep}" for one in ("src", "tests", "dev"))
    )


def unload() -> None:
    """Takes away every module of ours, as if none had been imported."""
    for name, module in list(sys.modules.items()):
        if ours(getattr(module, "__file__", None)) and name != "__main__":
            del sys.modules[name]


def put_in_values(name: str, assignments: CodeType) -> bool:
    """Gives a loaded module what its assignments come to now, and whoever imports that from it. False when all is equal."""
    module = sys.modules[name]
    old, new = dict(vars(module)), dict(vars(module))
    exec(assignments, new)
    changed = {key: value for key, value in new.items() if key in old and value != old[key]}
    for one in [one for one in sys.modules.values() if ours(getattr(one, "__file__", None))]:
        for key, value in changed.items():
            if vars(one).get(key) is old[key]:
                setattr(one, key, value)
    return bool(changed)


def put_in(functions: Sequence[FunctionType], new: CodeType) -> bool:
    """Gives the functions of a loaded module their new code. False when one of them cannot take it."""
    codes, todo = {}, [new]
    while todo:
        for one in todo.pop().co_consts:
            if isinstance(one, CodeType):
                codes[one.co_qualname, one.co_firstlineno] = one
                todo.append(one)
    for function in functions:
        old = function.__code__
        try:
            if old.co_filename == new.co_filename:
                function.__code__ = codes.get((old.co_qualname, old.co_firstlineno), old)
        except ValueError:
            return False
    return True


def table(score: Score) -> str:
    """A line for each file, as docs/reliability.md has it."""
    rows = []
    for file in sorted({one.file for one in score.all}):
        names = [str(one) for one in score.all if one.file == file]
        equivalent = sum(name in EQUIVALENT for name in names)
        noticed = sum(bool(score.noticed.get(name)) for name in names)
        counted = max(1, len(names) - equivalent)
        rows.append(
            f"| `{file}` | {len(names)} | {equivalent} | {noticed} | {100 * noticed / counted:.1f} % |"
        )
    return "\n".join(["| File | Changes | Equivalent | Noticed | Score |", "|---|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation_score")
    parser.add_argument(
        "files", nargs="*", help="such as src/access/gate.py; all that guard data unless told"
    )
    parser.add_argument("--tests", nargs="+", default=TESTS, help="what pytest is given")
    parser.add_argument(
        "--budget", type=float, default=BUDGET_S, metavar="SECONDS", help="of tests for one change"
    )
    parser.add_argument(
        "--results", type=Path, help="to write to, and to go on from: what was noticed is not tried again"
    )
    told = parser.parse_args()
    guarded = sorted(path for one in GUARDED for path in ROOT.glob(one) if path.stem != "__init__")
    files = told.files or [str(path.relative_to(ROOT)) for path in guarded]
    results: Path | None = told.results
    before = map(json.loads, results.read_text().splitlines()) if results and results.exists() else ()

    def say(one: Small, by: str | None) -> None:
        if results:
            with results.open("a") as file:
                file.write(json.dumps([str(one), by]) + "\n")
        if not by:
            print(f"unnoticed: line {one.first}: {one}", file=TOLD)

    for plugin in entry_points(group="pytest11"):
        plugin.load()  # once for all processes
    with TemporaryDirectory() as folder:
        score = Score(files, told.tests, told.budget, dict(before), Path(folder))
        gone = set(EQUIVALENT) - {str(one) for one in score.all} if not told.files else set()
        score.run(say)
    print(table(score), *(f"no longer there: {one}" for one in gone), sep="\n", file=TOLD)
    sys.exit(bool(gone))


if __name__ == "__main__":
    main()
