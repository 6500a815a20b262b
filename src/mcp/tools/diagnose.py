"""diagnose: what moved a number."""

from __future__ import annotations

from analytics.diagnosis import DIAGNOSIS_DEFINITION, DiagnoseQuestion, diagnosis_rows
from analytics.store import Answer
from mcp.report import over_window
from mcp.rows import NUMBER_OR_NULL, TEXT_OR_NULL, WHOLE, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: DiagnoseQuestion, context: Context) -> Reading:
    found = await context.events.diagnose(context.scope, question)
    rows = diagnosis_rows(question, context.scope.projects, found.moved)
    return over_window(
        question.window, Answer(rows, found.cost, tier=found.tier), DIAGNOSIS_DEFINITION,
        metric=question.metric, compared_with=question.earlier.described(),
    )  # fmt: skip


DIAGNOSE = Tool(
    name="diagnose",
    title="What moved a metric",
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
)
