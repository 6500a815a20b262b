"""Part 3, every tool: what one call of each tool of tools/list costs on what part 1 loaded. Printed, not kept."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from analytics.window import MS_PER_DAY, format_instant
from bench.data import slug
from bench.ours import Ours, Reply, Say
from storage.database import Statement
from storage.ids import text_of

RUNS: Final = 3
_MOBILE: Final = [{"field": "device_type", "value": "mobile"}]
_DESKTOP: Final = [{"field": "device_type", "value": "desktop"}]

#: What each tool is asked beside the window, the last 30 whole days; tests/test_bench.py finds the ones that are missing.
ASKED: Final[dict[str, dict[str, Any]]] = {
    "get_stats": {"metric": "uniques"},
    "top_sources": {},
    "funnel": {"steps": ["page_view", "add_to_cart", "purchase"]},
    "query_events": {"limit": 50},
    "describe_schema": {},
    "realtime": {},
    "overview": {"goal": "purchase"},
    "health": {"activation_event": "search"},
    "timeseries": {"metric": "visitors", "by": "source"},
    "breakdown": {"by": "country"},
    "retention": {"born_event": "page_view"},
    "lifecycle": {"unit": "week"},
    "revenue": {"amount": "value"},
    "channel_roi": {"amount": "value"},
    "attribution": {},
    "compare_segments": {"goal": "purchase", "a": _MOBILE, "b": _DESKTOP},
    "scan": {},
    "diagnose": {"metric": "visitors"},
    "sessions": {},
    "paths": {},
    "user_journey": {"anonymous_id": "nobody"},  # `run` asks about the busiest visitor
}
#: Tools whose answers are about now, or of whatever there is.
_NO_WINDOW: Final = frozenset({"realtime"})


def arguments(tool: str, end_day: int) -> dict[str, Any]:
    """A call of the tool over the last 30 whole days."""
    window = {
        "from": format_instant((end_day - 30) * MS_PER_DAY),
        "to": format_instant(end_day * MS_PER_DAY),
    }
    return ASKED[tool] if tool in _NO_WINDOW else window | ASKED[tool]


def run(folder: Path, node: Path, end_day: int, say: Say, tools: Sequence[str]) -> str:
    """A table: tool, median milliseconds of a call, of which CPU, rows read, rows answered."""
    ours = Ours(folder / "state", node)
    try:
        someone = {"user_journey": {"anonymous_id": _busiest(ours, end_day)}}
        return table(
            {
                tool: _measured(ours, tool, arguments(tool, end_day) | someone.get(tool, {}), say)
                for tool in tools
            }
        )
    finally:
        ours.stop()


def _busiest(ours: Ours, end_day: int) -> str:
    """The anonymous_id with most events in the window, of the project that is asked about."""
    number = ours.rows(Statement("SELECT number FROM projects WHERE slug = ?1", (slug(0),)))[0]["number"]
    (found,) = ours.rows(
        Statement(
            f"""
SELECT {text_of("e.visitor", "e.anonymous_id")} AS anonymous_id FROM events AS e
 WHERE e.project = ?1 AND e.day BETWEEN ?2 AND ?3
   AND e.visitor = (SELECT visitor FROM visitor_days WHERE project = ?1 AND day BETWEEN ?2 AND ?3
                     GROUP BY visitor ORDER BY sum(events) DESC, visitor LIMIT 1) LIMIT 1""",
            (number, end_day - 30, end_day - 1),
        )
    )
    anonymous_id: str = found["anonymous_id"]
    return anonymous_id


def _measured(ours: Ours, tool: str, given: dict[str, Any], say: Say) -> list[Reply]:
    say(f"  {tool} …")
    return [ours.tool(tool, given) for _ in range(RUNS)]


def table(measured: dict[str, list[Reply]]) -> str:
    lines = ["| tool | ms | CPU ms | rows read | rows |", "|---|---|---|---|---|"]
    for tool, replies in measured.items():
        ms, cpu = (statistics.median(getattr(one, name) for one in replies) for name in ("ms", "cpu_ms"))
        last = replies[-1]
        lines.append(f"| `{tool}` | {ms:,.0f} | {cpu:,.0f} | {last.rows_read:,} | {len(last.rows)} |")
    return "\n".join(lines)
