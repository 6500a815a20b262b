"""compare_segments: which of two segments converts better."""

from __future__ import annotations

from analytics.visits import SEGMENTS_DEFINITION, SegmentsQuestion, segment_measurements, segment_rows
from mcp.report import ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: SegmentsQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, segment_measurements(question))
    rows = segment_rows(context.scope.projects, measured.counted)
    return report(question, rows, measured.cost, SEGMENTS_DEFINITION, goal=question.goal)


COMPARE_SEGMENTS = Tool(
    name="compare_segments",
    title="Compare segments",
    description=(
        "Whether visitors of segment a (filters) convert better than those of b, with 95 % intervals and a verdict. "
        'Example: {"from":"2026-05-01","to":"2026-06-01","goal":"purchase","a":[{"field":"device_type","value":"mobile"}],'
        '"b":[{"field":"device_type","value":"desktop"}]}.'
    ),
    input=SegmentsQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
