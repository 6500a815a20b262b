"""`GET /openapi.json`: the HTTP interface as an OpenAPI 3.1 document, made from the models that serve the requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from analytics.relative import RELATIVE_FORMAT
from analytics.window import INSTANT_FORMAT
from mcp.protocol import SERVER_INFO
from mcp.schema import plain_schema
from web.messages import Request, Response
from web.rest import REST_ROUTES, RestRoute, only

#: The stable codes of a route's errors by status. Source: contract.md §2.
Codes = Mapping[int, tuple[str, ...]]

_EVERY_KEYED: Final[Codes] = {
    401: ("missing_bearer_token", "malformed_api_key", "invalid_api_key", "key_kind_mismatch"),
    403: ("insufficient_scope", "host_not_allowed"),
    405: ("method_not_allowed",),
    429: ("rate_limited",),
    500: ("internal_error",),
    502: ("upstream_failed",),
    503: ("not_configured", "overloaded"),
}
_BODIES: Final[Codes] = {
    400: ("invalid_payload",),
    413: ("payload_too_large",),
    415: ("unsupported_media_type", "unsupported_encoding"),
}
_INGEST: Final[Codes] = {
    402: ("plan_limit",),
    403: ("origin_not_allowed", "key_kind_not_allowed", "insufficient_scope", "host_not_allowed"),
}
_MCP: Final[Codes] = {
    402: ("plan_limit",),
    403: ("key_kind_not_allowed", "account_key_required", "host_not_allowed"),
    406: ("not_acceptable",),
}
_OWN: Final[Mapping[str, Codes]] = {
    "/v1/stats": {400: ("invalid_params", "invalid_group_by")},
    "/v1/forget": {
        403: ("forget_requires_secret_key", "insufficient_scope", "host_not_allowed"),
        500: ("internal_error", "forget_failed"),
    },
    "/v1/export": {403: ("export_requires_secret_key", "insufficient_scope", "host_not_allowed")},
}

_SAID: Final = {
    400: "The request is not valid; `details` says what would be.",
    401: "No key, or not a valid one.",
    402: "The account's plan does not include this, or its quota is used up.",
    403: "The key may not do this.",
    404: "No such method.",
    405: "Another method is meant; see `Allow`.",
    406: "The answer would be JSON.",
    413: "The body is too large.",
    415: "The body is of another type.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "A fault of the server; nothing of it is told but a request id.",
    502: "The store did not answer; asking again may succeed.",
    503: "The server lacks a secret, or has more to do than it can; `Retry-After` says when to come back.",
}
#: What the instructions of the MCP endpoints say of every tool.
_WINDOW: Final = {
    "from": f"Start, inclusive. {INSTANT_FORMAT}; {RELATIVE_FORMAT}.",
    "to": "End, exclusive: written as `from`.",
}
_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_BEARER: Final[list[dict[str, list[str]]]] = [{"key": []}]


def serve_openapi(request: Request) -> Response:
    """The document; it holds nothing of anybody's. Errors: Refusal 405."""
    headers = {
        "content-type": "application/json",
        "cache-control": "public, max-age=3600",
        "access-control-allow-origin": "*",
    }
    return only(request, "GET") or Response(200, _text(), headers)


@cache
def _text() -> str:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))


def document() -> dict[str, Any]:
    """The whole document."""
    rest = {path: {route.method.lower(): _operation(path, route)} for path, route in REST_ROUTES.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Millimetric",
            "version": SERVER_INFO["version"],
            "description": "Web analytics for AI agents: events in, answers out, over REST and MCP.",
        },
        "servers": [{"url": "/"}],
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`{kind}_{env}_{prefix}_{secret}`: pk_ browser, sk_ server, rk_ read, ak_ account.",
                }
            }
        },
        "paths": {**rest, **_mcp_paths(), **_public_paths()},
    }


def _operation(path: str, route: RestRoute) -> dict[str, Any]:
    takes_body = route.method == "POST"
    asked: Codes = _BODIES if takes_body else {400: ("invalid_params",)}
    ingest: Codes = _INGEST if route.takes_events else {}
    codes = {**_EVERY_KEYED, **asked, **ingest, **_OWN.get(path, {})}
    kinds = ", ".join(f"{kind}_" for kind in sorted(route.kinds))
    operation: dict[str, Any] = {
        "operationId": path.removeprefix("/v1/"),
        "summary": route.summary,
        "description": f"Takes {kinds} keys.",
        "security": _BEARER,
        "responses": {str(route.status): _answer("Done.", _given(route.gives)), **_errors(codes)},
    }
    if takes_body:
        text = {"type": "string", "contentMediaType": "application/json", "description": "The same as text."}
        accepted = plain_schema(route.asks, nullable=True)
        content = {"application/json": {"schema": accepted}, "text/plain": {"schema": text}}
        return operation | {"requestBody": {"required": True, "content": content}}
    return operation | {"parameters": _parameters(route.asks)}


