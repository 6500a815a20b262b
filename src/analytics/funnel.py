"""Funnel rows from funnel counts: every step of every group, with its ratios. Source: metrics.md, Funnel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics.questions import FunnelQuestion
from analytics.store import Row, StepCount

FUNNEL_DEFINITION: Final = (
    "visitors: those who got this far. dropped: visitors of the step before who did not. median_seconds, mean_seconds: over "
    "those who got this far, since their first step, not since the step before; of several ways the one that is complete "
    "first, begun as late as it can be. A breakdown goes by the event of step 1."
)


def funnel_rows(
    question: FunnelQuestion, counts: Sequence[StepCount], project_ids: Sequence[str | None]
) -> list[Row]:
    """One row per project, group and step, zeros included, in that order; groups by visitors of step 1, descending.

    Shape: `project_id?, <breakdown>?, step, event, visitors, conversion_from_previous, conversion_from_first,
    dropped, median_seconds, mean_seconds`; ratios are fractions, null where nothing could convert.
    """
    by_place = {(count.project_id, count.group, count.step): count for count in counts}
    return [
        row
        for project_id in project_ids
        for group in _groups(question, counts, project_id)
        for row in _steps(question, by_place, project_id, group)
    ]


def _groups(
    question: FunnelQuestion, counts: Sequence[StepCount], project_id: str | None
) -> list[str | None]:
    if question.breakdown is None:
        return [None]
    entered = [count for count in counts if count.project_id == project_id and count.step == 1]
    return [
        count.group
        for count in sorted(
            entered, key=lambda count: (-count.visitors, count.group is not None, count.group or "")
        )
    ]


def _steps(
    question: FunnelQuestion,
    by_place: dict[tuple[str | None, str | None, int], StepCount],
    project_id: str | None,
    group: str | None,
) -> list[Row]:
    rows: list[Row] = []
    first = previous = None
    for number, step in enumerate(question.steps, start=1):
        count = by_place.get((project_id, group, number)) or StepCount(number, 0, None, None)
        visitors = count.visitors
        row: Row = {} if project_id is None else {"project_id": project_id}
        if question.breakdown is not None:
            row[question.breakdown] = group
        rows.append(
            row
            | {
                "step": number,
                "event": step.event,
                "visitors": visitors,
                "conversion_from_previous": 1.0
                if previous is None and visitors
                else _ratio(visitors, previous),
                "conversion_from_first": 1.0 if first is None and visitors else _ratio(visitors, first),
                "dropped": 0 if previous is None else previous - visitors,
                "median_seconds": _seconds(count.median_ms) if number > 1 else None,
                "mean_seconds": _seconds(count.mean_ms) if number > 1 else None,
            }
        )
        first = visitors if first is None else first
        previous = visitors
    return rows


def _ratio(part: int, whole: int | None) -> float | None:
    return part / whole if whole else None


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
