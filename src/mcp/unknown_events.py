"""Events that nobody has sent: an answer that counts none of a name that was never received says so, and what may be meant.

An answer that shows the event costs nothing more; after one that does not, the names are looked up, in one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from analytics.filters import Filter
from analytics.problems import nearest
from analytics.questions import MAX_FUNNEL_STEPS, FunnelStep
from analytics.store import Row
from mcp.tool import Context, Reading, Tool

#: So many names of one question are looked up, the first.
MAX_LOOKED_UP: Final = MAX_FUNNEL_STEPS
#: No event has a longer name. Source: contract.md §2, POST /v1/track.
MAX_NAME: Final = 128

#: Whether a row of the answer to a question shows that an event was counted.
Shows = Callable[[Any, Row], object]


def _column(*names: str) -> Shows:
    return lambda _question, row: any(row[name] for name in names)


def _metric(name: str) -> Shows:
    return lambda _question, row: row["metric"] == name and (row["value"] or row["previous"])


def _segment(name: str) -> Shows:
    return lambda _question, row: row["segment"] == name and row["visitors"]


def _asked_metric(question: Any, row: Row) -> object:
    return row[question.metric]


def _row(_question: Any, _row: Row) -> object:
    return True


#: By tool and argument that names events, alone or in filters, how a row shows them. What is not there names none; the
#: steps of a funnel each have rows of their own.
SHOWN_BY: Final[Mapping[str, Mapping[str, Shows]]] = {
    "get_stats": {"event": _column("value")},
    "query_events": {"event": _row},
    "describe_schema": {"event": _row},
    "overview": {"goal": _metric("conversion_rate"), "filters": _metric("events")},
    "breakdown": {"goal": _asked_metric, "filters": _row},
    "timeseries": {"goal": _column("value"), "filters": _column("value")},
    "diagnose": dict.fromkeys(("goal", "filters"), _column("current", "previous")),
    "compare_segments": {"goal": _column("converted"), "a": _segment("a"), "b": _segment("b")},
    "retention": {
        "born_event": _column("size"),
        "return_event": _column("retained"),
        "filters": _column("size"),
    },
    "revenue": dict.fromkeys(("event", "filters"), _column("orders")),
    "attribution": dict.fromkeys(("event", "filters"), _row),
    "channel_roi": dict.fromkeys(("event", "filters"), _column("conversions")),
    "health": {
        "activation_event": _metric("activated"),
        "purchase_event": _metric("payers"),
        "referral_event": _metric("referrers"),
    },
    "sessions": {"filters": _row},
    "paths": {"filters": _row},
    "funnel": {"steps": _row},
}


def telling_unknown_events(tool: Tool[Any]) -> Tool[Any]:
    """The tool, whose answers say which of the events asked about were never received."""

    async def run(question: Any, context: Context) -> Reading:
        answer = cast("Reading", await tool.run(question, context))
        names = list(dict.fromkeys(unseen(tool.name, question, answer.structured["rows"])))
        if not names:
            return answer
        unknown, cost = await context.events.unknown_events(context.scope, names[:MAX_LOOKED_UP])
        meta = answer.structured["meta"]
        meta = meta | {"rows_read": meta["rows_read"] + cost.rows_read}
        told = {"unknown_events": [_told(name, near) for name, near in unknown.items()]} if unknown else {}
        return replace(answer, structured=answer.structured | {"meta": meta} | told)

    return replace(tool, run=run) if tool.name in SHOWN_BY else tool


def unseen(tool: str, question: Any, rows: Sequence[Row]) -> Iterator[str]:
    """The event names in a question of which no row of its answer shows anything."""
    for argument, shows in SHOWN_BY[tool].items():
        if argument == "steps":
            reached = {row["step"] for row in rows if row["visitors"]}
            steps = enumerate(question.steps, start=1)
            yield from _names([step for number, step in steps if number not in reached])
        elif not any(shows(question, row) for row in rows):
            yield from _names(getattr(question, argument))


def _names(value: Any) -> Iterator[str]:
    """The names in an argument: itself, or those that its filters let through. What is too long to be one is none."""
    if isinstance(value, list):
        for one in value:
            yield from _names(one)
    elif isinstance(value, FunnelStep):
        yield from _names([value.event, *value.filters])
    elif isinstance(value, Filter):
        if value.field == "event_name" and value.op in ("eq", "in"):
            yield from _names(value.value)
    elif isinstance(value, str) and 0 < len(value) <= MAX_NAME:
        yield value


def _told(name: str, near: Sequence[str]) -> dict[str, str]:
    meant = nearest(name, near)
    return {"event": name} | ({} if meant is None else {"did_you_mean": meant})
