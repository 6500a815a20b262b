"""Events and visitors of whole UTC days from the roll-ups, in the rows of storage/measuring.py, where those are exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics.filters import DIMENSIONS
from analytics.measures import Measurement
from analytics.window import MS_PER_DAY
from storage.counting import Counted, Counting, with_clause
from storage.database import Statement
from storage.event_stats import Planned, counted
from storage.measuring import names_filtered
from storage.sql_parts import Binder

_KEPT: Final = frozenset({"events", "visitors"})


def rolled_up(numbers: Sequence[int], asked: Measurement) -> Planned | None:
    """Rows `project, bucket, value, events, visitors` as `measuring` has them; None where only events can answer."""
    if not asked.needs <= _KEPT or asked.order not in _KEPT or asked.goal is not None:
        return None
    if asked.interval == "hour" or (asked.interval is not None and asked.timezone != "UTC"):
        return None
    if asked.identity != "visitor":
        return None  # whose an event is can change when a device is identified; the roll-ups count devices
    names = names_filtered(asked.filters) or []
    if (
        (asked.by is not None and asked.by not in DIMENSIONS)
        or len(asked.filters) != len(names)
        or len(names) > 1
    ):
        return None
    binder = Binder()
    columns = () if asked.by is None else (asked.by,)
    visitors = "visitors" in asked.needs | {asked.order}
    counting = Counting(numbers, asked.window, columns, names[0] if names else None, visitors=visitors)
    whole = counted(binder, counting)
    if whole.tier == "events":
        return None
    if asked.by is None:
        counting = Counting(numbers, asked.window, (), counting.name, asked.interval, visitors=visitors)
        return Planned(_totals(Binder(), counting), whole.tier)
    return Planned(_ranked(binder, asked, counting, whole), whole.tier)


def _summed(counting: Counting) -> str:
    return f"sum(events) AS events, {'sum(uniques)' if counting.visitors else '0'} AS visitors"


def _totals(binder: Binder, counting: Counting) -> Statement:
    found = counted(binder, counting)
    common = with_clause(*found.parts)
    return binder.statement(f"""{common}SELECT project, bucket / {MS_PER_DAY} AS bucket, {_summed(counting)}
  FROM ({found.rows}) GROUP BY project, bucket""")


def _ranked(binder: Binder, asked: Measurement, counting: Counting, whole: Counted) -> Statement:
    """The highest values of the whole window; with an interval, what they had in each of its buckets."""
    limit = binder.bind(asked.limit + 1)
    ranked = f"""ranked AS MATERIALIZED (
  SELECT * FROM (
    SELECT totals.*, text.value AS value,
           row_number() OVER (PARTITION BY totals.project ORDER BY {asked.order} DESC, text.value) AS place
      FROM (SELECT project, key0, {_summed(counting)} FROM ({whole.rows}) GROUP BY project, key0) AS totals
      LEFT JOIN dictionary AS text ON text.id = totals.key0) WHERE place <= {limit})"""
    common = with_clause(*whole.parts, ranked)
    if asked.interval is None:
        return binder.statement(f"""{common}SELECT project, 0 AS bucket, value, events, visitors
  FROM ranked ORDER BY project, place""")
    series = Counting(
        counting.numbers,
        asked.window,
        counting.columns,
        counting.name,
        asked.interval,
        visitors=counting.visitors,
    )
    found = counted(binder, series)
    return binder.statement(f"""{common}SELECT kept.project AS project, kept.bucket / {MS_PER_DAY} AS bucket,
       ranked.value AS value, kept.events AS events, kept.visitors AS visitors
  FROM ranked CROSS JOIN (
    SELECT project, bucket, key0, {_summed(series)}
      FROM ({with_clause(*found.parts)}{found.rows}) GROUP BY project, bucket, key0) AS kept
 WHERE kept.project = ranked.project AND kept.key0 = ranked.key0 ORDER BY kept.project, ranked.place, kept.bucket""")
