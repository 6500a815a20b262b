"""Coverage-guided fuzzing of what reads texts of strangers: `npm run fuzz -- --minutes 10`; no part of any run.

Atheris (libFuzzer) keeps every input that reaches a branch no other has reached and changes it further, in a process for
each target. What must hold for every input stands in the targets: whatever else is raised ends the process, and the input
is kept.
Wheels of Atheris exist for CPython 3.11 to 3.13 on Linux, x64.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
NOW_MS: Final = 1_780_000_000_000
MAX_LENGTH: Final = 4_096
#: Where an input that ended a target is kept.
KEPT: Final = ROOT / ".wrangler/fuzz"


@dataclass(frozen=True, slots=True)
class Target:
    """`make` imports what is tried, under instrumentation, and gives what tries one input."""

    about: str
    make: Callable[[], Callable[[bytes], None]]
    seeds: Sequence[bytes]


def parser() -> Callable[[bytes], None]:
    from analytics.intake import MalformedJsonError, RefusedJsonError, parse_json

    def one(data: bytes) -> None:
        try:
            value = parse_json(data)
        except (MalformedJsonError, RefusedJsonError):
            return
        # What is taken is JSON to the standard library as well, and means the same.
        assert json.loads(data.decode()) == value

    return one


def validating() -> Callable[[Any, bytes], Any]:
    """What makes a model of a body's JSON; None for what is refused, which must be explained in JSON."""
    from pydantic import ValidationError

    from analytics.intake import MalformedJsonError, RefusedJsonError, parse_json
    from analytics.problems import problems_of

    def taken(model: Any, body: bytes) -> Any:
        try:
            return model.model_validate(parse_json(body), context={"now_ms": NOW_MS})
        except (MalformedJsonError, RefusedJsonError):
            return None
        except ValidationError as error:
            json.dumps(problems_of(error, model))
            return None

    return taken


def intake() -> Callable[[bytes], None]:
    from analytics.event import Arrival, TrackedEvent, enrich
    from analytics.public_event import problems_of_public, public
    from analytics.text import visible_throughout
    from storage.inbox import accept
    from storage.usage import Demand

    arrival = Arrival(NOW_MS, "p1", "browser", "salt", lambda: "new", "192.0.2.1", "DE", "Mozilla/5.0")
    taken = validating()

    def one(data: bytes) -> None:
        tracked = taken(TrackedEvent, data)
        if tracked is None:
            return
        if not list(problems_of_public(tracked)):
            tracked = public(tracked)
        event = enrich(tracked, arrival)
        assert visible_throughout(event.event_name) == event.event_name
        statement = accept("k", 1, [event], "claim", Demand(1_000, ()))
        assert all(type(one) in (int, str, type(None)) for one in statement.parameters)

    return one


