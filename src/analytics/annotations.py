"""Notes on dates — deploys, campaigns — that a project records as `$annotation` events, beside the numbers of that time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics.local_time import Bucket
from analytics.scope import Project
from analytics.store import Row
from analytics.window import format_instant

#: Its property `text` is what is shown. Those of browser keys are not: whoever visits a site could write them.
ANNOTATION_EVENT: Final = "$annotation"
#: The newest ones are shown, and so much of each text. Units: characters.
MAX_ANNOTATIONS: Final = 100
MAX_ANNOTATION_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note of one project. Units: `ts` is milliseconds UTC."""

    project: int
    ts: int
    text: str


def annotated(
    rows: Sequence[Row], buckets: Sequence[Bucket], projects: Sequence[Project], notes: Sequence[Annotation]
) -> list[Row]:
    """Rows with a `bucket`, those with notes in it with `annotations`: `at`, `text`, in order of time."""
    starts = [bucket.start_ms for bucket in buckets]
    ids = {project.number: project.id for project in projects}
    found: dict[tuple[str, str], list[Row]] = {}
    for note in notes:
        label = buckets[bisect_right(starts, note.ts) - 1].label
        found.setdefault((ids[note.project], label), []).append(
            {"at": format_instant(note.ts), "text": note.text}
        )
    alone = projects[0].id if len(projects) == 1 else ""
    marked = []
    for row in rows:
        here = found.get((row.get("project_id", alone), row["bucket"]))
        marked.append({**row, "annotations": here} if here else row)
    return marked
