"""timeseries: one measure over time, on the calendar of a time zone."""

from __future__ import annotations

from analytics.audience import TimeseriesQuestion, timeseries_measurement, timeseries_rows
from analytics.measures import DEFINITION
from mcp.report import STRANGERS, ReportOutput, report
from mcp.tool import Context, Reading, Tool


async def _run(question: TimeseriesQuestion, context: Context) -> Reading:
    measured = await context.events.measure(context.scope, [timeseries_measurement(question)])
    rows, cut = timeseries_rows(question, context.scope.projects, measured.counted[0])
    return report(
        question, rows, measured.cost, DEFINITION,
        truncated=cut, tier=measured.tier, metric=question.metric, interval=question.interval,
    )  # fmt: skip


TIMESERIES = Tool(
    name="timeseries",
    title="Time series",
    description=(
        "One metric per hour, day, week or month of the local calendar, empty buckets included; `by` gives one series for "
        "each of the top 5 values. Rows: <by>?, bucket (UTC start), value. Example: "
        '{"from":"2026-05-01","to":"2026-06-01","metric":"sessions","timezone":"Europe/Berlin"}.' + STRANGERS
    ),
    input=TimeseriesQuestion,
    output=ReportOutput,
    requires="read",
    run=_run,
)
