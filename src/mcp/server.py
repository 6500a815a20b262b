"""Dispatch and answer: the JSON-RPC boundary. Whatever happens behind it, the client gets one well-formed reply."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from analytics.problems import InvalidArgumentsError, problems_of
from analytics.store import QueryTooHeavyError, ScopeWithdrawnError, StoreUnavailableError
from mcp.inbound import Accepted, Acknowledged, Batch, Rejected, RequestId, classify
from mcp.protocol import (
    INSTRUCTIONS,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    LEGACY_VERSIONS,
    META_SERVER,
    METHOD_NOT_FOUND,
    SERVER_INFO,
    SUPPORTED_VERSIONS,
    TOOL_FAILED,
    RpcError,
)
from mcp.resources import Resource
from mcp.tool import Context, Reading, Tool

Log = Callable[[str, BaseException], None]

#: How long a client may keep an answer of each method. Source: 2026-07-28, cacheable results.
_CACHE: Final[Mapping[str, tuple[int, str]]] = {
    "server/discover": (3_600_000, "public"),
    "tools/list": (300_000, "private"),
    "prompts/list": (300_000, "private"),
    "resources/list": (300_000, "private"),
    "resources/templates/list": (300_000, "private"),
    "resources/read": (0, "private"),
}
_CAPABILITIES: Final[dict[str, Any]] = {"tools": {}, "resources": {}, "prompts": {}}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP: a status and, unless nothing is owed, one JSON text."""

    status: int
    body: str | None


