"""Which projects one request may touch, and on whose key. Made by `access` from a verified key, never from input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Project:
    """One app or site whose events are counted.

    Shape: `number` is the integer the event tables are keyed by; `id` and `slug` are what callers see.
    """

    number: int
    id: str
    slug: str
    name: str


def with_project(row: dict[str, Any], project: Project, projects: Sequence[Project]) -> dict[str, Any]:
    """A row of an answer; where that is about several projects, the row begins with whose it is."""
    return {"project_id": project.id, **row} if len(projects) > 1 else row


@dataclass(frozen=True, slots=True)
class Scope:
    """The projects a question may read or write. Storage verifies it against D1 in the same batch as the question.

    Shape: `projects` are those the question is about; an empty scope answers nothing.
    """

    key_id: str
    account_id: str
    projects: tuple[Project, ...]

    @property
    def numbers(self) -> list[int]:
        return [project.number for project in self.projects]

    @property
    def spans_projects(self) -> bool:
        """Whether rows must say which project they belong to."""
        return len(self.projects) > 1
