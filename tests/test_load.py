"""The load that every change must bear, and that what puts it on the Worker counts whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from load import report
from load.scenarios import Scenario, Stream
from tests.clients.programs import run
from tests.figures import NIGHT, Figures
from tests.house import ROOT
from tests.runtime import NODE

OK = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
#: The answers of a server that does badly, in turns: status and body. The first is the only one that is as it should be.
ANSWERS = (
    (200, OK),
    (500, '{"error":"internal"}'),
    (200, '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal"}}'),
    (200, '{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}}'),
    (503, '{"error":"overloaded"}'),
)


@pytest.mark.worker
@pytest.mark.skipif(NIGHT, reason="on every change; a night shares the machine with other tests")
def test_a_minute_of_reads_and_of_single_events_has_no_error(figures: Figures) -> None:
    done = subprocess.run(
        [NODE, "dev/run.mjs", "load", "--gate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3_000:]}"
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    sent = {row[2].strip(): int(row[3].replace(",", "")) for row in rows[1:] if row[3].strip("- ")}
    assert sent == {"reads": 6_000, "track": 12_000}
    figures["load: reads and single events, each answered"] += sum(sent.values())


class Failing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0
    under_way = 0
    most = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with Failing.lock:
            status, body = ANSWERS[Failing.asked % len(ANSWERS)]
            Failing.asked += 1
            Failing.under_way += 1
            Failing.most = max(Failing.most, Failing.under_way)
        time.sleep(0.02)
        with Failing.lock:
            Failing.under_way -= 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_every_answer_that_is_no_success_is_counted_and_no_more_are_under_way_than_may_be(
    failing: str,
) -> None:
    request = {"method": "POST", "path": "/mcp", "headers": {}, "body": "{}"}
    stream = Stream("reads", [request], seconds=1, rate=200, at_once=2)
    outcome = played(failing, stream)
    assert outcome["reads"]["sent"] == 200
    assert Failing.most == 2
    run = report.Run(Scenario("reads", "", [stream]), outcome, 1.0, (1.0, 1.0))
    assert run.errors("reads") == report.failures([run]) == 160
    told_to_wait = report.Run(Scenario("reads", "", [stream], frozenset({"503"})), outcome, 1.0, (1.0, 1.0))
    assert (told_to_wait.refused("reads"), told_to_wait.errors("reads")) == (40, 120)


def test_what_is_longer_than_a_pipe_holds_arrives_whole(failing: str) -> None:
    """An hour of seconds, each with its own p99, is."""
    streams = [Stream("x" * 300_000, [], seconds=0, rate=1), Stream("y", [], seconds=0, rate=1)]
    assert played(failing, *streams)["y"]["sent"] == 0


def test_events_that_are_lost_or_doubled_are_told() -> None:
    outcome = {"track": {"sent": 10, "statuses": {"202": 8, "timeout": 2}, "errors": 2}}
    scenario = Scenario("single events", "", [Stream("track", [], 1, events=5)])
    run = report.Run(scenario, outcome, 1.0, (1.0, 1.0))
    assert [report.miscounted([run], counted) for counted in (40, 45, 50)] == [None] * 3
    assert report.miscounted([run], 39) == "39 events were counted, 40 acknowledged, 50 sent."
    assert report.miscounted([run], 51) == "51 events were counted, 40 acknowledged, 50 sent."


def test_a_long_run_shows_its_memory_on_the_way() -> None:
    outcome = {"reads": {"sent": 1, "seconds": 660, "ms": [1, 1, 1], "statuses": {"200": 1}, "errors": 0}}
    ran = report.Run(
        Scenario("soak", "many", []), outcome, 1.0, [400.0, *(500.0 + n for n in range(1, 12)), 512.0]
    )
    text = report.text([ran], "")
    assert "400 → 512" in text
    assert "many; MB after minute 5: 505, 10: 510" in text


def played(url: str, *streams: Stream) -> dict[str, Any]:
    plan = {"url": url, "streams": [one.plan() for one in streams]}
    outcome: dict[str, Any] = json.loads(run([NODE, "load/generator.mjs"], stdin=json.dumps(plan)).stdout)
    return outcome
