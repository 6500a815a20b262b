"""describe_schema: which events there are and what they carry."""

from __future__ import annotations

from analytics.schema import SCHEMA_DEFINITION, SchemaQuestion, schema_rows
from mcp.report import report
from mcp.rows import TEXT, WHOLE, Rows, each
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: SchemaQuestion, context: Context) -> Reading:
    found = await context.events.describe(context.scope, question)
    rows, cut = schema_rows(question, context.scope.projects, found)
    return report(question, rows, found.cost, SCHEMA_DEFINITION, truncated=cut)


DESCRIBE_SCHEMA = Tool(
    name="describe_schema",
    title="Describe schema",
    description=(
        "Every event name and its properties: coverage, types, range, top values. Ask this first. Example: {}."
        + UNTRUSTED
    ),
    input=SchemaQuestion,
    output=Rows(
        {
            "event": TEXT,
            "count": WHOLE,
            "visitors": WHOLE,
            "first_seen": TEXT,
            "last_seen": TEXT,
            "properties": each("property", "coverage", "types", "distinct", "top_values"),
        }
    ),
    requires="read",
    run=_run,
    slow=True,
)
