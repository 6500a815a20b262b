"""compare_projects: every project of the account, ranked by one metric."""

from __future__ import annotations

from analytics.questions import ComparisonQuestion, Metric
from mcp.projects import EVERY_PROJECT, within
from mcp.tool import Context, Output, Reading, RowsOutput, Tool, reading


class ComparisonRow(Output):
    project_id: str
    slug: str
    name: str
    value: int


class ComparisonOutput(RowsOutput):
    metric: Metric
    rows: list[ComparisonRow]


async def _run(question: ComparisonQuestion, context: Context) -> Reading:
    answer = await within(
        context, EVERY_PROJECT, lambda chosen: chosen.events.compare(chosen.scope, question)
    )
    return reading(answer, question.window, metric=question.metric)


COMPARE_PROJECTS = Tool(
    name="compare_projects",
    title="Compare projects",
    description=(
        "Ranks every project of the account by its events (metric count) or exact distinct visitors (metric "
        "uniques) in a window, highest first; projects without any are listed with 0. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","metric":"uniques"}.'
    ),
    input=ComparisonQuestion,
    output=ComparisonOutput,
    requires="account_read",
    run=_run,
)