def envelope() -> Callable[[bytes], None]:
    from mcp.inbound import Accepted, Acknowledged, Batch, Rejected, classify

    def one(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        names = ("mcp-protocol-version", "mcp-method", "mcp-name")
        values = head.decode("latin-1").split("|")
        found = classify(dict(zip(names, values, strict=False)), body)
        assert isinstance(found, Accepted | Acknowledged | Batch | Rejected)
        if isinstance(found, Rejected):
            assert 400 <= found.status < 500
            json.dumps([found.message, found.id, found.data])

    return one


def key() -> Callable[[bytes], None]:
    from access.token import digest, kind_of, mint_token, parse_token, redacted

    real = mint_token("sk", "live", secrets.choice)

    def one(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        token = parse_token(text)
        if token is not None:
            assert token.text == text
            assert kind_of(text) == token.kind
            assert len(digest(token, b"p" * 32)) == 32
            assert text[17:] not in redacted(text)
        around = redacted(text[:20] + real.text + text[20:])
        assert real.text not in around
        assert redacted(around) == around

    return one


def date() -> Callable[[bytes], None]:
    from analytics.relative import is_relative, relative_instant
    from analytics.window import InvalidInstantError, format_instant, parse_instant

    def one(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            instant = relative_instant(text, NOW_MS) if is_relative(text) else parse_instant(text)
        except InvalidInstantError:
            return
        assert 0 <= instant < 253_402_300_800_000
        assert parse_instant(format_instant(instant)) == instant

    return one


def group_by() -> Callable[[bytes], None]:
    from analytics.questions import ProjectStatsQuestion, StatsQuestion
    from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
    from storage.event_stats import plan_stats

    inputs = [tool.input for tool in (*PROJECT_TOOLS, *ACCOUNT_TOOLS)]
    database = sqlite3.connect(":memory:")
    database.executescript((ROOT / "schema.sql").read_text())
    taken = validating()

    def one(data: bytes) -> None:
        model = inputs[data[0] % len(inputs)] if data else inputs[0]
        question = taken(model, data[1:])
        if isinstance(question, StatsQuestion):
            by_project = isinstance(question, ProjectStatsQuestion) and question.by_project
            statement = plan_stats([1, 2], question, by_project).statement
            database.execute(statement.sql, statement.parameters).fetchall()

    return one


_EVENT: Final = (
    b'{"event":"signup","event_id":"e1","timestamp":"2026-05-01T10:00:00Z","anonymous_id":"a","user_id":"u",'
    b'"url":"https://shop.example/x?utm_source=news&utm_medium=email","referrer":"https://google.com/","properties":{"a":[1,2.5,null]}}'
)
_CALL: Final = (
    b'2026-07-28|tools/call|get_stats\n{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_stats","arguments":{},'
    b'"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}}'
)
_BATCH: Final = (
    b'2025-03-26\n[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]'
)
_STATS: Final = (
    b'{"from":"2026-05-01","to":"now","metric":"uniques","group_by":["source","country"],'
    b'"interval":"day","limit":5,"event":"signup"}'
)
_MORE: Final = (
    b'{"last":"30d","timezone":"Europe/Berlin","filters":[{"field":"country","op":"in","value":["DE","FR"]},'
    b'{"field":"properties.plan","op":"eq","value":1}],"steps":["a",{"event":"b","filters":[]}],"conversion_window_days":7,'
    b'"breakdown":"source","identity":"stitched","project_slug":"shop","compare":"previous","model":"last","cursor":"x","limit":1}'
)
TARGETS: Final = {
    "parser": Target(
        "bytes to a JSON value, compared with the standard library",
        parser,
        (_EVENT, b'[[{"a":"\\u00e9\\ud83d\\ude00"}],-1.5e-7,9007199254740991]'),
    ),
    "intake": Target("one event to what waits in the inbox", intake, (_EVENT,)),
    "envelope": Target("headers and a JSON-RPC message to a request", envelope, (_CALL, _BATCH)),
    "key": Target(
        "a key's text, and its removal from any text",
        key,
        (b"sk_live_00000000_" + b"0" * 49, b"Bearer rk_test_0123abcd_" + b"a" * 60),
    ),
    "date": Target(
        "an instant", date, (b"2026-05-01T10:00:00.123+02:00", b"30d", b"last_month", b"2026-02-29")
    ),
    "group_by": Target(
        "the arguments of every tool; of get_stats, its SQL as well",
        group_by,
        tuple(bytes([place]) + seed for place in (0, 1, 30) for seed in (_STATS, _MORE)),
    ),
}


def fuzz(name: str, folder: str, seconds: int) -> None:
    """Tries one target in this process, which it ends."""
    import atheris  # type: ignore[import-not-found, unused-ignore]

    sys.path.insert(0, str(ROOT / "src"))
    with atheris.instrument_imports():
        one = TARGETS[name].make()
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-artifact_prefix={KEPT}/{name}-",
        *([f"-dict={folder}.words"] if words(TARGETS[name].seeds) else []),
        "-timeout=10",
    )
    atheris.Setup([name, *options, folder], one)
    atheris.Fuzz()


def words(seeds: Sequence[bytes]) -> list[str]:
    """What is put into inputs whole: the texts of the seeds, in quotes."""
    return sorted(
        {
            f'"\\"{one}\\""'
            for seed in seeds
            for one in re.findall(r'"([a-z0-9_/-]+)"', seed.decode("latin-1"))
        }
    )


def tried(name: str, seconds: int) -> tuple[str, int, int, str]:
    """Name, inputs tried, branches reached, and what went wrong, "" when nothing did."""
    with TemporaryDirectory(prefix="millimetric-fuzz-") as kept:
        folder = Path(kept, "inputs")
        folder.mkdir()
        for place, seed in enumerate(TARGETS[name].seeds):
            Path(folder, f"seed-{place}").write_bytes(seed)
        Path(f"{folder}.words").write_text("".join(f"{one}\n" for one in words(TARGETS[name].seeds)))
        command = [sys.executable, "-m", "tests.coverage_fuzz", "--target", name, "--folder", str(folder)]
        done = subprocess.run(
            [*command, "--seconds", str(seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    runs = re.findall(r"^#(\d+)\s", done.stdout, re.MULTILINE)
    reached = re.findall(r" cov: (\d+)", done.stdout)
    wrong = done.stdout[-3_000:] if done.returncode else ""
    return name, int(runs[-1]) if runs else 0, int(reached[-1]) if reached else 0, wrong


def options() -> argparse.Namespace:
    described = argparse.ArgumentParser(prog="npm run fuzz --", description=__doc__)
    described.add_argument("--minutes", type=float, default=10, help="for each target (default 10)")
    described.add_argument(
        "--only", choices=TARGETS, action="append", help="only this target; may be repeated"
    )
    described.add_argument("--at-once", type=int, default=2, help="targets at the same time (default 2)")
    described.add_argument("--target", help=argparse.SUPPRESS)
    described.add_argument("--folder", help=argparse.SUPPRESS)
    described.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    return described.parse_args()


def main() -> int:
    chosen = options()
    KEPT.mkdir(parents=True, exist_ok=True)
    if chosen.target:
        fuzz(chosen.target, chosen.folder, chosen.seconds)
    names: Sequence[str] = chosen.only or list(TARGETS)
    failed = 0
    with ThreadPoolExecutor(chosen.at_once) as side_by_side:
        for name, runs, reached, wrong in side_by_side.map(
            lambda one: tried(one, round(chosen.minutes * 60)), names
        ):
            failed += bool(wrong) or not runs
            print(
                f"{name} ({TARGETS[name].about}): {runs:,} inputs, {reached:,} branches"
                + (", FAILED" if wrong else "")
            )
            if wrong:
                print(wrong)
    print(
        f"{failed} of {len(names)} targets failed"
        + (f"; the inputs are in {KEPT.relative_to(ROOT)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
