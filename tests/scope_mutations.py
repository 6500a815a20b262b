"""Every scope clause of every statement in src/storage, found by its words: a new statement is on the list by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STORAGE = Path(__file__).parent.parent / "src/storage"

#: `e.project = ?1`, `n.project = p.value`, `project IN (SELECT value FROM json_each(?1))` and what stands for it.
_EQUAL = r"= (?:\?\d|\w+\.(?:value|project|number))"
_AMONG = r"IN (?:\{_PROJECTS?\}|\(SELECT value FROM json_each\(\?\d\)\))"
CLAUSE = re.compile(rf"\b(?:\w+\.)?project (?:{_EQUAL}|{_AMONG})")


@dataclass(frozen=True)
class Clause:
    """One clause: the file, and where in its text."""

    file: str
    start: int
    end: int
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text}"

    def without(self) -> str:
        """The file without it."""
        source = (STORAGE / self.file).read_text()
        return source[: self.start] + "true" + source[self.end :]


def clauses() -> Iterator[Clause]:
    for path in sorted(STORAGE.glob("*.py")):
        source = path.read_text()
        for match in CLAUSE.finditer(source):
            line = source.count("\n", 0, match.start()) + 1
            yield Clause(path.name, match.start(), match.end(), line, match[0])


if __name__ == "__main__":
    print(*clauses(), sep="\n")
