"""`npm run load`: puts the Worker on the local runtime under load, prints what it did, writes docs/reliability.md. At the
end, a Worker that does next to nothing, for what can be had at most here.

Bounded in time, on this machine only, with the rate limits that hold in production. Nothing in it is a timed test: the exit
code says whether every request was answered as it should be, never how fast.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from analytics.window import MS_PER_DAY, format_instant
from bench.data import Generator
from bench.ours import Ours, Say
from bench.programs import ROOT, JsonLines, cpu_ms, resident_mb, stopwatch
from bench.report import machine
from load import report
from load.scenarios import Scenario, Target, ceiling, gate, scenarios, target

#: Half of them in the first project.
EVENTS: Final = 200_000
_NAMES: Final = [
    one.name for one in (*scenarios(Target([{"rk": "", "sk": ""}] * 3, 100, 0), 1, 1, 1), *ceiling(1))
]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="npm run load --", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each steady stream (default 60)")
    parser.add_argument("--soak-minutes", type=float, default=5, help="default 5; 60 for a night")
    parser.add_argument(
        "--rate", type=float, default=1, help="times the requests of the steady streams and the soak"
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="stored before it begins")
    parser.add_argument("--only", choices=_NAMES, action="append", help="only this scenario; may be repeated")
    parser.add_argument(
        "--gate", action="store_true", help="only what npm test bears: a minute of reads and single events"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--node", type=Path, required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.gate and chosen.write:
        parser.error("--write puts the whole table into the page: not with --gate")
    return chosen


def main() -> int:
    chosen = options()
    say = stopwatch()
    generator = Generator(chosen.events, int(time.time()) // 86_400)
    with tempfile.TemporaryDirectory(prefix="millimetric-load-") as folder:
        say("starting the Worker …")
        ours = Ours(Path(folder), chosen.node)
        try:
            say(f"storing {chosen.events:,} events …")
            ours.load_directly(generator, 0, say)
            on = target(ours.projects, generator)
            all_of_them = (
                gate(on)
                if chosen.gate
                else scenarios(on, chosen.seconds, chosen.soak_minutes * 60, chosen.rate)
            )
            stored = counted(ours)
            runs = [
                measured(ours.url, ours.pid, one, chosen.node, say)
                for one in all_of_them
                if not chosen.only or one.name in chosen.only
            ]
            wrong = report.miscounted(runs, counted(ours) - stored)
        finally:
            ours.stop()
    if not chosen.gate:
        asked = [one for one in ceiling(chosen.seconds) if not chosen.only or one.name in chosen.only]
        runs += bare(asked, chosen.node, say)
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    text = report.text(
        runs, f"{at}, {machine()}; {chosen.events:,} events in 20 projects, half of them in one."
    )
    print(text)
    if chosen.write:
        report.write(text)
    print(wrong or "Every event that was acknowledged was counted once.")
    return 1 if report.failures(runs) or wrong else 0


def counted(ours: Ours) -> int:
    """All events of all projects, as an account is told."""
    end_ms = (int(time.time()) // 86_400 + 2) * MS_PER_DAY
    window = {"from": format_instant(end_ms - 120 * MS_PER_DAY), "to": format_instant(end_ms)}
    reply = ours.tool("compare_projects", {**window, "metric": "count"}, "/mcp/account")
    return sum(row["value"] for row in reply.rows)


def bare(asked: list[Scenario], node: Path, say: Say) -> list[report.Run]:
    """The Worker of load/bare_python, in a database of its own."""
    if not asked:
        return []
    with tempfile.TemporaryDirectory(prefix="millimetric-load-") as folder:
        host = JsonLines([node, "bench/workerd_host.mjs", folder, "{}", "../load/bare_python"])
        try:
            ready = host.receive()["ready"]
            urllib.request.urlopen(f"{ready['url']}/prepare").close()
            return [measured(ready["url"], ready["workerd"], one, node, say) for one in asked]
        finally:
            host.stop()


def measured(url: str, pid: int, scenario: Scenario, node: Path, say: Say) -> report.Run:
    """Of the server's process, and what it answers under the scenario's streams."""
    say(f"{scenario.name}: {scenario.about} …")
    used, memory_mb = cpu_ms(pid), [resident_mb(pid)]
    plan = {"url": url, "streams": [one.plan() for one in scenario.streams]}
    told = generated(plan, node, each_minute=lambda: memory_mb.append(resident_mb(pid)))
    memory_mb.append(resident_mb(pid))
    used = cpu_ms(pid) - used
    run = report.Run(scenario, json.loads(told), used, memory_mb)
    for name, outcome in run.outcomes.items():
        if run.errors(name):
            say(f"  {name}: {run.errors(name)} failed, the first one: {outcome['failure']}")
    return run


def generated(plan: dict[str, Any], node: Path, each_minute: Callable[[], None]) -> str:
    """What the generator tells of the plan when it is done."""
    command = [str(node), "load/generator.mjs"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as generator:
        given: str | None = json.dumps(plan)
        while generator.returncode is None:
            try:
                told, _ = generator.communicate(given, timeout=60)
            except subprocess.TimeoutExpired:
                given = None
                each_minute()
    if generator.returncode:
        raise subprocess.CalledProcessError(generator.returncode, command)
    return told


if __name__ == "__main__":
    sys.exit(main())
