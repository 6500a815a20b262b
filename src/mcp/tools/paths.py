"""paths: the most frequent sequences of pages."""

from __future__ import annotations

from analytics.visits import PATHS_DEFINITION, PathsQuestion
from mcp.report import over_window
from mcp.rows import LIST, NUMBER, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: PathsQuestion, context: Context) -> Reading:
    answer = await context.events.paths(context.scope, question)
    return over_window(question.window, answer, PATHS_DEFINITION)


PATHS = Tool(
    name="paths",
    title="Paths",
    description=(
        "The most frequent sequences of up to 7 pages in sessions. Example: "
        '{"filters":[{"field":"source","value":"google"}]}.' + UNTRUSTED
    ),
    input=PathsQuestion,
    output=Rows({"path": LIST, "sessions": WHOLE, "visitors": WHOLE, "share": NUMBER}),
    requires="read",
    run=_run,
    slow=True,
)
