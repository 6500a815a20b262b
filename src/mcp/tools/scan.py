"""scan: what was unusual."""

from __future__ import annotations

from analytics.scan import SCAN_DEFINITION, ScanQuestion, judged_days, scan_rows
from mcp.report import report
from mcp.rows import NUMBER, TEXT, TEXT_OR_NULL, Rows
from mcp.tool import UNTRUSTED, Context, Reading, Tool


async def _run(question: ScanQuestion, context: Context) -> Reading:
    days = judged_days(question, context.now_ms)
    scanned = await context.events.scan(context.scope, question, days)
    rows, cut = scan_rows(question, context.scope.projects, days, scanned.series)
    return report(question, rows, scanned.cost, SCAN_DEFINITION, truncated=cut, tier=scanned.tier)


SCAN = Tool(
    name="scan",
    title="Scan",
    description=(
        "Anything unusual: days with a spike, drop or silence of all events, an event name or a source; new names. "
        'Example: {"from":"7d"}.' + UNTRUSTED
    ),
    input=ScanQuestion,
    output=Rows(
        {
            **dict.fromkeys(("id", "kind", "metric", "from", "to", "peak"), TEXT),
            **dict.fromkeys(("by", "value"), TEXT_OR_NULL),
            **dict.fromkeys(("expected", "actual", "deviation"), NUMBER),
        }
    ),
    requires="read",
    run=_run,
    slow=True,
)
