"""How often a run did what it repeats: tests count, the end of the run adds up (tests/conftest.py) and prints it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

NIGHT = bool(os.environ.get("NIGHTLY"))
#: A line of progress so often, at night.
EVERY_S = 60
#: What stands before the names of figures among a report's properties.
MARK = "figure: "


class Figures(Counter[str]):
    """What one test counted, by name. Names say what is counted: `isolation: answers searched`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._next_s = time.monotonic() + EVERY_S

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to a figure; at night, says how far it is once a minute."""
        self[name] += amount
        if NIGHT and time.monotonic() > self._next_s:
            self._next_s = time.monotonic() + EVERY_S
            self._say(f"… {name}: {self[name]:,}")


#: The sums of a run.
TOTALS: Counter[str] = Counter()


def added(properties: list[tuple[str, object]]) -> None:
    """Adds what the report of one test brought, also from another process."""
    for name, amount in properties:
        if name.startswith(MARK) and isinstance(amount, int):
            TOTALS[name.removeprefix(MARK)] += amount
