"""health: acquisition, activation, retention, revenue and referral in one call."""

from __future__ import annotations

from analytics.health import HEALTH_DEFINITION, HealthQuestion, health_rows
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, TEXT, TEXT_OR_NULL, Rows
from mcp.tool import Context, Reading, Tool


async def _run(question: HealthQuestion, context: Context) -> Reading:
    found = await context.events.health(context.scope, question)
    rows = health_rows(question, context.scope.projects, found)
    return report(question, rows, found.cost, HEALTH_DEFINITION)


HEALTH = Tool(
    name="health",
    title="Health",
    description=(
        "Acquisition, activation, retention, revenue, referral, each number with its definition. Example: "
        '{"activation_event":"signup"}.'
    ),
    input=HealthQuestion,
    output=Rows(
        {
            **dict.fromkeys(("stage", "metric", "definition"), TEXT),
            "currency": TEXT_OR_NULL,
            **dict.fromkeys(("value", "previous", "change"), NUMBER_OR_NULL),
        }
    ),
    requires="read",
    run=_run,
    slow=True,
)
