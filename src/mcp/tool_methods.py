"""tools/list and tools/call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from analytics.problems import InvalidArgumentsError, problems_of
from mcp.boundary import MAX_ECHO, Method, guarded, single_page, text_param
from mcp.inbound import Accepted
from mcp.messages import Log, to_json
from mcp.protocol import INVALID_PARAMS, TOOL_FAILED, RpcError
from mcp.stream import beating
from mcp.tool import Context, Result, Tool


class ToolMethods:
    """The methods about some tools, which are listed in their order."""

    def __init__(self, tools: Sequence[Tool[Any]]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._listings = {tool.name: tool.listing() for tool in tools}

    def methods(self) -> Mapping[str, Method]:
        return {"tools/list": self._list, "tools/call": self._call}

    async def _list(self, request: Accepted, context: Context, _log: Log) -> dict[str, Any]:
        single_page(request)
        scopes = context.principal.scopes
        return {
            "tools": [self._listings[tool.name] for tool in self._tools.values() if tool.requires in scopes]
        }

    async def _call(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        tool = self._named(text_param(request, "name"), context)
        context.calls("tool", tool.name)
        try:
            question = _question(tool, request.params.get("arguments"), context)
            answer: Result = await guarded(lambda: _run(tool, question, context), context, log)
        except InvalidArgumentsError as error:
            context.refused("invalid_arguments")
            return _explained(error.problems)
        return answer.result()

    def _named(self, name: str, context: Context) -> Tool[Any]:
        """Errors: RpcError `unknown_tool`, `insufficient_scope`."""
        tool = self._tools.get(name)
        if tool is None:
            raise RpcError(INVALID_PARAMS, "unknown_tool", {"name": name[:MAX_ECHO]})
        if tool.requires not in context.principal.scopes:
            got = ",".join(sorted(context.principal.scopes))
            raise RpcError(TOOL_FAILED, "insufficient_scope", {"required": tool.requires, "got": got})
        return tool


def _question(tool: Tool[Any], arguments: Any, context: Context) -> Any:
    """The arguments as the tool takes them. Errors: InvalidArgumentsError."""
    given = {} if arguments is None else arguments
    try:
        return tool.input.model_validate(given, context={"now_ms": context.now_ms})
    except ValidationError as error:
        raise InvalidArgumentsError(problems_of(error, tool.input)) from error


async def _run(tool: Tool[Any], question: Any, context: Context) -> Result:
    running = tool.run(question, context)
    if tool.slow and context.progress_token is not None:
        return await beating(running, context, f"{tool.title}: reading events")
    return await running


def _explained(problems: list[dict[str, Any]]) -> dict[str, Any]:
    """Bad arguments are a tool's answer, not a protocol error: the model sees them and can correct itself."""
    explained = {"error": "invalid_arguments", "details": problems}
    return {"content": [{"type": "text", "text": to_json(explained)}], "isError": True}
