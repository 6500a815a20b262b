"""get_stats: how many events or visitors, split by columns and over time."""

from __future__ import annotations

from pydantic import Field

from analytics.questions import StatsQuestion
from mcp.rows import YES_OR_NO, rows_of
from mcp.tool import UNTRUSTED, Context, Output, Reading, Tool, reading


class StatsRow(Output):
    """The bucket and the columns asked for, then the value; null where events have no such value."""

    bucket: str = Field("", description="Start of the interval, UTC.")
    event_name: str = ""
    source: str = ""
    medium: str = ""
    campaign: str | None = None
    country: str = ""
    device_type: str = ""
    browser: str = ""
    os: str = ""
    path: str | None = None
    value: int
    low: int = Field(0, description="Only of a sample; so is high.")
    high: int = 0


async def _run(question: StatsQuestion, context: Context) -> Reading:
    answer = await context.events.stats(context.scope, question)
    return reading(answer, question.window, metric=question.metric, sampled=answer.sampled)


GET_STATS = Tool(
    name="get_stats",
    title="Counts",
    description=(
        "Counts events (count) or exact distinct visitors (uniques; of buckets they do not add up), split by columns and "
        "over time. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","group_by":["source"],"interval":"day"}.' + UNTRUSTED
    ),
    input=StatsQuestion,
    output=rows_of(StatsRow, sampled=YES_OR_NO),
    requires="read",
    run=_run,
)
