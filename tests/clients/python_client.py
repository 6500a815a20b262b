"""The official Python client as a program of its own: reads a job from stdin, prints what it saw."""

import asyncio
import json
import sys

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from mcp import Client  # not src/mcp: it runs where the official package is installed


async def outcome(awaitable, show):
    try:
        return show(await awaitable)
    except MCPError as error:
        return {"error": {"code": error.code, "message": error.message, "data": error.error.data}}


def called(result):
    return {
        "text": result.content[0].text,
        "structured": result.structured_content,
        "is_error": bool(result.is_error),
    }


async def main(job):
    headers = {"Authorization": f"Bearer {job['key']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(job["url"], http_client=http)
        async with Client(transport, mode=job["mode"]) as client:
            return {
                "version": client.protocol_version,
                "tools": [tool.name for tool in (await client.list_tools()).tools],
                "resources": [str(one.uri) for one in (await client.list_resources()).resources],
                "templates": len((await client.list_resource_templates()).resource_templates),
                "calls": [
                    await outcome(client.call_tool(tool, arguments), called)
                    for tool, arguments in job["calls"]
                ],
                "reads": [
                    await outcome(client.read_resource(uri), lambda result: {"text": result.contents[0].text})
                    for uri in job["reads"]
                ],
            }


print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