def _parameters(question: type[BaseModel]) -> list[dict[str, Any]]:
    """The members of a question as query parameters; lists are written with commas."""
    schema = plain_schema(question)
    required = schema.get("required", [])
    return [_parameter(name, dict(one), name in required) for name, one in schema["properties"].items()]


def _parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    description = schema.pop("description", _WINDOW.get(name, ""))
    parameter = {"name": name, "in": "query", "required": required, "schema": schema}
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter | ({"description": description} if description else {})


def _given(model: type[BaseModel]) -> dict[str, Any]:
    """An answer's schema."""
    return plain_schema(model, mode="serialization")


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(codes: Codes) -> dict[str, Any]:
    return {str(status): _error(status, codes[status]) for status in sorted(codes)}


def _error(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    members: dict[str, Any] = {
        "error": {"type": "string", "enum": list(codes)},
        "details": {"type": "object"},
    }
    required = ["error"]
    if status == 429:
        members["retry_after_s"] = {"type": "integer", "description": "As `Retry-After`."}
        required.append("retry_after_s")
    schema = {"type": "object", "properties": members, "required": required, "additionalProperties": False}
    headers = {"headers": _RETRY} if status in (429, 502) else {}
    return _answer(_SAID[status], schema) | headers


def _mcp_paths() -> dict[str, Any]:
    said = {
        "/mcp": "MCP over one project; takes rk_, sk_ keys, plan Pro and up.",
        "/mcp/account": "MCP over every project of an account; takes ak_ keys, plan Business.",
    }
    return {path: {"post": _mcp_operation(path, text)} for path, text in said.items()}


def _mcp_operation(path: str, text: str) -> dict[str, Any]:
    """The envelope only: methods, tools and their schemas are what `tools/list` says."""
    message = {
        "type": "object",
        "required": ["jsonrpc", "method"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["string", "integer"]},
            "method": {"type": "string", "examples": ["tools/list", "tools/call"]},
            "params": {"type": "object"},
        },
    }
    reply: dict[str, Any] = {
        "type": ["object", "array"],
        "description": "One JSON-RPC reply, or those of a batch.",
    }
    rpc = _answer("A JSON-RPC error, or the request could not be read.", {"type": "object"})
    done = _answer("The JSON-RPC reply, an error of the method included.", reply)
    done["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    errors = _errors({**_EVERY_KEYED, **_BODIES, **_MCP})
    page = {"type": "object", "description": "The JSON-RPC error that a page of another site gets."}
    members = errors["403"]["content"]["application/json"]["schema"]["properties"]
    members |= {"error": {"anyOf": [members["error"], page]}, "jsonrpc": {"const": "2.0"}}
    return {
        "operationId": path.removeprefix("/").replace("/", "_"),
        "summary": text,
        "security": _BEARER,
        "requestBody": {"required": True, "content": {"application/json": {"schema": message}}},
        "responses": {
            **errors,
            "200": done,
            "202": {"description": "A notification was taken; there is no answer."},
            "400": rpc,
            "404": rpc,
        },
    }


def _public_paths() -> dict[str, Any]:
    script = {
        "200": {"description": "JavaScript.", "content": {"text/javascript": {"schema": {"type": "string"}}}},
        "304": {"description": "The script the client holds is current."},
    }
    health = {
        "type": "object",
        "properties": {"ok": {"const": True}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    described = _answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "paths"]})
    plain: dict[str, tuple[str, str, dict[str, Any]]] = {
        "/healthz": (
            "healthz",
            "Whether the server answers and its database is there.",
            {"200": _answer("It does.", health)},
        ),
        "/openapi.json": ("openapi", "This document.", {"200": described}),
        "/v1/a.js": ("script", "The script that websites embed.", script),
    }
    errors = _errors({403: ("host_not_allowed",), 405: ("method_not_allowed",), 503: ("not_configured",)})
    unhealthy = _errors({502: ("upstream_failed",), 503: ("not_configured", "not_ready", "overloaded")})
    plain["/healthz"][2].update(unhealthy)
    return {
        path: {
            "get": {
                "operationId": name,
                "summary": summary,
                "security": [],
                "responses": {**errors, **answers},
            }
        }
        for path, (name, summary, answers) in plain.items()
    }
