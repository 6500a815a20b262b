"""realtime: who is there now."""

from __future__ import annotations

from analytics.store import Answer
from analytics.visits import (
    REALTIME_DEFINITION,
    RealtimeQuestion,
    realtime_measurements,
    realtime_rows,
    realtime_window,
)
from mcp.report import over_window
from mcp.rows import TEXT, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: RealtimeQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, realtime_measurements(question, context.now_ms))
    rows = realtime_rows(question, context.scope.projects, measured.counted)
    window = realtime_window(question, context.now_ms)
    return over_window(window, Answer(rows, measured.cost), REALTIME_DEFINITION)


REALTIME = Tool(
    name="realtime",
    title="Right now",
    description=(
        "Visitors of the last minutes: all, top pages, countries, sources. Example: {}." + UNTRUSTED
    ),
    input=RealtimeQuestion,
    output=Rows({"what": TEXT, "value": TEXT_OR_NULL, "visitors": WHOLE, "events": WHOLE}),
    requires="read",
    run=_run,
)
