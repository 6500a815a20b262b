"""`/mcp` and `/mcp/account` over HTTP: who may pass, cheapest checks first; then the protocol takes over."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from access.gate import Principal, Refusal, claimed_kind
from access.plans import Plan, PlanName
from access.token import Kind
from analytics.store import QuotaExceededError
from mcp.messages import Reply
from mcp.prompts import ACCOUNT_PROMPTS, PROJECT_PROMPTS
from mcp.protocol import ACCOUNT_INSTRUCTIONS
from mcp.resources import ACCOUNT_RESOURCES, PROJECT_RESOURCES
from mcp.server import McpServer
from mcp.templates import ACCOUNT_TEMPLATES, PROJECT_TEMPLATES
from mcp.tool import Context
from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
from web.bodies import MCP_BODY_BYTES, read_bytes, require_media_type
from web.house import House, past_quota
from web.messages import Request, Response, json_response, stream_response
from web.origins import cors, may_call_mcp, preflight


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One MCP endpoint: the kinds of key it takes, what it calls the others, the least plan that has it."""

    server: McpServer
    kinds: tuple[Kind, ...]
    wrong_kind: str
    included: Callable[[Plan], bool]
    least_plan: PlanName


#: One project, `rk_` and `sk_` keys, plan Pro and up. Source: contract.md §1, §3.
_PROJECT: Final = Endpoint(
    server=McpServer(PROJECT_TOOLS, PROJECT_RESOURCES, prompts=PROJECT_PROMPTS, templates=PROJECT_TEMPLATES),
    kinds=("rk", "sk"),
    wrong_kind="key_kind_not_allowed",
    included=lambda plan: plan.project_mcp,
    least_plan="pro",
)
#: Every project of an account, `ak_` keys, plan Business. Source: contract.md §1, §3.
_ACCOUNT: Final = Endpoint(
    server=McpServer(
        ACCOUNT_TOOLS, ACCOUNT_RESOURCES, ACCOUNT_INSTRUCTIONS, ACCOUNT_PROMPTS, ACCOUNT_TEMPLATES
    ),
    kinds=("ak",),
    wrong_kind="account_key_required",
    included=lambda plan: plan.account_mcp,
    least_plan="business",
)
ENDPOINTS: Final = {"/mcp": _PROJECT, "/mcp/account": _ACCOUNT}
_ANY_JSON: Final = frozenset({"application/json", "application/*", "*/*"})


async def serve(request: Request, house: House, endpoint: Endpoint) -> Response:
    """The response of an MCP endpoint, readable by the browsers that may call it."""
    origin = request.headers.get("origin")
    if not may_call_mcp(origin, request.url):
        return _forbidden_origin()
    headers = cors(origin) if origin else {}
    if request.method == "OPTIONS":
        return Response(204, "", dict(preflight(origin, "POST, OPTIONS")) if origin else {})
    try:
        return (await _serve(request, house, endpoint)).with_headers(headers)
    except Refusal as refusal:
        refusal.headers.update(headers)
        raise
    except QuotaExceededError as error:
        past = past_quota(error, house.now_ms())
        past.headers.update(headers)
        raise past from error


async def _serve(request: Request, house: House, endpoint: Endpoint) -> Response:
    if request.method != "POST":
        raise Refusal(405, "method_not_allowed", {"allowed": ["POST"]}, {"allow": "POST, OPTIONS"})
    authorization = request.headers.get("authorization")
    if claimed_kind(authorization) not in endpoint.kinds:
        raise Refusal(403, endpoint.wrong_kind, {"allowed": [f"{kind}_" for kind in endpoint.kinds]})
    principal = await house.admit(authorization)
    if not endpoint.included(principal.plan):
        raise Refusal(402, "plan_limit", {"plan": principal.plan.name, "required": endpoint.least_plan})
    await house.limits.admit("read", principal, house.now_ms())
    require_media_type(request, ("application/json",))
    _require_acceptable(request)
    body = await read_bytes(request, MCP_BODY_BYTES)
    reply = await endpoint.server.answer(
        request.headers, body, _context(request, house, principal), house.log
    )
    return _response(reply)


def _response(reply: Reply) -> Response:
    if reply.stream is not None:
        return stream_response(reply.status, _events(reply.stream))
    return json_response(reply.status, reply.body) if reply.body is not None else Response(reply.status)


async def _events(messages: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """Messages as server-sent events; JSON without line breaks needs one data line each."""
    async with aclosing(messages) as open_messages:
        async for message in open_messages:
            yield f"event: message\ndata: {message}\n\n"


def _context(request: Request, house: House, principal: Principal) -> Context:
    return Context(
        principal=principal,
        scope=principal.scope(),
        events=house.events,
        pages=house.pages,
        arrival=lambda: house.arrival(request, principal, "agent"),
        admit=lambda route: house.limits.admit(route, principal, house.now_ms()),
        erasures=house.erasures,
        now_ms=house.now_ms(),
        request_id=house.request_id,
        refused=lambda code: house.refused(request, code),
        calls=house.caller.calls,
    )


def _require_acceptable(request: Request) -> None:
    accepted = request.headers.get("accept")
    if accepted and not any(part.split(";")[0].strip().lower() in _ANY_JSON for part in accepted.split(",")):
        raise Refusal(406, "not_acceptable", {"allowed": ["application/json"]})


def _forbidden_origin() -> Response:
    """A JSON-RPC error without an id: nothing of the body has been read. Source: 2025-11-25, Transports, security."""
    error = {"code": -32600, "message": "origin_not_allowed"}
    return json_response(403, {"jsonrpc": "2.0", "error": error})
