"""The protocol's official conformance suite on the local runtime: the shipped endpoint, and the core with fixtures."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.programs import node22, run
from tests.house import ROOT
from tests.runtime import Runtime

pytestmark = pytest.mark.worker

SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
EXPECTED = ROOT / "tests/conformance"
#: Whatever the fixture mount is asked with: it lets everybody in.
ANY_KEY = "rk_live_00000000_any"


@pytest.fixture(scope="module")
def fixture_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The shipped sources behind an entry of tests only."""
    source = tmp_path_factory.mktemp("fixture") / "source"
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", source, ignore=without_caches)
    (source / "entry.py").rename(source / "shipped.py")
    shutil.copytree(ROOT / "tests/fixture_worker", source, ignore=without_caches, dirs_exist_ok=True)
    runtime = Runtime(tmp_path_factory.mktemp("state"), "--source", str(source))
    yield runtime
    runtime.stop()


@contextmanager
def with_key(url: str, key: str) -> Iterator[str]:
    """The server at `url` behind a proxy that adds the key to every request."""
    command = [node22(), "tests/clients/header_proxy.mjs", url, "Authorization", f"Bearer {key}"]
    proxy = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    try:
        yield f"http://localhost:{proxy.stdout.readline().strip()}"
    finally:
        proxy.communicate(timeout=30)


def conform(url: str, key: str, version: str, expected: Path | None, path: str = "/mcp") -> dict[str, bool]:
    """Which required scenarios passed; fails when one failed that is not expected to, or passed that is."""
    options = ["--requirements", version] + (["--expected-failures", str(expected)] if expected else [])
    with with_key(url, key) as proxied:
        done = run([node22(), SUITE, "server", "--url", f"{proxied}{path}", *options], check=False)
    assert done.returncode == 0, done.stdout[done.stdout.find("=== SUMMARY") :] + done.stderr[-2000:]
    marks = re.findall(r"^([✓✗]) ([\w-]+): ", done.stdout, re.MULTILINE)
    return {name: mark == "✓" for mark, name in marks if name in required(version)}


def required(version: str) -> list[str]:
    """The scenarios a server of this revision has to pass, by the suite's own list."""
    text = (ROOT / f"node_modules/@modelcontextprotocol/conformance/requirements/{version}.yaml").read_text()
    section = re.search(r"^server:\n((?:  - .*\n)+)", text, re.MULTILINE)
    assert section
    return re.findall(r"^  - ([\w-]+)", section[1], re.MULTILINE)


def test_the_core_passes_every_required_scenario_of_2026_07_28(fixture_worker: Runtime) -> None:
    passed = conform(fixture_worker.url, ANY_KEY, "2026-07-28", None)
    assert (len(passed), all(passed.values())) == (37, True)


def test_the_core_passes_2025_11_25_but_for_requests_to_the_client(fixture_worker: Runtime) -> None:
    passed = conform(fixture_worker.url, ANY_KEY, "2025-11-25", EXPECTED / "fixture-2025-11-25.yml")
    failed = {name for name, fine in passed.items() if not fine}
    assert len(passed) == 30
    assert failed == {
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
    }


@pytest.mark.parametrize("path", ["/mcp", "/mcp/account"])
@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_the_shipped_endpoints_fail_only_what_asks_for_fixtures(
    worker: Runtime, version: str, path: str
) -> None:
    account = worker.account("business")
    key = account["account"]["ak"] if path == "/mcp/account" else account["projects"][0]["rk"]
    passed = conform(worker.url, key, version, EXPECTED / f"shipped-{version}.yml", path)
    assert {"tools-list", "resources-list", "prompts-list", "dns-rebinding-protection"} <= {
        name for name, fine in passed.items() if fine
    }


def test_every_expected_failure_says_why() -> None:
    for file in EXPECTED.glob("*.yml"):
        lines = [line for line in file.read_text().splitlines() if line.startswith("  - ")]
        assert lines
        assert all(re.fullmatch(r"  - [\w:-]+ # \S.{10,}", line) for line in lines), file.name


def test_nothing_that_ships_knows_of_the_fixtures() -> None:
    for file in (ROOT / "src").rglob("*.py"):
        assert "fixture" not in file.read_text().lower(), file
