"""The browser, a website on another origin, and projects that allow it, one for each test."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.chromium import Chromium
from tests.browser.site import Site
from tests.runtime import Runtime

#: dev/chromium.mjs looks for the same.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
MISSING = "Chromium is needed: install it (Debian: apt-get install chromium) or set CHROMIUM to its path"
PROJECTS = 40
ARRIVAL_S = 30


@pytest.fixture(scope="session")
def executable() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.path.exists(MAC):
        found = MAC
    if found is None and not os.environ.get("CI") and os.geteuid() != 0:
        pytest.skip(MISSING)
    assert found, MISSING
    return found


@pytest.fixture(scope="session")
def launch(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chromium]]:
    """Starts a browser; each ends with the tests."""
    running: list[Chromium] = []

    def start(**preferences: Any) -> Chromium:
        running.append(Chromium(executable, tmp_path_factory.mktemp("profile"), preferences))
        return running[-1]

    yield start
    for browser in running:
        browser.close()


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Chromium]) -> Chromium:
    """A browser with the settings it comes with."""
    return launch()


@pytest.fixture(scope="session")
def shared_site(worker: Runtime) -> Iterator[Site]:
    site = Site(worker.url)
    yield site
    site.stop()


@pytest.fixture(scope="session")
def projects(worker: Runtime, shared_site: Site) -> Iterator[dict[str, str]]:
    """New projects, whose pages may stand on localhost and on shop.example."""
    named = [part for number in range(PROJECTS) for part in ("--project", f"Site {number}")]
    allowed = ["--origin", shared_site.url(), "--origin", shared_site.url("shop.example")]
    account = worker.manage("create-account", "--name", "Browser", "--plan", "business", *named, *allowed)
    return iter(account["projects"])


class Embedded:
    """The site with the script of one project in its pages, and what of it arrived, as an agent sees it."""

    def __init__(self, site: Site, worker: Runtime, keys: dict[str, str]) -> None:
        self.site = site
        self.worker = worker
        self.keys = keys
        self.url = site.url()
        site.troubles, site.modes = [], []
        self.embed()

    def embed(self, before: str = "", **attributes: str) -> None:
        """Puts the script tag into every page, after the HTML `before`. `data_host="…"` adds an attribute."""
        given = {"data-key": self.keys["pk"]} | {
            name.replace("_", "-"): text for name, text in attributes.items()
        }
        tag = "".join(f' {name}="{text}"' for name, text in given.items() if text)
        self.site.head = f'{before}<script async src="{self.worker.url}/v1/a.js"{tag}></script>'

    def ask(self, tool: str, **arguments: Any) -> Any:
        """The rows of a tool's answer about the days around now."""
        now = datetime.now(UTC)
        days = {"from_": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat()}
        return self.worker.rows(self.keys["rk"], tool, **days, **arguments)

    def arrived(self, count: int) -> Any:
        """The events, the oldest first, as soon as there are `count`."""
        deadline = time.monotonic() + ARRIVAL_S
        while len(rows := self.ask("query_events", limit=1000)) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(rows) == count, rows
        return rows[::-1]


@pytest.fixture
def site(shared_site: Site, worker: Runtime, projects: Iterator[dict[str, str]]) -> Embedded:
    """The website, its script, and a project without events."""
    return Embedded(shared_site, worker, next(projects))
