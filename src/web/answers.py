"""What REST v1 answers with, as models: what the OpenAPI document says, and what tests hold answers against."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analytics.event import Origin
from analytics.questions import Metric
from mcp.tool import Output
from mcp.tools.get_stats import StatsRow
from mcp.tools.query_events import EventRow
from mcp.tools.top_sources import SourceRow
from mcp.tools.track_event import TrackOutput

Tracked = TrackOutput


class Batched(Output):
    ok: Literal[True]
    count: int


class Identified(Output):
    ok: Literal[True]


class Forgotten(Output):
    ok: Literal[True]
    queued: Literal[False] = Field(description="Always false: it is done when it is answered.")
    deleted: int = Field(description="How many events are gone.")


class ExportedEvent(EventRow):
    """Everything that is stored about one event."""

    source_rule_id: str
    browser: str
    os: str
    session_id: str
    event_id: str
    ip_hash: str = Field(
        description="Of the sender's address, under a secret of the day; empty where unknown."
    )
    origin: Origin = Field(description="Who handed it in.")
    received_at: str


class Exported(Output):
    ok: Literal[True]
    rows: list[ExportedEvent] = Field(description="Oldest first; possibly fewer than `limit`.")
    next_cursor: str = Field("", description="There until everything was shown: `cursor` of the next page.")


class EventsPage(Output):
    rows: list[EventRow]
    next_cursor: str = Field("", description="There when more events match: `cursor` of the next page.")


class StatsAnswer(Output):
    metric: Metric
    sampled: bool = Field(False, description="There, and true, when values are estimates (`sample=true`).")
    rows: list[StatsRow]


class SourcesAnswer(Output):
    breakdown: Literal["source_medium", "source"]
    rows: list[SourceRow]
