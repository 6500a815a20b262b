"""What the answers of reports have in common: bare rows as text; around them the window, the meaning and the cost."""

from __future__ import annotations

from typing import Any

from analytics.identity import Identity, PeopleQuestion, defined
from analytics.reports import ReportQuestion, SpanQuestion
from analytics.store import Answer, Cost, Row, Tier
from analytics.window import Window
from mcp.tool import Reading


def report(
    question: SpanQuestion,
    rows: list[Row],
    cost: Cost,
    definition: str,
    *,
    truncated: bool = False,
    tier: Tier = "events",
    **more: Any,
) -> Reading:
    """An answer to a question; `definition` says what was counted, in a few sentences."""
    window = Window(question.from_, question.to)
    timezone = question.timezone if isinstance(question, ReportQuestion) else "UTC"
    identity: Identity = question.identity if isinstance(question, PeopleQuestion) else "visitor"
    answer = Answer(rows, cost, truncated, tier)
    definition = defined(definition, identity)
    return over_window(window, answer, definition, timezone=timezone, identity=identity, **more)


def over_window(
    window: Window,
    answer: Answer,
    definition: str,
    timezone: str = "UTC",
    identity: Identity = "visitor",
    **more: Any,
) -> Reading:
    """An answer over one window, with what it rests on."""
    structured = {
        "rows": answer.rows,
        "window": window.described() | {"timezone": timezone},
        "identity": identity,
        "definition": definition,
        "truncated": answer.truncated,
        "meta": {"tier": answer.tier, "rows_read": answer.cost.rows_read},
    }
    return Reading(answer.rows, {**more, **structured})
