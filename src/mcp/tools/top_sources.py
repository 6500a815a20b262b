"""top_sources: where visitors come from, paid apart from unpaid."""

from __future__ import annotations

from pydantic import Field

from analytics.attribution import SOURCES_DEFINITION
from analytics.questions import SourcesQuestion
from mcp.rows import rows_of
from mcp.tool import UNTRUSTED, Context, Output, Reading, Tool, reading


class SourceRow(Output):
    source: str
    medium: str = Field("", description="Only with breakdown source_medium.")
    events: int
    uniques: int
    paid_share: float = Field(description="Events with medium paid / events, 0 to 1.")


async def _run(question: SourcesQuestion, context: Context) -> Reading:
    answer = await context.events.sources(context.scope, question)
    return reading(answer, question.window, breakdown=question.breakdown, definition=SOURCES_DEFINITION)


TOP_SOURCES = Tool(
    name="top_sources",
    title="Top sources",
    description=(
        "Where visitors come from, most events first; ads (facebook/paid) apart from posts (facebook/social), "
        'breakdown source adds them up. Example: {"from":"7d","to":"now"}.' + UNTRUSTED
    ),
    input=SourcesQuestion,
    output=rows_of(SourceRow),
    requires="read",
    run=_run,
)
