"""A guess, for each isolate, of which projects have something waiting in the inbox. No answer depends on it: whoever
asks is told by D1 whether something waits (guard.py); a right guess only saves asking twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

MAX_GUESSES: Final = 1_024


class Backlog:
    """The projects that were last seen with something waiting, or were written to since, each set of them as asked for."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[int, ...], None] = OrderedDict()

    def expects(self, projects: Sequence[int]) -> bool:
        """Whether something probably waits for one of these projects."""
        return tuple(projects) in self._waiting

    def note(self, projects: Sequence[int], *, waiting: bool) -> None:
        """What was seen of these projects together, or done to them."""
        self._waiting.pop(tuple(projects), None)
        if waiting:
            self._waiting[tuple(projects)] = None
        while len(self._waiting) > MAX_GUESSES:
            self._waiting.popitem(last=False)
