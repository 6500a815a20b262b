"""The Worker on the local runtime: started, asked, killed and started again by tests, over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.house import ROOT, Answer, Service
from tests.leaks import CANARIES, KEY, logged, scanned

NODE = os.environ.get("NODE", "node")
START_SECONDS = 120


class Runtime(Service):
    """One local server on a state folder of its own."""

    def __init__(self, persist: Path, *options: str) -> None:
        self.persist = persist
        self.options = options
        self.lines: list[str] = []
        self.shown: set[str] = set()  # demo keys of every start
        # Every request on a connection of its own: behind a refusal that left its body unread workerd closes the
        # connection without saying so, and what was just sent on it is lost.
        self.client = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        self.start()

    def start(self, port: int = 0) -> None:
        """Starts the server and waits until it serves; the events it held are still there."""
        command = [
            NODE,
            "dev/run.mjs",
            "serve",
            "--port",
            str(port),
            "--persist",
            str(self.persist),
            *self.options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while not ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the local server did not start:\n" + "\n".join(self.lines[-40:]))

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                self.url = json.loads(line.removeprefix("ready "))["url"]
                CANARIES.update(self._secrets())
                self.shown |= self._demo_keys()
                ready.set()

    def _secrets(self) -> set[str]:
        """What the state keeps that only the Worker may know."""
        texts = [path.read_text() for path in self.persist.glob("dev-secrets.json") if path.is_file()]
        return {word for text in texts for word in re.findall(r"[0-9a-f]{64}", text)}

    def stop(self, sign: int = signal.SIGTERM) -> None:
        """Stops the server, its whole process group, and waits until it is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, sign)
            self.process.wait(30)
        assert logged(self._log()) == [], "the log of the Worker holds a key or a secret"

    def _log(self) -> list[str]:
        """What the server said, but for the demo keys: it shows those to the developer on purpose."""
        shown = self.shown | self._demo_keys()
        return [KEY.sub(lambda key: "" if key[0] in shown else key[0], line) for line in self.lines]

    def _demo_keys(self) -> set[str]:
        file = self.persist / "dev-keys.json"
        return set(KEY.findall(file.read_text())) if file.exists() else set()

    @property
    def keys(self) -> dict[str, Any]:
        """The demo keys of this state."""
        return json.loads((self.persist / "dev-keys.json").read_text())

    def account(self, plan: str = "business", *projects: str) -> dict[str, Any]:
        """A new account in the shape of dev-keys.json; one project `Site` unless told."""
        named = [part for name in (projects or ("Site",)) for part in ("--project", name)]
        return self.manage(
            "create-account", "--name", "Test", "--plan", plan, *named, "--origin", "https://site.example"
        )

    def manage(self, *arguments: str) -> Any:
        """`npm run keys -- … --json` on this server's state."""
        command = [NODE, "dev/run.mjs", "keys", *arguments, "--json", "--persist", str(self.persist)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def wrangler(self, *arguments: str) -> None:
        """`npx wrangler …` on this server's state, as an operator would."""
        command = [NODE, "dev/run.mjs", "wrangler", *arguments, "--local", "--persist-to", str(self.persist)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    def post(self, path: str, value: Any, key: str | None = None, **headers: str) -> Answer:
        """As a well-behaved client: told to come back later, it does."""
        while (answer := super().post(path, value, key, **headers)).status == 429:
            time.sleep(int(answer.headers["retry-after"]))
        return answer

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        response = self.client.request(method, self.url + path, headers=dict(headers or {}), content=body)
        scanned(response.status_code, response.headers, response.text)
        return Answer(response.status_code, response.headers, response.text)
