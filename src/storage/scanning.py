"""Counts by day for `scan`: of UTC days from the roll-up, on another calendar from the events; one row a series."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json

from analytics.scan import TOP_SERIES, Series
from analytics.store import Tier
from analytics.window import Window
from storage.database import Statement
from storage.dictionary import KINDS
from storage.measuring import local_day
from storage.sql_parts import Binder, in_window
from storage.tiers import NAME_KIND, TOTAL_KIND

_SOURCE_KIND: Final = KINDS["source"]


def scanning(numbers: Sequence[int], timezone: str, window: Window) -> tuple[Statement, Tier]:
    """Rows `project, kind, value, days`: of each project all events, and the most frequent names and sources.

    Shape: `days` is a JSON array of `[local day, events, visitors]` as text. The window has whole local days.
    """
    binder = Binder()
    tier: Tier = "daily" if timezone == "UTC" else "events"
    counted = (_from_daily if tier == "daily" else _from_events)(binder, numbers, timezone, window)
    return (
        binder.statement(f"""{counted},
series AS (
  SELECT project, kind, a, sum(events) AS events, json_group_array(json_array(day, events, visitors)) AS days
    FROM counted GROUP BY project, kind, a),
ranked AS (
  SELECT series.*, text.value AS value,
         row_number() OVER (PARTITION BY series.project, series.kind ORDER BY series.events DESC, text.value) AS place
    FROM series LEFT JOIN dictionary AS text ON text.id = series.a)
SELECT project, kind, value, days FROM ranked WHERE place <= {TOP_SERIES} ORDER BY project, kind, place"""),
        tier,
    )


def _from_daily(binder: Binder, numbers: Sequence[int], _timezone: str, window: Window) -> str:
    """t0 are the visitors of the day; days that retention has left are not read, though they may still be there."""
    projects = binder.bind(json.dumps(list(numbers)))
    first, last = binder.bind(window.first_day), binder.bind(window.last_day)
    return f"""WITH counted AS (
  SELECT p.value AS project, r.kind AS kind, r.a AS a, r.day AS day, r.events AS events, r.t0 AS visitors
    FROM json_each({projects}) AS p LEFT JOIN retention AS kept ON kept.project = p.value CROSS JOIN daily AS r
   WHERE r.project = p.value AND r.kind IN ({TOTAL_KIND}, {NAME_KIND}, {_SOURCE_KIND})
     AND r.day BETWEEN max({first}, coalesce(kept.first_day, {first})) AND {last})"""


def _from_events(binder: Binder, numbers: Sequence[int], timezone: str, window: Window) -> str:
    day = local_day(binder, timezone, window, "e.ts")
    source = in_window(binder, numbers, window)
    parts = "\n   UNION ALL ".join(
        f"SELECT project, {kind} AS kind, {column} AS a, day, count(*) AS events, count(DISTINCT visitor) AS visitors"
        f" FROM seen GROUP BY project, {column}, day"
        for kind, column in ((TOTAL_KIND, "NULL"), (NAME_KIND, "name"), (_SOURCE_KIND, "source"))
    )
    return f"""WITH seen AS MATERIALIZED (
  SELECT p.value AS project, e.visitor AS visitor, e.name AS name, e.source AS source, {day} AS day {source}),
counted AS ({parts})"""


def series_of(row: dict[str, Any]) -> list[Series]:
    """The series that a row of `scanning` holds: of names their events, of sources their visitors, of everything both."""
    days = from_json(row["days"])
    project = row["project"]
    events = {day: events for day, events, _ in days}
    visitors = {day: visitors for day, _, visitors in days}
    if row["kind"] == NAME_KIND:
        return [Series(project, "events", "event_name", row["value"], events)]
    if row["kind"] == _SOURCE_KIND:
        return [Series(project, "visitors", "source", row["value"], visitors)]
    return [Series(project, "events", None, None, events), Series(project, "visitors", None, None, visitors)]
