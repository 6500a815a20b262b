"""`npm run bench`: measures, prints, and writes docs/performance.md. See bench/README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from bench import report, storage_part, tools_part, whole_request
from bench.ours import Say
from bench.programs import ROOT, stopwatch

STATE: Final = ROOT / "bench/.state"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="npm run bench --", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="10 million events after the 1 million: an hour, 20 GB of disk"
    )
    parser.add_argument("--events", type=int, help="so many events instead of a million")
    parser.add_argument(
        "--http-events", type=int, default=100_000, help="how many of them go through POST /v1/batch"
    )
    parser.add_argument(
        "--runs", type=int, default=storage_part.RUNS, help="timed turns, 7 or more for a result to keep"
    )
    parser.add_argument("--reuse", action="store_true", help="measure again what an earlier run loaded")
    parser.add_argument("--part", choices=["storage", "requests", "tools"], help="only one of the parts")
    parser.add_argument(
        "--tool",
        action="append",
        choices=list(tools_part.ASKED),
        metavar="NAME",
        help="with --part tools: only this tool; can be given several times",
    )
    parser.add_argument(
        "--turns", type=int, default=whole_request.TURNS, help="timed turns of the second part"
    )
    parser.add_argument(
        "--seconds", type=float, default=whole_request.SECONDS, help="of load in each of them"
    )
    parser.add_argument("--node", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    chosen = options()
    say = stopwatch()
    sizes = (
        [chosen.events]
        if chosen.events
        else [report.SMALLEST, *([10 * report.SMALLEST] if chosen.full else [])]
    )
    if chosen.part == "tools":
        folder = STATE / str(sizes[0])
        tools = chosen.tool or list(tools_part.ASKED)
        print(tools_part.run(folder, chosen.node, loaded_end_day(folder), say, tools))
        return 0
    for events in sizes:
        if chosen.part in (None, "storage"):
            say(f"storage: {events:,} events")
            result = storage_part.run(
                storage_part.Options(
                    events=events,
                    http_events=min(chosen.http_events, events // 10),
                    runs=chosen.runs,
                    folder=STATE / str(events),
                    node=chosen.node,
                    end_day=int(time.time()) // 86_400,
                    reuse=chosen.reuse,
                ),
                say,
            )
            keep(f"storage-{events}", result)
    if chosen.part in (None, "requests"):
        keep(f"requests-{sizes[0]}", requests(STATE / str(sizes[0]), chosen, say))
    text = report.text(STATE, sizes)
    print(text)
    if min(sizes) >= report.SMALLEST:
        report.write(report.text(STATE, report.kept(STATE)))
    return 1 if "rows differ**" in text else 0


def requests(folder: Path, chosen: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The second part, on what the first one loaded."""
    say("the whole request")
    return whole_request.run(folder, chosen.node, loaded_end_day(folder), chosen.turns, chosen.seconds, say)


def loaded_end_day(folder: Path) -> int:
    """The last day of what the first part loaded."""
    end_day: int = json.loads((folder / "loaded.json").read_text())["end_day"]
    return end_day


def keep(name: str, result: object) -> None:
    """Remembers a result with the time and the machine, until the same is measured again."""
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    (STATE / f"{name}.json").write_text(json.dumps({"at": at, "machine": report.machine(), "result": result}))


if __name__ == "__main__":
    sys.exit(main())
