"""What must hold of the whole before it ships: it packs, it is small, it imports without chance."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from tests.clients.programs import run
from tests.house import ROOT
from tests.runtime import NODE

MAX_GZIP_KIB = 3 * 1024


@pytest.mark.worker
def test_the_worker_packs_below_three_megabytes(tmp_path: Path) -> None:
    command = [
        NODE,
        "dev/run.mjs",
        "wrangler",
        "deploy",
        "--dry-run",
        "-c",
        "wrangler.toml",
        "--outdir",
        str(tmp_path),
    ]
    done = run(command)
    output = done.stdout + done.stderr
    size = re.search(r"gzip: ([\d.]+) KiB", output)
    assert size, output[-2000:]
    assert 100 < float(size[1]) < MAX_GZIP_KIB
    assert "WARNING" not in output, output
    for binding in ("env.DB", "env.KEYS", "env.INGEST_LIMIT", "env.READ_LIMIT", "env.AUTH_LIMIT"):
        assert binding in output


#: Imports the Worker as the deploy does, with every source of chance, time and the outside world barred.
BARRED_IMPORT = """
    import os, random, secrets, socket, sys, time, types, uuid

    sys.path[:0] = [{src!r}]
    workers = types.ModuleType("workers")
    workers.WorkerEntrypoint = type("WorkerEntrypoint", (), {{}})
    workers.Response = type("Response", (), {{}})
    workers.Request = type("Request", (), {{}})
    workers.wait_until = workers.waitUntil = workers.import_from_javascript = None
    sys.modules["workers"] = workers
    for stand_in in ("js", "pyodide", "pyodide.ffi"):
        module = types.ModuleType(stand_in)
        module.__getattr__ = lambda name: type(name, (), {{}})
        sys.modules[stand_in] = module

    import asyncio, pydantic, pydantic_core  # the code of others is not ours to bar

    def barred(*_arguments, **_named):
        raise AssertionError("read at import")

    os.urandom = barred
    for name in ("random", "randint", "choice", "getrandbits", "uniform", "randbytes", "shuffle"):
        setattr(random, name, barred)
    for name in ("token_hex", "token_bytes", "token_urlsafe", "choice", "randbelow"):
        setattr(secrets, name, barred)
    uuid.uuid4 = uuid.uuid1 = time.time = time.time_ns = socket.socket = barred
    {line}
    import entry
    assert entry.Default
"""


def barred_import(line: str = "") -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(BARRED_IMPORT).format(src=str(ROOT / "src"), line=line)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_importing_the_worker_uses_no_chance_no_clock_and_no_network() -> None:
    done = barred_import()
    assert done.returncode == 0, done.stderr


def test_the_bar_itself_holds() -> None:
    assert "read at import" in barred_import("import tempfile; uuid.uuid4()").stderr


def test_the_secrets_wrangler_requires_are_those_the_worker_refuses_to_run_without() -> None:
    required = re.search(r"^required = \[(.*)\]$", (ROOT / "wrangler.toml").read_text(), re.MULTILINE)
    assert required
    named = set(re.findall(r'"(\w+)"', required[1]))
    asked = set(re.findall(r'_secret\(env, "(\w+)"\)', (ROOT / "src/entry.py").read_text()))
    assert named == asked
    assert named


COMMITTED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.splitlines()


@pytest.mark.skipif(not COMMITTED, reason="not a git checkout")
def test_nothing_committed_looks_like_a_key_or_names_a_registry() -> None:
    key = re.compile(r"\b(?:pk|sk|rk|ak)_live_[0-9a-f]{8}_[0-9A-Za-z]{49}\b")
    for name in COMMITTED:
        path = ROOT / name
        if (
            path.suffix in (".py", ".mjs", ".js", ".md", ".toml", ".json", ".sql", ".lock", ".yml")
            and path.is_file()
        ):
            text = path.read_text()
            assert not key.search(text), name
            assert '"resolved"' not in text or name != "package-lock.json", name


@pytest.mark.parametrize("lock", ["vendor.lock", "dev.lock", "mcp-client.lock", "bench.lock", "fuzz.lock"])
def test_every_python_package_is_one_version_with_hashes(lock: str) -> None:
    """T-SUP-1: pip is told to require them (dev/setup.mjs)."""
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())[1:]
    assert entries
    assert [
        one
        for one in entries
        if not re.match(r"[a-z0-9-]+(\[\w+\])?==[\w.]+ ", one) or "--hash=sha256:" not in one
    ] == []


def test_few_packages_ship_and_npm_runs_no_scripts() -> None:
    """T-SUP-1."""
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert len(shipped["project"]["dependencies"]) + len(shipped["dependency-groups"]["worker"]) <= 3
    installs = [
        line
        for line in (ROOT / "dev/setup.mjs").read_text().splitlines()
        if re.search(r'"(ci|install)",', line)
    ]
    assert [one for one in installs if "npm" in one and "--ignore-scripts" not in one] == []
    assert [one for one in installs if "pip(" in one and "--require-hashes" not in one] == []
    assert len(installs) >= 4
