"""get_stats: how many events or visitors, split by columns and over time."""

from __future__ import annotations

from pydantic import Field

from analytics.questions import Metric, StatsQuestion
from mcp.tool import UNTRUSTED, Context, ProjectRow, Reading, RowsOutput, Tool, reading


class StatsRow(ProjectRow):
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


class StatsOutput(RowsOutput):
    metric: Metric
    sampled: bool = Field(description="Whether values are estimates from one visitor in sixteen.")
    rows: list[StatsRow]


async def _run(question: StatsQuestion, context: Context) -> Reading:
    answer = await context.events.stats(context.scope, question)
    return reading(answer, question.window, metric=question.metric, sampled=answer.sampled)


GET_STATS = Tool(
    name="get_stats",
    title="Count events or visitors",
    description=(
        "Counts events (metric count) or exact distinct visitors (metric uniques) in a window, split by up to three "
        "columns and by hour, day, week or month. Uniques of buckets do not add up to the uniques of the window. Rows by "
        "value, highest first; with interval, by bucket first. Example, sign-ups per day by source: "
        '{"from":"2026-05-01","to":"2026-06-01","event":"signup","group_by":["source"],"interval":"day"}.'
        + UNTRUSTED
    ),
    input=StatsQuestion,
    output=StatsOutput,
    requires="read",
    run=_run,
)
