"""The results of `npm run load` as a table: printed, and put into docs/reliability.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.figures import put_between, short, table
from bench.programs import ROOT
from load.scenarios import Outcome, Scenario, recovery_s

PAGE: Final = ROOT / "docs/reliability.md"
BEGIN: Final = "<!-- load: written by npm run load -->"
END: Final = "<!-- end of load -->"
_HEADS: Final = (
    "scenario", "stream", "requests", "a second", "p50 ms", "p99 ms", "most ms", "refused (429, 503)", "errors",
    "CPU ms a request", "memory MB, before → after",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario, and what it did. Units: `cpu_ms` of the server's process; `memory_mb` before, each minute, after."""

    scenario: Scenario
    outcomes: Mapping[str, Outcome]
    cpu_ms: float
    memory_mb: Sequence[float]

    def errors(self, stream: str) -> int:
        """What went wrong and must not: no 2xx that the scenario expects, an error inside an answer, no answer in 10 s."""
        return int(self.outcomes[stream]["errors"]) - self.refused(stream)

    def refused(self, stream: str) -> int:
        """How many were told to come again later, where that is the right answer."""
        statuses = self.outcomes[stream]["statuses"]
        return sum(int(count) for status, count in statuses.items() if status in self.scenario.allowed)


def failures(runs: Sequence[Run]) -> int:
    return sum(run.errors(stream) for run in runs for stream in run.outcomes)


def miscounted(runs: Sequence[Run], counted: int) -> str | None:
    """What is wrong when so many events more are counted than before the runs; None: nothing. Whoever was given no answer
    does not know whether theirs was stored."""
    streams = [(one, run.outcomes[one.name]) for run in runs for one in run.scenario.streams]
    acknowledged = sum(int(told["statuses"].get("202", 0)) * one.events for one, told in streams)
    sent = sum(int(told["sent"]) * one.events for one, told in streams)
    if acknowledged <= counted <= sent:
        return None
    return f"{counted:,} events were counted, {acknowledged:,} acknowledged, {sent:,} sent."


def text(runs: Sequence[Run], about: str) -> str:
    notes = [f"- **{run.scenario.name}**: {run.scenario.about}{''.join(_unlike(run))}" for run in runs]
    return "\n\n".join([about, table(_HEADS, [row for run in runs for row in _rows(run)]), "\n".join(notes)])


def write(text: str, page: Path = PAGE) -> None:
    """Puts the results into the page."""
    put_between(BEGIN, text, END, page)


def _rows(run: Run) -> Iterator[Sequence[Any]]:
    requests = sum(one["sent"] for one in run.outcomes.values())
    for place, (name, one) in enumerate(run.outcomes.items()):
        p50, p99, most = map(short, one["ms"])
        errors = run.errors(name)
        whole = (short(run.cpu_ms / requests), f"{run.memory_mb[0]:.0f} → {run.memory_mb[-1]:.0f}")
        yield (
            run.scenario.name if place == 0 else "",
            name,
            f"{one['sent']:,}",
            short(one["sent"] / one["seconds"]),
            p50,
            p99,
            most,
            run.refused(name),
            f"**{errors}**" if errors else 0,
            *(whole if place == 0 else ("", "")),
        )


def _unlike(run: Run) -> Iterator[str]:
    """What a table cannot say: the statuses that were no success, how long a spike was felt, and memory on the way."""
    for name, one in run.outcomes.items():
        other = {status: count for status, count in one["statuses"].items() if status not in ("200", "202")}
        if other:
            yield f"; {name}: " + ", ".join(f"{count} × {status}" for status, count in sorted(other.items()))
    if run.scenario.name == "spike":
        needed = recovery_s(run.outcomes["ordinary"])
        yield "; not over when the run ended" if needed is None else f"; felt for {needed} s after its end"
    minutes = {minute: mb for minute, mb in enumerate(run.memory_mb[:-1]) if minute and minute % 5 == 0}
    if minutes:
        yield "; MB after minute " + ", ".join(f"{minute}: {mb:.0f}" for minute, mb in minutes.items())
