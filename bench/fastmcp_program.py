"""The same tool on FastMCP, under uvicorn, on the database file through sqlite3.

Usage: fastmcp_program.py <sqlite file> <port> <statement, as JSON>
"""

import json
import sqlite3
import sys
from datetime import UTC, datetime
from typing import Annotated, Literal

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_headers
from pydantic import BaseModel, Field

DAY_S = 86_400
FILE, PORT, STATEMENT = sys.argv[1:]
QUERY = json.loads(STATEMENT)
DATABASE = sqlite3.connect(f"file:{FILE}?mode=ro", uri=True, check_same_thread=False)


class Source(BaseModel):
    source: str
    medium: str
    events: int
    uniques: int
    paid_share: float


server = FastMCP("rival")


@server.tool(description="Where events and visitors come from.")
async def top_sources(
    since: Annotated[str, Field(description="Start of the window, inclusive. ISO 8601.")],
    to: Annotated[str, Field(description="End of the window, exclusive. ISO 8601.")],
    breakdown: Literal["source_medium"] = "source_medium",
    limit: Annotated[int, Field(ge=1, le=200)] = 50,
) -> list[Source]:
    project = int(get_http_headers().get("x-project", "1"))
    values = {
        "projects": json.dumps([project]),
        "first": _day(since),
        "last": _day(to) - 1,
        "limit": limit + 1,
    }
    (found,) = DATABASE.execute(QUERY["sql"], [values[name] for name in QUERY["parameters"]]).fetchone()
    return [
        Source(source=source, medium=medium, events=events, uniques=uniques, paid_share=paid / events)
        for source, medium, events, uniques, paid in json.loads(found)[:limit]
    ]


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // DAY_S


application = server.http_app(stateless_http=True, json_response=True)
uvicorn.run(application, host="127.0.0.1", port=int(PORT), log_level="error", access_log=False)
