"""The two rings: `house` is the application in process, `worker` the same on the local runtime; `service` is either."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests import scope_clause
from tests.answers import against_the_protocol
from tests.house import ROOT, InProcess, Service
from tests.runtime import Runtime


def pytest_sessionfinish(session: pytest.Session) -> None:
    """At the end of a run, every result that an MCP endpoint gave is held against the protocol's own models; and no
    statement went without its scope clause."""
    said = against_the_protocol(str(ROOT / ".venv-mcp/bin/python"))
    if said:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write(f"\nMCP results that break the protocol:\n{said}\n")
    if scope_clause.FOUND:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("\nStatements without their scope clause:\n" + "\n".join(scope_clause.FOUND) + "\n")


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
