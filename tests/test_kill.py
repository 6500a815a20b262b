"""kill -9 while writers ingest and a reader makes folds happen: nothing acknowledged is lost, nothing doubled or torn.

The schedule is Jepsen's `set`: unique events, the process group killed at random, whatever was not acknowledged sent
again with the same ids. SIGKILL is not a power cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from analytics.window import MS_PER_DAY, format_instant
from tests.clients.programs import run
from tests.figures import Figures
from tests.house import ROOT, Answer
from tests.runtime import NODE, Runtime
from tests.scale import scale

pytestmark = pytest.mark.worker

KILLS = scale(5, 100)
EVENTS = scale(4_000, 1_000_000)
WRITERS = 4
SIZE = scale(50, 500)
#: Between two batches of a writer while kills are to come, so that those of a night take no more events than EVENTS by much.
PAUSE_S = scale(0, 1) / 4
#: Batches with events of somebody who asks to be forgotten, and how often that is cut short.
FORGOTTEN = 4
FORGETS = scale(2, 15)
#: Kills of the command that revokes a key, and of a first start, at as many instants of what they take.
REVOCATIONS = 3
STARTS = 2
STATS = "/v1/stats?from=2026-05-01&to=2026-05-02"
MAY = {"from_": "2026-05-01", "to": "2026-06-01"}


@dataclass
class Writer:
    """Sends batches of one project, each on a path of its own, until `target` of them are acknowledged and no kill is to
    come: every kill finds it writing."""

    runtime: Runtime
    keys: dict[str, str]
    target: int
    acknowledged: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)

    def run(self, killed: threading.Event, stopped: threading.Event) -> None:
        number = 0
        while not stopped.is_set() and (not killed.is_set() or len(self.acknowledged) < self.target):
            number += self.send(number)
            if not killed.is_set():
                time.sleep(PAUSE_S)

    def send(self, number: int) -> bool:
        """One batch, once; a batch that is not acknowledged may or may not have been stored. False when nobody was there to
        take it: then nothing was sent.
        """
        try:
            with httpx.Client(timeout=5) as client:
                answer = client.post(
                    f"{self.runtime.url}/v1/batch",
                    headers={"authorization": f"Bearer {self.keys['sk']}"},
                    json={"events": [event(number, place) for place in range(SIZE)]},
                )
        except httpx.ConnectError:
            time.sleep(0.2)
            return False
        except httpx.HTTPError:
            self.sent.add(number)
            time.sleep(0.2)
            return True
        self.sent.add(number)
        if answer.status_code == 202:
            self.acknowledged.add(number)
        elif answer.status_code == 429:
            time.sleep(float(answer.headers["retry-after"]))
        return True

    def stored(self) -> dict[int, int]:
        """How many events of each batch are there."""
        counts: dict[int, int] = {}
        for first in range(0, max(self.sent) + 1, 1000):
            rows = self.runtime.rows(
                self.keys["rk"],
                "get_stats",
                **MAY,
                event=f"batch{first // 1000}",
                group_by="path",
                limit=1000,
            )
            counts |= {int(row["path"].removeprefix("/")): row["value"] for row in rows}
        return counts


def event(number: int, place: int) -> dict[str, Any]:
    second = (number * SIZE + place) % 86_400
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return {
        "event": f"batch{number // 1000}",
        "event_id": f"{number}-{place}",
        "anonymous_id": f"v{place % 7}",
        "timestamp": f"2026-05-{1 + number % 28:02}T{clock}Z",
        "path": f"/{number}",
    }


def read_on(runtime: Runtime, keys: list[dict[str, str]], stopped: threading.Event) -> None:
    """Every read folds what waits, so that kills hit folds too."""
    chance = random.Random(5)
    while not stopped.is_set():
        with contextlib.suppress(httpx.HTTPError, AssertionError, ValueError):
            runtime.rows(chance.choice(keys)["rk"], "get_stats", **MAY)
        time.sleep(0.02)


def test_kill_minus_nine_loses_doubles_and_tears_nothing(tmp_path: Path, figures: Figures) -> None:
    chance = random.Random(11)
    runtime = Runtime(tmp_path / "state", "--no-demo")
    killed, stopped = threading.Event(), threading.Event()
    try:
        projects = [
            project
            for _ in range(WRITERS // 2)
            for project in runtime.account("business", "A", "B")["projects"]
        ]
        writers = [Writer(runtime, keys, EVENTS // SIZE // WRITERS) for keys in projects]
        threads = [threading.Thread(target=writer.run, args=(killed, stopped)) for writer in writers]
        threads.append(threading.Thread(target=read_on, args=(runtime, projects, stopped)))
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.3, 1.2))
            runtime.stop(signal.SIGKILL)
            runtime.start()
            figures.count("kill -9: kills while writers ingest")
        killed.set()
        for thread in threads[:-1]:
            thread.join()
        stopped.set()
        threads[-1].join()

        lost = doubled = torn = 0
        for writer in writers:
            stored = writer.stored()
            lost += sum(stored.get(number, 0) < SIZE for number in writer.acknowledged)
            doubled += sum(count > SIZE for count in stored.values())
            torn += sum(count % SIZE != 0 for count in stored.values())
            assert set(stored) <= writer.sent
            for number in writer.sent - writer.acknowledged:
                while number not in writer.acknowledged:
                    writer.send(number)
            assert writer.stored() == dict.fromkeys(writer.sent, SIZE)
        figures.count("kill -9: events acknowledged", sum(len(one.acknowledged) for one in writers) * SIZE)
        figures.count("kill -9: batches lost, doubled or torn", lost + doubled + torn)
        assert (lost, doubled, torn) == (0, 0, 0)
    finally:
        stopped.set()  # or the writers would go on without end after a failure
        runtime.stop(signal.SIGKILL)


def test_a_forget_killed_midway_is_finished_by_the_next_one(tmp_path: Path, figures: Figures) -> None:
    runtime = Runtime(tmp_path / "state", "--no-demo")
    try:
        keys = runtime.account()["projects"][0]
        for number in range(FORGOTTEN):
            runtime.track(
                keys["sk"],
                *({**event(number, place), "user_id": "gone"} for place in range(900)),
                *({**event(number, place), "user_id": "stays"} for place in range(900, 1000)),
            )
        midway = 0
        for attempt in range(1, FORGETS + 1):
            with ThreadPoolExecutor(1) as client:
                forgetting = client.submit(forget, runtime, keys["sk"])
                time.sleep(0.03 * attempt)
                runtime.stop(signal.SIGKILL)
                midway += forgetting.exception() is not None
            runtime.start()
            figures.count("kill -9: kills while a person is forgotten")
        assert midway > 0, "every forget was done before it was killed: they have to be larger"
        assert forget(runtime, keys["sk"]).status == 200
        assert runtime.rows(keys["rk"], "get_stats", **MAY) == [{"value": FORGOTTEN * 100}]
        by_path = runtime.rows(keys["rk"], "get_stats", **MAY, group_by="path")
        assert {row["path"]: row["value"] for row in by_path} == {
            f"/{number}": 100 for number in range(FORGOTTEN)
        }
        assert runtime.rows(keys["rk"], "get_stats", **MAY, metric="uniques") == [{"value": 7}]
        people = {row["user_id"] for row in runtime.rows(keys["rk"], "query_events", **MAY, limit=200)}
        assert people == {"stays"}
    finally:
        runtime.stop(signal.SIGKILL)


def test_a_revocation_killed_anywhere_is_finished_by_the_next_one(tmp_path: Path, figures: Figures) -> None:
    runtime = Runtime(tmp_path / "state", "--no-demo")
    try:
        project = runtime.account()["projects"][0]
        began = time.monotonic()
        runtime.manage(
            "revoke", runtime.manage("create", "--kind", "rk", "--project", project["id"])["prefix"]
        )
        took = (time.monotonic() - began) / 2
        for attempt in range(1, REVOCATIONS + 1):
            made = runtime.manage("create", "--kind", "rk", "--project", project["id"])
            revoke = [
                NODE,
                "dev/run.mjs",
                "keys",
                "revoke",
                made["prefix"],
                "--persist",
                str(runtime.persist),
            ]
            killed_after(took * attempt / REVOCATIONS, revoke)
            figures.count("kill -9: kills while a key is revoked")
            assert runtime.get(STATS, made["key"]).status in (200, 401)
            runtime.manage("revoke", made["prefix"])
            assert runtime.get(STATS, made["key"]).status == 401
            entries = [one for one in runtime.manage("audit")["entries"] if one["target"] == made["id"]]
            assert [one["action"] for one in entries] == ["key.create", "key.revoke"]
        assert runtime.get(STATS, project["rk"]).status == 200
    finally:
        runtime.stop(signal.SIGKILL)


def test_a_first_start_killed_anywhere_is_made_good_by_the_next_one(tmp_path: Path, figures: Figures) -> None:
    """The schema, the demo keys and the demo events: each is there, and once."""
    began = time.monotonic()
    Runtime(tmp_path / "whole").stop(signal.SIGKILL)
    took = time.monotonic() - began
    for attempt in range(1, STARTS + 1):
        state = tmp_path / f"state{attempt}"
        killed_after(
            took * attempt / STARTS, [NODE, "dev/run.mjs", "serve", "--port", "0", "--persist", str(state)]
        )
        figures.count("kill -9: kills during a first start")
        runtime = Runtime(state)
        try:
            now_ms = int((state / "demo-started").read_text())
            window = {
                "from_": format_instant(now_ms - 100 * MS_PER_DAY),
                "to": format_instant(now_ms + MS_PER_DAY),
            }
            rows = runtime.rows(runtime.keys["account"]["ak"], "compare_projects", "/mcp/account", **window)
            assert {row["slug"]: row["value"] for row in rows} == demo_events(now_ms)
        finally:
            runtime.stop(signal.SIGKILL)


def demo_events(now_ms: int) -> Counter[str]:
    """How many events of each project the demo of that instant has."""
    printed = run([sys.executable, "dev/demo.py", "--now", str(now_ms)]).stdout
    counts: Counter[str] = Counter()
    for batch in map(json.loads, printed.splitlines()):
        counts[batch["project_slug"]] += len(batch["events"])
    return counts


def killed_after(seconds: float, command: list[str]) -> None:
    """Runs a command and ends it, with all it started, after so long."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def forget(runtime: Runtime, key: str) -> Answer:
    """With a client of its own: the thread that asks is not the one that goes on."""
    with httpx.Client(timeout=60) as client:
        headers = {"authorization": f"Bearer {key}"}
        answer = client.post(f"{runtime.url}/v1/forget", headers=headers, json={"user_id": "gone"})
    return Answer(answer.status_code, answer.headers, answer.text)
