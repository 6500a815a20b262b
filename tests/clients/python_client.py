"""The official Python client as a program of its own: reads a job from stdin, prints what it saw."""

import asyncio
import json
import sys

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, PromptReference

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


async def call(client, tool, arguments):
    heard = []

    async def on_progress(progress, _total, _message):
        heard.append(progress)

    asked = client.call_tool(tool, arguments, progress_callback=on_progress)
    return await outcome(asked, called) | {"progress": heard}


def prompted(result):
    return {"text": result.messages[0].content.text}


def completed(result):
    return {"values": result.completion.values}


async def main(job):
    asked = []

    async def person(_context, params):
        asked.append(params.message)
        return ElicitResult(**job["person"])

    headers = {"Authorization": f"Bearer {job['key']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(job["url"], http_client=http)
        async with Client(
            transport, mode=job["mode"], elicitation_callback=person if "person" in job else None
        ) as client:
            return {
                "version": client.protocol_version,
                "asked": asked,
                "tools": [tool.name for tool in (await client.list_tools()).tools],
                "resources": [str(one.uri) for one in (await client.list_resources()).resources],
                "templates": len((await client.list_resource_templates()).resource_templates),
                "calls": [await call(client, tool, arguments) for tool, arguments in job["calls"]],
                "reads": [
                    await outcome(client.read_resource(uri), lambda result: {"text": result.contents[0].text})
                    for uri in job["reads"]
                ],
                "prompts": [prompt.name for prompt in (await client.list_prompts()).prompts],
                "prompted": [
                    await outcome(client.get_prompt(name, arguments), prompted)
                    for name, arguments in job.get("prompts", [])
                ],
                "completed": [
                    await outcome(
                        client.complete(PromptReference(name=name), {"name": argument, "value": value}),
                        completed,
                    )
                    for name, argument, value in job.get("completions", [])
                ],
            }


def messages(error):
    """What is said in an exception and in those it groups or was raised from."""
    parts = [*getattr(error, "exceptions", ()), *([error.__cause__] if error.__cause__ else [])]
    return " ".join([str(error), *map(messages, parts)])


try:
    report = asyncio.run(main(json.load(sys.stdin)))
except (MCPError, httpx2.HTTPError, ExceptionGroup) as error:
    report = {"refused": messages(error)}
print(json.dumps(report))
