"""The resources the conformance suite reads by URI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fixture_content import PNG

from analytics.store import Answer
from mcp.resources import Resource
from mcp.templates import Template
from mcp.tool import Context


@dataclass(frozen=True, slots=True)
class Contents(Resource):
    """A resource that is no JSON: `read` gives the content itself."""

    async def content(self, context: Context) -> dict[str, Any]:
        return {"uri": self.uri, **await self.read(context)}


async def _text(_context: Context) -> Any:
    return {"mimeType": "text/plain", "text": "This is the content of the static text resource."}


async def _binary(_context: Context) -> Any:
    return {"mimeType": "image/png", "blob": PNG}


async def _filled(values: Mapping[str, str], _context: Context) -> Answer:
    return Answer([{"id": values["id"], "templateTest": True, "data": f"Data for ID: {values['id']}"}])


RESOURCES = (
    Contents("test://static-text", "static-text", "Text", "Fixture text.", _text),
    Contents("test://static-binary", "static-binary", "Image", "Fixture image.", _binary),
    Contents("test://watched-resource", "watched", "Watched", "Fixture to subscribe to.", _text),
)
TEMPLATES = (Template("test://template/{id}/data", "filled", "Filled in", "Fixture template.", _filled),)
