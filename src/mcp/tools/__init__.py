"""The registry: every tool of both endpoints, in the order `tools/list` shows them.

One file declares a tool, one line adds it to an endpoint; on the account it is the same tool with selectors. Answers in
rows come in pages; `query_events` has its own, as deep as there are events. Answers that count none of an event say
whether it was ever received.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from analytics.questions import ProjectStatsQuestion
from mcp.pages import in_pages
from mcp.projects import over_projects
from mcp.tool import Tool
from mcp.tools.attribution import ATTRIBUTION
from mcp.tools.breakdown import BREAKDOWN
from mcp.tools.channel_roi import CHANNEL_ROI
from mcp.tools.compare_projects import COMPARE_PROJECTS
from mcp.tools.compare_segments import COMPARE_SEGMENTS
from mcp.tools.describe_schema import DESCRIBE_SCHEMA
from mcp.tools.diagnose import DIAGNOSE
from mcp.tools.forget_user import FORGET_USER
from mcp.tools.funnel import FUNNEL
from mcp.tools.get_stats import GET_STATS
from mcp.tools.health import HEALTH
from mcp.tools.lifecycle import LIFECYCLE
from mcp.tools.list_projects import LIST_PROJECTS
from mcp.tools.overview import OVERVIEW
from mcp.tools.paths import PATHS
from mcp.tools.query_events import QUERY_EVENTS
from mcp.tools.realtime import REALTIME
from mcp.tools.retention import RETENTION
from mcp.tools.revenue import REVENUE
from mcp.tools.scan import SCAN
from mcp.tools.sessions import SESSIONS
from mcp.tools.timeseries import TIMESERIES
from mcp.tools.top_sources import TOP_SOURCES
from mcp.tools.track_event import TRACK_EVENT
from mcp.tools.user_journey import USER_JOURNEY
from mcp.unknown_events import telling_unknown_events

#: Answers about an audience; the same on both endpoints.
REPORTS: Final[tuple[Tool[Any], ...]] = (
    DESCRIBE_SCHEMA,
    REALTIME,
    OVERVIEW,
    HEALTH,
    TIMESERIES,
    BREAKDOWN,
    RETENTION,
    LIFECYCLE,
    REVENUE,
    CHANNEL_ROI,
    ATTRIBUTION,
    COMPARE_SEGMENTS,
    SCAN,
    DIAGNOSE,
    SESSIONS,
    PATHS,
    USER_JOURNEY,
)


def _paged(tool: Tool[Any]) -> Tool[Any]:
    return in_pages(telling_unknown_events(tool))


PROJECT_TOOLS: Final[tuple[Tool[Any], ...]] = (
    _paged(GET_STATS),
    _paged(TOP_SOURCES),
    _paged(FUNNEL),
    telling_unknown_events(QUERY_EVENTS),
    *(_paged(tool) for tool in REPORTS),
    TRACK_EVENT,
    FORGET_USER,
)

ACCOUNT_TOOLS: Final[tuple[Tool[Any], ...]] = (
    LIST_PROJECTS,
    in_pages(COMPARE_PROJECTS),
    over_projects(_paged(replace(GET_STATS, input=ProjectStatsQuestion))),
    *(over_projects(tool) for tool in PROJECT_TOOLS[1:] if tool.requires == "read"),
)
