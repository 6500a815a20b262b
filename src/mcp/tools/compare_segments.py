"""compare_segments: which of two segments converts better."""

from __future__ import annotations

from analytics.visits import SEGMENTS_DEFINITION, SegmentsQuestion, segment_measurements, segment_rows
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, TEXT, WHOLE, Rows
from mcp.tool import Context, Reading, Tool


async def _run(question: SegmentsQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, segment_measurements(question))
    rows = segment_rows(context.scope.projects, measured.counted)
    return report(question, rows, measured.cost, SEGMENTS_DEFINITION, goal=question.goal)


COMPARE_SEGMENTS = Tool(
    name="compare_segments",
    title="Compare segments",
    description=(
        "Whether visitors of segment a convert better than those of b, with 95 % intervals. Example: "
        '{"goal":"purchase","a":[{"field":"os","value":"ios"}],"b":[{"field":"os","value":"android"}]}.'
    ),
    input=SegmentsQuestion,
    output=Rows(
        {
            "segment": TEXT,
            "visitors": WHOLE,
            "converted": WHOLE,
            "rate": NUMBER_OR_NULL,
            "low": NUMBER_OR_NULL,
            "high": NUMBER_OR_NULL,
            "verdict": TEXT,
        }
    ),
    requires="read",
    run=_run,
)
