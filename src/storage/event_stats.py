"""Counting events and visitors: the planner that picks the cheapest tier whose answer is exact, and the statements around
its rows, which add up, label and sort.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.questions import ComparisonQuestion, SourcesQuestion, StatsQuestion
from analytics.store import Tier
from analytics.window import Window
from storage.bundle import MOST_ROWS, bundled
from storage.counting import Counted, Counting, keys, texts, unpacked, with_clause
from storage.counting_rows import daily_rows, event_rows, path_rows, visitor_day_rows
from storage.database import Statement
from storage.dictionary import KINDS
from storage.sql_parts import Binder, in_window, named_in_window
from storage.tiers import KIND_COLUMNS, NAME_KIND, SOURCE_MEDIUM_KIND, TOTAL_KIND

#: What `visitor_days` keeps apart.
_CUBE: Final = frozenset({"source", "medium", "campaign", "country", "device_type", "browser", "os"})


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement and the tier that answers it."""

    statement: Statement
    tier: Tier


def plan_stats(numbers: Sequence[int], question: StatsQuestion, by_project: bool) -> Planned:
    """Rows `bucket?, project_id?, <group texts>, value`, one more than the limit."""
    binder = Binder()
    uniques = question.metric == "uniques"
    counting = Counting(
        numbers,
        question.window,
        question.dimensions,
        question.event,
        question.interval,
        events=not uniques,
        visitors=uniques,
    )
    found = counted(binder, counting)
    measures = {"value": f"coalesce(sum({question.metric if uniques else 'events'}), 0)"}
    return Planned(labelled(binder, question, by_project, found, measures), found.tier)


def labelled(
    binder: Binder, question: StatsQuestion, by_project: bool, found: Counted, measures: Mapping[str, str]
) -> Statement:
    """Rows `bucket?, project_id?, <group texts>, <measures>` by the first measure, one more than the limit."""
    columns = question.dimensions
    apart = (["bucket"] if question.interval else []) + (["project"] if by_project else []) + keys(columns)
    summed = ", ".join([*apart, *(f"{sql} AS {name}" for name, sql in measures.items())])
    grouped = f"GROUP BY {', '.join(apart)}" if apart else ""
    shown: dict[str, str] = {
        **({"bucket": "s.bucket"} if question.interval else {}),
        **({"project_id": "project.id"} if by_project else {}),
        **{column: f"{column}.value" for column in columns},
        **{name: f"s.{name}" for name in measures},
    }
    order = (["s.bucket"] if question.interval else []) + [f"s.{next(iter(measures))} DESC"]
    order += (["project.id"] if by_project else []) + [f"{column}.value" for column in columns]
    statement = binder.statement(f"""{with_clause(*found.parts)}SELECT {_listed(shown)}
  FROM (SELECT {summed} FROM ({found.rows}) {grouped}) AS s{texts(columns, "s")}{_PROJECT if by_project else ""}
 ORDER BY {", ".join(order)} LIMIT {binder.bind(question.limit + 1)}""")
    # A path can be much longer than any other text.
    return bundled(statement, shown) if question.limit <= MOST_ROWS and "path" not in columns else statement


def _listed(shown: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in shown.items())


_PROJECT: Final = "\n  LEFT JOIN projects AS project ON project.number = s.project"


def plan_sources(numbers: Sequence[int], question: SourcesQuestion) -> Planned:
    """Rows `project_id?, source, medium?, events, uniques, paid`, one more than the limit; `project_id` only where there
    are several projects."""
    binder = Binder()
    columns = ("source", "medium") if question.breakdown == "source_medium" else ("source",)
    found = counted(binder, Counting(numbers, question.window, columns))
    media, paid_medium = _media(binder, numbers)
    rows, sums = found.rows, "sum(events) AS events, sum(uniques) AS uniques"
    if question.breakdown == "source":
        found, rows = _with_paid(binder, numbers, question.window, found)
        sums += ", sum(paid) AS paid"
        texts_of, labels, paid = {"source": "source.value"}, texts(columns, "s"), "s.paid"
    else:
        medium = unpacked(columns, "medium", "s")
        singly = f"(SELECT value FROM dictionary WHERE id = {medium})"
        of_medium = f"coalesce((SELECT texts FROM media) ->> ('m' || {medium}), {singly})"
        texts_of = {"source": "source.value", "medium": of_medium}
        labels = f"\n  LEFT JOIN dictionary AS source ON source.id = {unpacked(columns, 'source', 's')}"
        paid = f"CASE WHEN {medium} IN (SELECT id FROM paid) THEN s.events ELSE 0 END"
    several = len(numbers) > 1
    apart = [*(["project"] if several else []), *keys(columns)]
    names = ({"project_id": "project.id"} if several else {}) | texts_of
    shown = names | {"events": "s.events", "uniques": "s.uniques", "paid": paid}
    order = ["s.events DESC", *names.values()]
    sql = f"""{with_clause(*found.parts, media, paid_medium)}SELECT {_listed(shown)}
  FROM (SELECT {", ".join(apart)}, {sums} FROM ({rows}) GROUP BY {", ".join(apart)}) AS s{labels}{
        _PROJECT if several else ""
    }
 ORDER BY {", ".join(order)} LIMIT {binder.bind(question.limit + 1)}"""
    return Planned(bundled(binder.statement(sql), shown), found.tier)


