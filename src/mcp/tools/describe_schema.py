"""describe_schema: which events there are and what they carry."""

from __future__ import annotations

from analytics.schema import SCHEMA_DEFINITION, SchemaQuestion, schema_rows
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: SchemaQuestion, context: Context) -> Reading:
    found = await context.events.describe(context.scope, question)
    rows, cut = schema_rows(question, context.scope.projects, found)
    return report(question, rows, found.cost, SCHEMA_DEFINITION, truncated=cut)


DESCRIBE_SCHEMA = Tool(
    name="describe_schema",
    title="Describe schema",
    description=(
        "Every event name with count, visitors, first and last time, and its properties: coverage, types, min, max, mean, "
        'top values. Ask this first. Example: {"from":"30d","to":"now"}.' + STRANGERS
    ),
    input=SchemaQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
