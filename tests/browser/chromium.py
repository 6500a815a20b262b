"""Headless Chromium, driven over a pipe with the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/, flag --remote-debugging-pipe.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 30
#: No graphics, no network of its own: the only names it knows lead to this machine.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-pipe",
]  # fmt: skip


class Chromium:
    """One browser with a profile of its own. `preferences` are settings as its profile keeps them."""

    def __init__(self, executable: str, profile: Path, preferences: dict[str, Any] | None = None) -> None:
        (profile / "Default").mkdir(parents=True)
        (profile / "Default/Preferences").write_text(json.dumps(preferences or {}))
        (self._answers, self._commands), ends = _pipes()

        def as_it_expects_them() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=as_it_expects_them,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in ends:
            os.close(end)
        self._unread = b""
        self._last_id = 0
        self.happened: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The result of a command."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        os.write(
            self._commands, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        while (answer := self._next()).get("id") != self._last_id:
            self.happened.append(answer)
        assert "result" in answer, (method, params, answer)
        return answer["result"]

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is wanted, of those that happened or will."""
        for event in self.happened:
            if wanted(event):
                return event
        while True:
            self.happened.append(self._next())
            if wanted(self.happened[-1]):
                return self.happened[-1]

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0, deadline - time.monotonic()))
            received = os.read(self._answers, 1 << 20) if ready else b""
            if not received:
                raise RuntimeError(
                    f"Chromium {'said nothing' if not ready else 'ended'} ({self._process.poll()})"
                )
            self._unread += received
        message, _, self._unread = self._unread.partition(b"\0")
        value: dict[str, Any] = json.loads(message)
        return value

    def visitor(self, script: str = "") -> Page:
        """A page of someone new: nothing is stored. `script` runs in it before those of any document."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        return self.page(context, script)

    def page(self, context: str | None = None, script: str = "") -> Page:
        chosen = {"browserContextId": context} if context else {}
        target = self.call("Target.createTarget", url="about:blank", **chosen)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Network"):
            page.call(f"{domain}.enable")
        page.call("Page.setLifecycleEventsEnabled", enabled=True)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        return page

    def close(self) -> None:
        """Ends the browser and all its processes."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        os.close(self._commands)
        os.close(self._answers)


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self.browser = browser
        self.target = target
        self.session = session

    def call(self, method: str, **params: Any) -> Any:
        return self.browser.call(method, self.session, **params)

    def events(self, method: str) -> list[dict[str, Any]]:
        """What of this kind has happened in this page."""
        found = [event for event in self.browser.happened if event.get("sessionId") == self.session]
        return [event["params"] for event in found if event["method"] == method]

    def open(self, url: str, referrer: str = "") -> Page:
        """Goes to `url` and waits until it is loaded, scripts included."""
        loader = self.call("Page.navigate", url=url, referrer=referrer, referrerPolicy="unsafeUrl")[
            "loaderId"
        ]
        self.browser.wait(
            lambda event: (
                event["method"] == "Page.lifecycleEvent"
                and event["params"]["name"] == "load"
                and event["params"]["loaderId"] == loader
            )
        )
        return self

    def run(self, expression: str) -> Any:
        """The JSON value of an expression in the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        """The events of each request that brought some."""
        self.run("1")  # whatever happened before is reported before this is answered
        sent = [event["request"] for event in self.events("Network.requestWillBeSent")]
        return [json.loads(one["postData"])["events"] for one in sent if one["url"].endswith("/v1/batch")]

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        return self.events("Runtime.exceptionThrown")

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Our ends (to read, to write) and the browser's (the same), clear of 3 and 4, the numbers it expects."""
    their_input, commands = os.pipe()
    answers, their_output = os.pipe()
    theirs = tuple(fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (their_input, their_output))
    for end in (their_input, their_output):
        os.close(end)
    return (answers, commands), (theirs[0], theirs[1])
