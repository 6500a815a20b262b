"""The fenced blocks of a Markdown file, so that tests can do what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is where it starts."""

    language: str
    text: str
    line: int


def blocks_of(file: Path) -> list[Block]:
    """All fenced blocks, in their order."""
    text = file.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)
    ]
