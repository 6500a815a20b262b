"""Counting events and visitors: stats, sources, event names. Ratios and labels are made in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics.questions import ComparisonQuestion, Interval, SourcesQuestion, StatsQuestion
from analytics.window import Window
from storage.database import Statement
from storage.dictionary import COLUMNS, KINDS
from storage.sql_parts import Binder, in_window, named_in_window

_VALUE: Final = {"count": "count(*)", "uniques": "count(DISTINCT e.visitor)"}

#: Start of the interval an event lies in, in milliseconds UTC. Day 0 was a Thursday: weeks start at day -3 + 7n.
_BUCKET: Final[dict[Interval, str]] = {
    "hour": "e.ts / 3600000 * 3600000",
    "day": "e.day * 86400000",
    "week": "((e.day + 3) / 7 * 7 - 3) * 86400000",
    "month": "unixepoch(e.ts / 1000, 'unixepoch', 'start of month') * 1000",
}


def select_stats(numbers: Sequence[int], question: StatsQuestion, by_project: bool) -> Statement:
    """Rows `bucket?, project_id?, <group texts>, value`, one more than the limit."""
    binder = Binder()
    with_days, source = "", ""
    if question.event is None:
        source = in_window(binder, numbers, question.window)
    else:
        days, source = named_in_window(binder, numbers, question.window, [question.event])
        with_days = f"WITH RECURSIVE {days}\n"
    keys = [f"{_BUCKET[question.interval]} AS bucket"] if question.interval else []
    keys += ["p.value AS project"] if by_project else []
    keys += [f"e.{COLUMNS[column]} AS {COLUMNS[column]}" for column in question.dimensions]
    grouped = f"GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    inner = f"SELECT {', '.join([*keys, f'{_VALUE[question.metric]} AS value'])} {source} {grouped}"
    texts = [f"{column}.value AS {column}" for column in question.dimensions]
    joins = "".join(
        f"\n  LEFT JOIN dictionary AS {column} ON {column}.id = s.{COLUMNS[column]}"
        for column in question.dimensions
    )
    head = (["s.bucket"] if question.interval else []) + (["project.id AS project_id"] if by_project else [])
    joins += "\n  LEFT JOIN projects AS project ON project.number = s.project" if by_project else ""
    order = (
        (["s.bucket"] if question.interval else [])
        + ["s.value DESC"]
        + (["project.id"] if by_project else [])
    )
    order += [f"{column}.value" for column in question.dimensions]
    return binder.statement(
        f"{with_days}SELECT {', '.join([*head, *texts, 's.value AS value'])}\n  FROM ({inner}) AS s{joins}"
        f"\n ORDER BY {', '.join(order)} LIMIT {binder.bind(question.limit + 1)}"
    )


def select_sources(numbers: Sequence[int], question: SourcesQuestion) -> Statement:
    """Rows `project, source, medium?, events, uniques, paid`, one more than the limit."""
    binder = Binder()
    projects = in_window(binder, numbers, question.window)
    by_medium = question.breakdown == "source_medium"
    medium_key, medium_text, medium_join, medium_order = (
        (", e.medium AS medium", "medium.value AS medium,", "LEFT JOIN dictionary AS medium ON medium.id = s.medium",
         ", medium.value")
        if by_medium
        else ("", "", "", "")
    )  # fmt: skip
    return binder.statement(f"""
SELECT project.id AS project_id, source.value AS source, {medium_text}
       s.events AS events, s.uniques AS uniques, s.paid AS paid
  FROM (SELECT p.value AS project, e.source AS source{medium_key},
               count(*) AS events, count(DISTINCT e.visitor) AS uniques,
               sum(e.medium IS (SELECT id FROM dictionary
                                 WHERE project = p.value AND kind = {KINDS["medium"]} AND value = 'paid')) AS paid
          {projects}
         GROUP BY p.value, e.source{", e.medium" if by_medium else ""}) AS s
  LEFT JOIN projects AS project ON project.number = s.project
  LEFT JOIN dictionary AS source ON source.id = s.source {medium_join}
 ORDER BY s.events DESC, project.id, source.value{medium_order} LIMIT {binder.bind(question.limit + 1)}""")


def select_event_names(numbers: Sequence[int], window: Window, limit: int) -> Statement:
    """Rows `project, event_name, count`, most frequent first."""
    binder = Binder()
    source = in_window(binder, numbers, window)
    return binder.statement(f"""
SELECT project.id AS project_id, name.value AS event_name, s.count AS count
  FROM (SELECT p.value AS project, e.name AS name, count(*) AS count {source} GROUP BY p.value, e.name) AS s
  LEFT JOIN projects AS project ON project.number = s.project
  LEFT JOIN dictionary AS name ON name.id = s.name
 ORDER BY s.count DESC, project.id, name.value LIMIT {binder.bind(limit + 1)}""")


def select_comparison(numbers: Sequence[int], question: ComparisonQuestion) -> Statement:
    """Rows `project, value`; a project without events in the window has none."""
    binder = Binder()
    source = in_window(binder, numbers, question.window)
    return binder.statement(
        f"SELECT p.value AS project, {_VALUE[question.metric]} AS value {source} GROUP BY p.value"
    )
