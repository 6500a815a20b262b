"""The core with the methods of the older era that only the suite asks for."""

from __future__ import annotations

from typing import Any

from mcp.inbound import Accepted
from mcp.messages import Log
from mcp.server import McpServer
from mcp.tool import Context


class FixtureServer(McpServer):
    """Takes a log level and subscriptions, and forgets them: nothing here changes, so nothing is ever owed."""

    def __init__(self, *served: Any, **named: Any) -> None:
        super().__init__(*served, **named)
        for method in ("logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
            self.methods["legacy"][method] = _taken

    def may_speak_first(self, request: Accepted) -> bool:
        """The suite's tools log whether or not anybody asked."""
        return True


async def _taken(_request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
    return {}
