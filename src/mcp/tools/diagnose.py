"""diagnose: what moved a number."""

from __future__ import annotations

from analytics.diagnosis import DIAGNOSIS_DEFINITION, DiagnoseQuestion, diagnosis_rows
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: DiagnoseQuestion, context: Context) -> Reading:
    found = await context.events.diagnose(context.scope, question)
    rows = diagnosis_rows(question, context.scope.projects, found.moved)
    return report(
        question, rows, found.cost, DIAGNOSIS_DEFINITION, tier=found.tier,
        metric=question.metric, compared_with=question.earlier.described(),
    )  # fmt: skip


DIAGNOSE = Tool(
    name="diagnose",
    title="Diagnose",
    description=(
        "Why a metric changed: the part of each source, country, device, page …, which add up. "
        'Example: {"metric":"events","by":["source"]}.' + UNTRUSTED
    ),
    input=DiagnoseQuestion,
    output=Rows(
        {
            **dict.fromkeys(("by", "value"), TEXT_OR_NULL),
            "others": WHOLE,
            **dict.fromkeys(("current", "previous", "change", "contribution"), NUMBER_OR_NULL),
        },
        dict.fromkeys(("mix", "rate", "visitors", "visitors_previous"), NUMBER_OR_NULL),
    ),
    requires="read",
    run=_run,
    slow=True,
)
