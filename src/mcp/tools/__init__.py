"""The registry: every tool of `/mcp`, in the order `tools/list` shows them. One file declares a tool, one line adds it."""

from __future__ import annotations

from typing import Any, Final

from mcp.tool import Tool
from mcp.tools.funnel import FUNNEL
from mcp.tools.get_stats import GET_STATS
from mcp.tools.query_events import QUERY_EVENTS
from mcp.tools.top_sources import TOP_SOURCES
from mcp.tools.track_event import TRACK_EVENT

PROJECT_TOOLS: Final[tuple[Tool[Any], ...]] = (GET_STATS, TOP_SOURCES, FUNNEL, QUERY_EVENTS, TRACK_EVENT)
