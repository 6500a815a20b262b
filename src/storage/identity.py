"""Whose an event is: its device's, or the person's behind it. Looked up when a question asks, never written down.

A person's key is a text, a device's the integer it always is, so neither is ever taken for the other.
Source: metrics.md, Identity option; contract.md §2, identify: stitching happens at query time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from analytics.event import IDENTIFY_EVENT
from analytics.identity import Identity
from storage.dictionary import KINDS
from storage.sql_parts import Binder
from storage.tiers import TOTAL_KIND

_USER: Final = "'u' || e.user_id"

#: LEFT JOIN for the sources of sql_parts.py: finds the person of the device of the event `e`.
_OF_DEVICE: Final = (
    "\n  LEFT JOIN identified ON identified.project = p.value AND identified.visitor = e.visitor"
)


def people(binder: Binder, numbers: Sequence[int], identity: Identity) -> str:
    """A part of a WITH clause, its comma included, or nothing: of each device ever identified, whose it is by its latest
    `$identify`. Those events are sought by name on the days of the project, which the totals know."""
    if identity == "visitor":
        return ""
    return f"""identified AS MATERIALIZED (
  SELECT project, visitor, person FROM (
    SELECT p.value AS project, e.visitor AS visitor, {_USER} AS person,
           row_number() OVER (PARTITION BY p.value, e.visitor ORDER BY e.ts DESC, e.event DESC) AS nth
      FROM json_each({binder.bind(json.dumps(list(numbers)))}) AS p
      CROSS JOIN dictionary AS n CROSS JOIN daily AS d CROSS JOIN events AS e
     WHERE n.project = p.value AND n.kind = {KINDS["event_name"]} AND n.value = {binder.bind(IDENTIFY_EVENT)}
       AND d.project = p.value AND d.kind = {TOTAL_KIND} AND e.project = p.value AND e.day = d.day AND e.name = n.id
       AND e.user_id IS NOT NULL)
   WHERE nth = 1),
"""


def joined(identity: Identity) -> str:
    """What a source of events needs for `who`."""
    return "" if identity == "visitor" else _OF_DEVICE


def who(identity: Identity) -> str:
    """The key that the event `e` counts under: of its own `user_id`, else of the person its device is, else the device."""
    return "e.visitor" if identity == "visitor" else f"coalesce({_USER}, identified.person, e.visitor)"


def last_tie(identity: Identity) -> str:
    """The last column of the order of somebody's events. Of a person two devices may have sent the same event at once."""
    return "e.name" if identity == "visitor" else "e.name || ' ' || e.visitor"


def place_of(identity: Identity) -> str:
    """Where the event `e` stands in the order of somebody's events, as one text that sorts like (ts, event, last tie).

    min() of it finds the first event in one pass: SQLite takes the columns beside a lone min() from the row that has it.
    """
    tie = "%019d" if identity == "visitor" else "%s"
    return f"printf('%016d%019d{tie}', e.ts, e.event, {last_tie(identity)})"
