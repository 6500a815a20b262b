"""Fixed pieces of SQL that questions share, and the numbering of their parameters. User text only ever gets bound."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from analytics.filters import Filter
from analytics.window import Window
from storage.database import Parameter, Statement
from storage.dictionary import COLUMNS, KINDS
from storage.tiers import NAME_KIND


class Binder:
    """Hands out `?1 ?2 …` in the order values are bound; the same value is bound once, so that equal parts of a statement
    are equal texts."""

    def __init__(self) -> None:
        self._values: list[Parameter] = []
        self._places: dict[tuple[type, Parameter], int] = {}

    def bind(self, value: Parameter) -> str:
        place = self._places.setdefault((type(value), value), len(self._values) + 1)
        if place > len(self._values):
            self._values.append(value)
        return f"?{place}"

    def statement(self, sql: str, columns: Iterable[str] = ()) -> Statement:
        return Statement(sql, tuple(self._values), tuple(columns))


#: Every UTC day of a window, so that a name can be sought inside each day of the events' key.
DAYS: Final = (
    "days (day) AS (SELECT CAST({first} AS INTEGER) UNION ALL SELECT day + 1 FROM days WHERE day < {last})"
)


def in_window(binder: Binder, numbers: Sequence[int], window: Window, join: str = "", known: str = "") -> str:
    """FROM and WHERE: every event `e` of the projects `p` in the window, read along the key. `join` follows the events;
    `known` follows the projects: what is looked up once for each."""
    projects = binder.bind(json.dumps(list(numbers)))
    return f"""FROM json_each({projects}) AS p{known} CROSS JOIN events AS e{join}
  WHERE e.project = p.value AND {_between(binder, window)}"""


def named_in_window(
    binder: Binder,
    numbers: Sequence[int],
    window: Window,
    names: Sequence[str],
    join: str = "",
    known: str = "",
) -> tuple[str, str]:
    """WITH clause, FROM and WHERE: the events `e` of the names `n`, each day's sought in the key; the rest is not read."""
    return days_of(binder, window), named(binder, numbers, window, names, join, known)


def days_of(binder: Binder, window: Window) -> str:
    """A recursive part of a WITH clause: `days (day)`, every UTC day a window touches."""
    return DAYS.format(first=binder.bind(window.first_day), last=binder.bind(window.last_day))


def named(
    binder: Binder,
    numbers: Sequence[int],
    window: Window,
    names: Sequence[str],
    join: str = "",
    known: str = "",
) -> str:
    """FROM and WHERE: the events `e` of the names `n` on `days`, sought in the key day by day."""
    projects = f"json_each({binder.bind(json.dumps(list(numbers)))})"
    return f"FROM {named_of(binder, projects, window, names, join, known)}"


def named_of(
    binder: Binder, projects: str, window: Window, names: Sequence[str], join: str = "", known: str = ""
) -> str:
    """The same without FROM, for the projects `p` of a part of the WITH clause."""
    wanted = binder.bind(json.dumps(list(names)))
    return f"""{projects} AS p{known}
  CROSS JOIN dictionary AS n CROSS JOIN days CROSS JOIN events AS e{join}
  WHERE n.project = p.value AND n.kind = {KINDS["event_name"]} AND n.value IN (SELECT value FROM json_each({wanted}))
    AND e.project = p.value AND e.day = days.day AND e.name = n.id
    AND e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"""


def of_visitor_days(binder: Binder, visitor_days: str, window: Window) -> str:
    """FROM and WHERE: the events `e` of the rows `was (project, visitor, day)` of a part of the WITH clause, each name that
    occurred on the day sought in the key. On one day there are at most as many names as events."""
    return f"""FROM {visitor_days} AS was CROSS JOIN daily AS n CROSS JOIN events AS e
  WHERE n.project = was.project AND n.kind = {NAME_KIND} AND n.day = was.day
    AND e.project = was.project AND e.day = was.day AND e.name = n.a AND e.visitor = was.visitor
    AND e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"""


def _between(binder: Binder, window: Window) -> str:
    return (
        f"e.day BETWEEN {binder.bind(window.first_day)} AND {binder.bind(window.last_day)}"
        f" AND e.ts >= {binder.bind(window.start_ms)} AND e.ts < {binder.bind(window.end_ms)}"
    )


def holds(binder: Binder, condition: Filter, event: str = "e") -> str:
    """A filter as a condition on the event of this alias."""
    if condition.op in ("neq", "not_in"):
        positive = condition.model_copy(update={"op": "eq" if condition.op == "neq" else "in"})
        return f"NOT {holds(binder, positive, event)}"
    if condition.op == "exists":
        found = (
            _property_holds(binder, condition, event, "one.type <> 'null'")
            if condition.property_key
            else (_text_holds(condition, event, "text.value <> ''"))
        )
        return found if condition.value else f"NOT {found}"
    if condition.property_key is not None:
        return _property_holds(
            binder, condition, event, _compared(binder, condition, "one.value", "one.type")
        )
    return _text_holds(condition, event, _compared(binder, condition, "text.value", "'text'"))


def _text_holds(condition: Filter, event: str, comparison: str) -> str:
    return f"EXISTS (SELECT 1 FROM dictionary AS text WHERE text.id = {event}.{COLUMNS[condition.field]} AND {comparison})"


def _property_holds(binder: Binder, condition: Filter, event: str, comparison: str) -> str:
    """The key is compared as text, never used as a JSON path: `$`, `a.b` and `[0]` are ordinary keys."""
    key = binder.bind(condition.property_key)
    return (
        f"EXISTS (SELECT 1 FROM json_each({event}.properties) AS one WHERE one.key = {key} AND {comparison})"
    )


_ORDER_SIGN: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TYPES: Final[dict[type, str]] = {
    bool: "'true', 'false'",
    int: "'integer', 'real'",
    float: "'integer', 'real'",
}


def _compared(binder: Binder, condition: Filter, value: str, kind: str) -> str:
    if condition.op == "in":
        wanted = binder.bind(json.dumps(condition.value))
        return f"""{kind} NOT IN ('object', 'array') AND EXISTS (SELECT 1 FROM json_each({wanted}) AS want
        WHERE want.value = {value} AND (want.type IN ('true', 'false')) = ({kind} IN ('true', 'false')))"""
    wanted = binder.bind(condition.value)  # type: ignore[arg-type]  # a list only with `in`
    if condition.op == "contains":
        return f"{kind} = 'text' AND instr({value}, {wanted}) > 0"
    if condition.op == "starts_with":
        return f"{kind} = 'text' AND substr({value}, 1, length({wanted})) = {wanted}"
    types = _TYPES.get(type(condition.value), "'text'")
    return f"{kind} IN ({types}) AND {value} {_ORDER_SIGN[condition.op]} {wanted}"
