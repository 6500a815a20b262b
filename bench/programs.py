"""The programs the benchmark starts and stops: a child that speaks JSON lines, and what the system says about it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def stopwatch() -> Callable[[str], None]:
    """Prints a line of progress with the seconds since it was made."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", flush=True)

    return say


class ProgramError(Exception):
    """A program of the benchmark failed; the message is its own."""


class JsonLines:
    """A child process that answers each line of JSON with one."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, message: Any) -> Any:
        self.send(message)
        return self.receive()

    def send(self, message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"{self.process.args} ended"}
        if "error" in answer:
            raise ProgramError(answer["error"])
        return answer

    def stop(self) -> None:
        stop(self.process)


def stop(process: subprocess.Popen[Any], sign: int = signal.SIGTERM) -> None:
    """Ends a process that was started here, gently unless told."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        try:
            process.wait(3 if process.stdin is not None and sign == signal.SIGTERM else 0.01)
        except subprocess.TimeoutExpired:
            process.send_signal(sign)
            process.wait(20)


def cpu_ms(pid: int) -> float:
    """The processor time all living threads of a process have used; 0 where the system does not tell."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total / 1e6


def resident_mb(pid: int) -> float:
    """The memory a process holds."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0
