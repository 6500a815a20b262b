"""resources/list, resources/templates/list and resources/read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcp.boundary import MAX_ECHO, Method, guarded, single_page, text_param
from mcp.inbound import Accepted
from mcp.messages import Log
from mcp.protocol import INVALID_PARAMS, RpcError
from mcp.resources import Resource
from mcp.templates import Template
from mcp.tool import Context


class ResourceMethods:
    """The methods about some resources, and about templates for the URIs none of them has."""

    def __init__(self, resources: Sequence[Resource], templates: Sequence[Template]) -> None:
        self._resources = {resource.uri: resource for resource in resources}
        self._templates = tuple(templates)

    def methods(self) -> Mapping[str, Method]:
        return {
            "resources/list": self._list,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read,
        }

    async def _list(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        single_page(request)
        return {"resources": [resource.listing() for resource in self._resources.values()]}

    async def _list_templates(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        single_page(request)
        return {"resourceTemplates": [template.listing() for template in self._templates]}

    async def _read(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        uri = text_param(request, "uri")
        resource = self._resources.get(uri) or next(
            (made for template in self._templates if (made := template.resource(uri))), None
        )
        if resource is None:
            raise RpcError(INVALID_PARAMS, "unknown_resource", {"uri": uri[:MAX_ECHO]})
        found = resource
        return {"contents": [await guarded(lambda: found.content(context), context, log)]}
