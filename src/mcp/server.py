"""Dispatch and answer: the JSON-RPC boundary. Whatever happens behind it, the client gets one whole reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from access.gate import Refusal
from analytics.store import QuotaExceededError, ScopeWithdrawnError
from mcp.boundary import Method, text_param
from mcp.inbound import Accepted, Acknowledged, Batch, Rejected, classify
from mcp.messages import Log, Message, Notify, Reply, error_message, to_json
from mcp.prompt_methods import PromptMethods
from mcp.prompts import Prompt
from mcp.protocol import (
    INSTRUCTIONS,
    INTERNAL_ERROR,
    LEGACY_VERSIONS,
    META_SERVER,
    META_SUBSCRIPTION,
    METHOD_NOT_FOUND,
    SERVER_INFO,
    STATUS,
    SUPPORTED_VERSIONS,
    TOOL_FAILED,
    RpcError,
)
from mcp.resource_methods import ResourceMethods
from mcp.resources import Resource
from mcp.stream import streamed, takes_stream, wants_progress
from mcp.templates import Template
from mcp.tool import Context, Tool
from mcp.tool_methods import ToolMethods

#: How long a client may keep an answer of each method. Source: 2026-07-28, cacheable results.
_CACHE: Final[Mapping[str, tuple[int, str]]] = {
    "server/discover": (3_600_000, "public"),
    "tools/list": (300_000, "private"),
    "prompts/list": (300_000, "private"),
    "resources/list": (300_000, "private"),
    "resources/templates/list": (300_000, "private"),
    "resources/read": (0, "private"),
}
_CAPABILITIES: Final[dict[str, Any]] = {"tools": {}, "resources": {}, "prompts": {}, "completions": {}}


class McpServer:
    """One endpoint: what it serves, behind the protocol. Holds no state between requests."""

    def __init__(
        self,
        tools: Sequence[Tool[Any]],
        resources: Sequence[Resource],
        instructions: str = INSTRUCTIONS,
        prompts: Sequence[Prompt] = (),
        templates: Sequence[Template] = (),
    ) -> None:
        self._instructions = instructions
        common: dict[str, Method] = {
            **ToolMethods(tools).methods(),
            **ResourceMethods(resources, templates).methods(),
            **PromptMethods(prompts, templates).methods(),
        }
        self.methods: dict[str, dict[str, Method]] = {
            "legacy": {"initialize": self._initialize, "ping": _ping, **common},
            "modern": {"server/discover": self._discover, "subscriptions/listen": _listen, **common},
        }

    async def answer(self, headers: Mapping[str, str], body: bytes, context: Context, log: Log) -> Reply:
        """The reply to one POST. `headers` have lower-case names.

        Errors: ScopeWithdrawnError, when the key was revoked meanwhile; QuotaExceededError and Refusal, which HTTP answers;
        everything else becomes a reply.
        """
        inbound = classify(headers, body)
        if isinstance(inbound, Acknowledged):
            return Reply(202)
        if isinstance(inbound, Rejected):
            context.refused(inbound.message)
            return Reply(inbound.status, to_json(_rejection(inbound)))
        if isinstance(inbound, Batch):
            return await self._answer_all(inbound, context, log)
        if self.may_speak_first(inbound) and takes_stream(headers):
            return await self._answer_or_stream(inbound, context, log)
        status, message = await self._answer_one(inbound, context, log)
        return Reply(status, to_json(message))

    def may_speak_first(self, request: Accepted) -> bool:
        """Whether anything can be said ahead of the answer: only then is it worth waiting for both at once."""
        return request.method == "subscriptions/listen" or wants_progress(request)

    async def _answer_all(self, batch: Batch, context: Context, log: Log) -> Reply:
        messages = []
        for item in batch.items:
            if isinstance(item, Accepted):
                messages.append((await self._answer_one(item, context, log))[1])
            elif isinstance(item, Rejected):
                messages.append(_rejection(item))
        return Reply(200, to_json(messages)) if messages else Reply(202)

    async def _answer_or_stream(self, request: Accepted, context: Context, log: Log) -> Reply:
        async def run(notify: Notify) -> tuple[int, Message]:
            return await self._answer_one(request, replace(context, notify=notify), log)

        return await streamed(run, error_message(request.id, TOOL_FAILED, "invalid_api_key", None))

    async def _answer_one(self, request: Accepted, context: Context, log: Log) -> tuple[int, Message]:
        method = self.methods[request.era].get(request.method)
        try:
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, "method_not_found")
            context.calls("rpc", request.method)
            result = await method(request, replace(context, request=request), log)
        except RpcError as error:
            context.refused(error.message)
            status = STATUS[request.era].get(error.code, 200)
            return status, error_message(request.id, error.code, error.message, error.data)
        except (ScopeWithdrawnError, QuotaExceededError, Refusal):
            raise
        except Exception as error:
            log("mcp_failed", error)
            data = {"request_id": context.request_id}
            return 200, error_message(request.id, INTERNAL_ERROR, "internal", data)
        return 200, {"jsonrpc": "2.0", "id": request.id, "result": _dressed(request, result)}

    async def _initialize(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        asked = text_param(request, "protocolVersion")
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


async def _ping(_request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
    return {}


async def _listen(request: Accepted, context: Context, _log: Log) -> dict[str, Any]:
    """Nothing here changes while a client waits: the subscription is acknowledged, empty, and over.

    Source: specification 2026-07-28, subscriptions/listen.
    """
    marked = {"_meta": {META_SUBSCRIPTION: request.id}}
    if context.notify is not None:
        await context.notify("notifications/subscriptions/acknowledged", {**marked, "notifications": {}})
    return marked


def _dressed(request: Accepted, result: dict[str, Any]) -> dict[str, Any]:
    """The one place that adds what only modern results carry. Source: 2026-07-28, Results."""
    if request.era == "legacy":
        return result
    meta = {**result.get("_meta", {}), META_SERVER: SERVER_INFO}
    dressed = {"resultType": "complete", **result, "_meta": meta}
    if request.method in _CACHE and dressed["resultType"] == "complete":
        ttl_ms, scope = _CACHE[request.method]
        dressed |= {"ttlMs": ttl_ms, "cacheScope": scope}
    return dressed


def _rejection(rejected: Rejected) -> Message:
    return error_message(rejected.id, rejected.code, rejected.message, rejected.data)