#: A project has few media: those are looked up together instead of once for each row; of more than these, the rest singly.
_FEW: Final = 64


def _media(binder: Binder, numbers: Sequence[int]) -> tuple[str, str]:
    """Parts of the WITH clause: `media`, the texts of the projects' first media by id, as JSON; `paid`, the id of 'paid'."""
    of_projects = f"""FROM json_each({binder.bind(json.dumps(list(numbers)))}) AS p CROSS JOIN dictionary AS text
   WHERE text.project = p.value AND text.kind = {KINDS["medium"]}"""
    media = f"""media AS MATERIALIZED (
  SELECT json_group_object('m' || id, value) AS texts
    FROM (SELECT text.id AS id, text.value AS value {of_projects} LIMIT {_FEW}))"""
    return media, f"paid AS MATERIALIZED (\n  SELECT text.id AS id {of_projects} AND text.value = 'paid')"


def _with_paid(
    binder: Binder, numbers: Sequence[int], window: Window, sources: Counted
) -> tuple[Counted, str]:
    """Rows by source, and those of its paid medium beside them, which the roll-up by source does not tell apart."""
    columns = ("source", "medium")
    pairs = counted(binder, Counting(numbers, window, columns, visitors=False))
    rows = f"""SELECT project, key0, events, uniques, 0 AS paid FROM ({sources.rows})
  UNION ALL
  SELECT project, {unpacked(columns, "source", "pair")}, 0, 0, events FROM ({pairs.rows}) AS pair
   WHERE {unpacked(columns, "medium", "pair")} IN (SELECT id FROM paid)"""
    return Counted(sources.tier, rows, (*sources.parts, *pairs.parts)), rows


def plan_event_names(numbers: Sequence[int], window: Window, limit: int) -> Planned:
    """Rows `project_id, event_name, count, names`: the most frequent names first, and at the end, without a name, for each
    project how often the others occurred together and how many they are."""
    binder = Binder()
    found = counted(binder, Counting(numbers, window, ("event_name",), visitors=False))
    shown = binder.bind(limit)
    sql = f"""{with_clause(*found.parts)}SELECT project_id, CASE WHEN place <= {
        shown
    } THEN event_name END AS event_name, sum(count) AS count, count(*) AS names
  FROM (SELECT project.id AS project_id, event_name.value AS event_name, s.events AS count,
               row_number() OVER (ORDER BY s.events DESC, project.id, event_name.value) AS place
          FROM (SELECT project, key0, sum(events) AS events FROM ({found.rows}) GROUP BY project, key0) AS s{
        texts(("event_name",), "s")
    }{_PROJECT})
 GROUP BY project_id, CASE WHEN place <= {shown} THEN place END
 ORDER BY min(place) > {shown}, sum(count) DESC, project_id, event_name"""
    return Planned(binder.statement(sql), found.tier)


def plan_comparison(numbers: Sequence[int], question: ComparisonQuestion) -> Planned:
    """Rows `project, value`; a project without events in the window has none."""
    binder = Binder()
    visitors = question.metric == "uniques"
    counting = Counting(numbers, question.window, (), events=not visitors, visitors=visitors)
    found = counted(binder, counting)
    value = "uniques" if visitors else "events"
    sql = f"{with_clause(*found.parts)}SELECT project, sum({value}) AS value FROM ({found.rows}) GROUP BY project"
    return Planned(binder.statement(sql), found.tier)


def counted(binder: Binder, counting: Counting) -> Counted:
    """The rows of the tier that can answer exactly at the lowest cost."""
    if counting.interval != "hour" and len(counting.whole_days) > 0:
        kind = _kind_of(counting)
        if kind is not None and (counting.within_tails or not counting.visitors):
            return daily_rows(binder, counting, kind)
        if counting.columns == ("path",) and not counting.visitors and counting.name is None:
            return path_rows(binder, counting)
        if _CUBE.issuperset(counting.columns) and counting.name is None:
            return visitor_day_rows(binder, counting)
    if counting.name is None:
        return event_rows(counting, in_window(binder, counting.numbers, counting.window))
    days, source = named_in_window(binder, counting.numbers, counting.window, [counting.name])
    return event_rows(counting, source, [days])


def _kind_of(counting: Counting) -> int | None:
    """The kind of `daily` that keeps these columns apart, if one does."""
    columns = set(counting.columns)
    if counting.name is not None:
        return NAME_KIND if columns <= {"event_name"} else None
    if not columns:
        return TOTAL_KIND
    if columns == {"source", "medium"}:
        return SOURCE_MEDIUM_KIND
    kind = KINDS[counting.columns[0]]
    return kind if len(columns) == 1 and kind in KIND_COLUMNS else None
