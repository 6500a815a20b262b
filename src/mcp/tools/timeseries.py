"""timeseries: one measure over time, on the calendar of a time zone."""

from __future__ import annotations

from analytics.annotations import MAX_ANNOTATIONS, annotated
from analytics.audience import TimeseriesQuestion, timeseries_measurement, timeseries_rows
from analytics.local_time import buckets
from analytics.measures import DEFINITION
from mcp.report import report
from mcp.rows import LIST, NUMBER_OR_NULL, SCALAR, TEXT, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: TimeseriesQuestion, context: Context) -> Reading:
    measured, notes = await context.events.noted(context.scope, timeseries_measurement(question))
    rows, cut = timeseries_rows(question, context.scope.projects, measured.counted[0])
    places = buckets(question.timezone, question.window, question.interval)
    rows = annotated(rows, places, context.scope.projects, notes[-MAX_ANNOTATIONS:])
    return report(
        question, rows, measured.cost, DEFINITION,
        truncated=cut or len(notes) > MAX_ANNOTATIONS, tier=measured.tier,
        metric=question.metric, interval=question.interval,
    )  # fmt: skip


TIMESERIES = Tool(
    name="timeseries",
    title="Time series",
    description=(
        "One metric per bucket of the local calendar, empty ones included; with `by` a series per top value. Example: "
        '{"metric":"sessions","by":"source","timezone":"Europe/Berlin"}.' + UNTRUSTED
    ),
    input=TimeseriesQuestion,
    output=Rows({"bucket": TEXT, "value": NUMBER_OR_NULL}, {"annotations": LIST}, named=SCALAR),
    requires="read",
    run=_run,
)