class McpServer:
    """One endpoint: its tools and resources behind the protocol. Holds no state between requests."""

    def __init__(
        self, tools: Sequence[Tool[Any]], resources: Sequence[Resource], instructions: str = INSTRUCTIONS
    ) -> None:
        self._instructions = instructions
        self._tools = {tool.name: tool for tool in tools}
        self._listings = {tool.name: tool.listing() for tool in tools}
        self._resources = {resource.uri: resource for resource in resources}
        self._legacy = {
            "initialize": self._initialize,
            "ping": self._ping,
            **(common := {
                "tools/list": self._list_tools,
                "tools/call": self._call_tool,
                "resources/list": self._list_resources,
                "resources/read": self._read_resource,
                "resources/templates/list": self._list_templates,
                "prompts/list": self._list_prompts,
            }),
        }  # fmt: skip
        self._modern = {"server/discover": self._discover, **common}

    async def answer(self, headers: Mapping[str, str], body: bytes, context: Context, log: Log) -> Reply:
        """The reply to one POST. `headers` have lower-case names.

        Errors: ScopeWithdrawnError, when the key was revoked meanwhile; everything else becomes a reply.
        """
        inbound = classify(headers, body)
        if isinstance(inbound, Acknowledged):
            return Reply(202, None)
        if isinstance(inbound, Rejected):
            return Reply(
                inbound.status, _json(_error(inbound.id, inbound.code, inbound.message, inbound.data))
            )
        if isinstance(inbound, Batch):
            return await self._answer_all(inbound, context, log)
        status, message = await self._answer_one(inbound, context, log)
        return Reply(status, _json(message))

    async def _answer_all(self, batch: Batch, context: Context, log: Log) -> Reply:
        messages = []
        for item in batch.items:
            if isinstance(item, Accepted):
                messages.append((await self._answer_one(item, context, log))[1])
            elif isinstance(item, Rejected):
                messages.append(_error(item.id, item.code, item.message, item.data))
        return Reply(200, _json(messages)) if messages else Reply(202, None)

    async def _answer_one(self, request: Accepted, context: Context, log: Log) -> tuple[int, dict[str, Any]]:
        methods = self._modern if request.era == "modern" else self._legacy
        method: Callable[[Accepted, Context, Log], Awaitable[dict[str, Any]]] | None = methods.get(
            request.method
        )
        try:
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, "method_not_found")
            result = await method(request, context, log)
        except RpcError as error:
            missing = error.code == METHOD_NOT_FOUND and request.era == "modern"
            return 404 if missing else 200, _error(request.id, error.code, error.message, error.data)
        except ScopeWithdrawnError:
            raise
        except Exception as error:
            log("mcp_failed", error)
            return 200, _error(request.id, INTERNAL_ERROR, "internal", {"request_id": context.request_id})
        return 200, {"jsonrpc": "2.0", "id": request.id, "result": _dressed(request, result)}

    async def _initialize(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        asked = request.params.get("protocolVersion")
        if not isinstance(asked, str):
            raise RpcError(INVALID_PARAMS, "invalid_params", {"detail": "protocolVersion must be a string"})
        return {
            "protocolVersion": asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[0],
            "capabilities": _CAPABILITIES,
            "serverInfo": SERVER_INFO,
            "instructions": self._instructions,
        }

    async def _discover(self, _request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        return {
            "supportedVersions": list(SUPPORTED_VERSIONS),
            "capabilities": _CAPABILITIES,
            "instructions": self._instructions,
        }

    async def _ping(self, _request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        return {}

    async def _list_tools(self, request: Accepted, context: Context, _log: Log) -> dict[str, Any]:
        _single_page(request)
        scopes = context.principal.scopes
        return {
            "tools": [self._listings[tool.name] for tool in self._tools.values() if tool.requires in scopes]
        }

    async def _list_resources(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        _single_page(request)
        return {"resources": [resource.listing() for resource in self._resources.values()]}

    async def _list_templates(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        _single_page(request)
        return {"resourceTemplates": []}

    async def _list_prompts(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        _single_page(request)
        return {"prompts": []}

    async def _read_resource(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        uri = request.params.get("uri")
        resource = self._resources.get(uri) if isinstance(uri, str) else None
        if resource is None:
            raise RpcError(INVALID_PARAMS, "unknown_resource", {"uri": str(uri)[:256]})
        rows = await _guarded(lambda: resource.read(context), context, log)
        return {"contents": [{"uri": resource.uri, "mimeType": "application/json", "text": _json(rows)}]}

    async def _call_tool(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        name, arguments = request.params.get("name"), request.params.get("arguments", {})
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise RpcError(INVALID_PARAMS, "unknown_tool", {"name": str(name)[:128]})
        if tool.requires not in context.principal.scopes:
            got = ",".join(sorted(context.principal.scopes))
            raise RpcError(TOOL_FAILED, "insufficient_scope", {"required": tool.requires, "got": got})
        try:
            question = tool.input.model_validate(
                {} if arguments is None else arguments, context={"now_ms": context.now_ms}
            )
        except ValidationError as error:
            return _invalid_arguments(error, tool)
        try:
            answer: Reading = await _guarded(lambda: tool.run(question, context), context, log)
        except InvalidArgumentsError as error:
            return _explained(error.problems)
        return {
            "content": [{"type": "text", "text": _json(answer.text)}],
            "structuredContent": answer.structured,
            "isError": False,
        }


async def _guarded(run: Callable[[], Awaitable[Any]], context: Context, log: Log) -> Any:
    """Runs a tool or reads a resource; what the store could not do becomes `tool_failed`, with what to do about it."""
    try:
        return await run()
    except QueryTooHeavyError as error:
        data = {"reason": "query_too_large", "retryable": False, "hint": "ask for a shorter window"}
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error
    except StoreUnavailableError as error:
        log("store_unavailable", error)
        data = {"reason": "store_unavailable", "retryable": True, "request_id": context.request_id}
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error
    except (RpcError, ScopeWithdrawnError, InvalidArgumentsError):
        raise
    except Exception as error:
        log("tool_failed", error)
        data = {"retryable": False, "request_id": context.request_id}
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error


def _invalid_arguments(error: ValidationError, tool: Tool[Any]) -> dict[str, Any]:
    """Bad arguments are a tool's answer, not a protocol error, so that the model sees them and can correct itself."""
    names = [field.alias or name for name, field in tool.input.model_fields.items()]
    return _explained(problems_of(error, names))


def _explained(problems: list[dict[str, Any]]) -> dict[str, Any]:
    explained = {"error": "invalid_arguments", "details": problems}
    return {"content": [{"type": "text", "text": _json(explained)}], "isError": True}


def _single_page(request: Accepted) -> None:
    """Every list is one page, so there is no cursor anyone could hold."""
    if request.params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "invalid_cursor")


def _dressed(request: Accepted, result: dict[str, Any]) -> dict[str, Any]:
    """The one place that adds what only modern results carry. Source: 2026-07-28, Results."""
    if request.era == "legacy":
        return result
    dressed = {"resultType": "complete", **result, "_meta": {META_SERVER: SERVER_INFO}}
    if request.method in _CACHE:
        ttl_ms, scope = _CACHE[request.method]
        dressed |= {"ttlMs": ttl_ms, "cacheScope": scope}
    return dressed


def _error(id_: RequestId, code: int, message: str, data: dict[str, Any] | None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
