"""compare_projects: every project of the account, ranked by one metric."""

from __future__ import annotations

from analytics.questions import ComparisonQuestion
from mcp.projects import EVERY_PROJECT, within
from mcp.rows import TEXT, WHOLE, Rows
from mcp.tool import Context, Reading, Tool, reading


async def _run(question: ComparisonQuestion, context: Context) -> Reading:
    answer = await within(
        context, EVERY_PROJECT, lambda chosen: chosen.events.compare(chosen.scope, question)
    )
    return reading(answer, question.window, metric=question.metric)


COMPARE_PROJECTS = Tool(
    name="compare_projects",
    title="Compare projects",
    description=(
        "Ranks every project of the account by events (count) or distinct visitors (uniques). Example: "
        '{"from":"7d","to":"now","metric":"uniques"}.'
    ),
    input=ComparisonQuestion,
    output=Rows({"project_id": TEXT, "slug": TEXT, "name": TEXT, "value": WHOLE}),
    requires="account_read",
    run=_run,
)
