"""timeseries: one measure over time, on the calendar of a time zone."""

from __future__ import annotations

from analytics.audience import TimeseriesQuestion, timeseries_measurement, timeseries_rows
from analytics.measures import DEFINITION
from mcp.report import report
from mcp.rows import NUMBER_OR_NULL, SCALAR, TEXT, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


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
        "One metric per bucket of the local calendar, empty ones included; with `by` a series per top value. Example: "
        '{"metric":"sessions","by":"source","timezone":"Europe/Berlin"}.' + UNTRUSTED
    ),
    input=TimeseriesQuestion,
    output=Rows({"bucket": TEXT, "value": NUMBER_OR_NULL}, named=SCALAR),
    requires="read",
    run=_run,
)
