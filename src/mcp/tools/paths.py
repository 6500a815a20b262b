"""paths: the most frequent sequences of pages."""

from __future__ import annotations

from analytics.visits import PATHS_DEFINITION, PathsQuestion
from mcp.report import STRANGERS, ReportOutput, over_window
from mcp.tool import Context, Reading, Tool


async def _run(question: PathsQuestion, context: Context) -> Reading:
    answer = await context.events.paths(context.scope, question)
    return over_window(question.window, answer, PATHS_DEFINITION, question.timezone)


PATHS = Tool(
    name="paths",
    title="Paths",
    description=(
        "The most frequent page sequences of sessions (7 pages). Rows: path (list), sessions, visitors, share. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","limit":10}.' + STRANGERS
    ),
    input=PathsQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
