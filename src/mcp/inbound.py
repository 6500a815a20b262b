"""Pure: headers and body to an accepted request, or to a rejection value. Both eras, first failure wins.

Source: mcp-protocol.md §2.2, the server ladder; statuses from §1.5.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics.intake import MalformedJsonError, RefusedJsonError, parse_json
from mcp.protocol import (
    ASSUMED_VERSION,
    BATCH_VERSION,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LEGACY_VERSIONS,
    MAX_BATCH,
    META_CAPABILITIES,
    META_CLIENT,
    META_VERSION,
    METHOD_HEADER,
    MODERN_VERSIONS,
    NAME_HEADER,
    PARSE_ERROR,
    SUPPORTED_VERSIONS,
    UNSUPPORTED_VERSION,
    VERSION_HEADER,
    Era,
)

RequestId = str | int | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request to dispatch. `version` is the revision it is answered in."""

    era: Era
    version: str
    id: str | int
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A notification, or a response that nobody asked for: 202 and no body."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is answered with a JSON-RPC error and nothing else."""

    status: int
    code: int
    message: str
    id: RequestId = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Several legacy messages in one array, each classified on its own."""

    items: tuple[Accepted | Acknowledged | Rejected, ...]


Inbound = Accepted | Acknowledged | Rejected | Batch

#: Methods that only make sense with an answer: without an id they are refused, not silently dropped.
REQUEST_METHODS: Final = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "subscriptions/listen",
    }
)
#: The parameter that `Mcp-Name` repeats. Source: 2026-07-28, Transports, required headers.
NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

MAX_ID_LENGTH: Final = 256
_ENCODED: Final = re.compile(r"=\?base64\?([A-Za-z0-9+/]*={0,2})\?=", re.ASCII)


def classify(headers: Mapping[str, str], body: bytes) -> Inbound:
    """What a POST to an MCP endpoint asks for. `headers` have lower-case names."""
    version = _header(headers, VERSION_HEADER)
    try:
        message = parse_json(body)
    except MalformedJsonError:
        return Rejected(400, PARSE_ERROR, "parse_error")
    except RefusedJsonError as error:
        return Rejected(
            400, INVALID_REQUEST, "invalid_request", data={"reason": error.code, "detail": str(error)}
        )
    if isinstance(message, list):
        return _batch(headers, version, message)
    return _single(headers, version, message)


def _batch(headers: Mapping[str, str], version: str | None, messages: list[Any]) -> Inbound:
    if (version or ASSUMED_VERSION) != BATCH_VERSION:
        return _invalid(None, "batches are taken only at protocol version 2025-03-26")
    if not 1 <= len(messages) <= MAX_BATCH:
        return _invalid(None, f"a batch holds 1 to {MAX_BATCH} messages")
    items: list[Accepted | Acknowledged | Rejected] = []
    for message in messages:
        if isinstance(message, dict) and message.get("method") == "initialize":
            items.append(_invalid(_readable_id(message), "initialize may not be part of a batch"))
        else:
            items.append(_single(headers, version, message))
    return Batch(tuple(items))


def _single(
    headers: Mapping[str, str], version: str | None, message: Any
) -> Accepted | Acknowledged | Rejected:
    rejected = _not_json_rpc(message)
    if rejected:
        return rejected
    if "method" not in message:
        if version in MODERN_VERSIONS:
            return _invalid(_readable_id(message), "clients do not send responses")
        return Acknowledged()
    if "id" not in message:
        return _notification(version, message)
    if not _valid_id(message["id"]):
        return _invalid(None, "id must be a string of at most 256 characters or an integer")
    return _request(headers, version, message)


def _not_json_rpc(message: Any) -> Rejected | None:
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return _invalid(_readable_id(message), 'a message is an object with "jsonrpc": "2.0"')
    if "method" in message:
        if not isinstance(message["method"], str):
            return _invalid(_readable_id(message), "method must be a string")
        if not isinstance(message.get("params", {}), dict):
            return _bad_params(message)
        return None
    if "result" in message or "error" in message:
        return None
    return _invalid(_readable_id(message), "method is missing")


def _bad_params(message: dict[str, Any]) -> Rejected:
    """A call with params of the wrong type is a request whose params are invalid; it keeps its id."""
    return Rejected(
        400, INVALID_REQUEST, "invalid_request", _readable_id(message), {"detail": "params must be an object"}
    )


def _notification(version: str | None, message: dict[str, Any]) -> Acknowledged | Rejected:
    if message["method"] in REQUEST_METHODS:
        return _invalid(None, "this method is a request and needs an id")
    if version is not None and version not in SUPPORTED_VERSIONS:
        return _unsupported(None, version)
    return Acknowledged()


def _request(headers: Mapping[str, str], version: str | None, message: dict[str, Any]) -> Accepted | Rejected:
    method, params = message["method"], message.get("params", {})
    meta = params.get("_meta")
    claim = meta.get(META_VERSION) if isinstance(meta, dict) else None
    legacy_header = version is None or version in LEGACY_VERSIONS
    if claim in LEGACY_VERSIONS and legacy_header:
        return Accepted("legacy", version or ASSUMED_VERSION, message["id"], method, params)
    if method == "initialize" and claim is None and version not in MODERN_VERSIONS:
        return Accepted("legacy", ASSUMED_VERSION, message["id"], method, params)
    if claim is None and legacy_header:
        return Accepted("legacy", version or ASSUMED_VERSION, message["id"], method, params)
    fault = _modern_fault(headers, version, meta, claim, method, params)
    if fault is None:
        return Accepted("modern", claim or "", message["id"], method, params)
    code, detail = fault
    if code == UNSUPPORTED_VERSION:
        return _unsupported(message["id"], detail)
    name = "header_mismatch" if code == HEADER_MISMATCH else "invalid_params"
    return Rejected(400, code, name, message["id"], {"detail": detail})


def _modern_fault(
    headers: Mapping[str, str],
    version: str | None,
    meta: Any,
    claim: Any,
    method: str,
    params: dict[str, Any],
) -> tuple[int, str] | None:
    """The first rule of 2026-07-28 that a request breaks: its code, and what would be right."""
    if claim is None and version is not None and version not in SUPPORTED_VERSIONS:
        return UNSUPPORTED_VERSION, version
    if not isinstance(meta, dict) or not isinstance(claim, str):
        return INVALID_PARAMS, f"params._meta needs {META_VERSION}, a string"
    if not isinstance(meta.get(META_CAPABILITIES), dict):
        return INVALID_PARAMS, f"params._meta needs {META_CAPABILITIES}, an object"
    if META_CLIENT in meta and not _named_and_versioned(meta[META_CLIENT]):
        return INVALID_PARAMS, f"params._meta {META_CLIENT} needs name and version, both strings"
    if version is None:
        return HEADER_MISMATCH, "the header MCP-Protocol-Version is missing"
    if version != claim:
        return HEADER_MISMATCH, "the header MCP-Protocol-Version differs from params._meta"
    if version not in MODERN_VERSIONS:
        return UNSUPPORTED_VERSION, version
    if _header(headers, METHOD_HEADER) != method:
        return HEADER_MISMATCH, "the header Mcp-Method must equal the method"
    name = params.get(NAMED_BY.get(method, ""))
    if isinstance(name, str) and _decoded(_header(headers, NAME_HEADER)) != name:
        return HEADER_MISMATCH, f"the header Mcp-Name must equal params.{NAMED_BY[method]}"
    return None


def _named_and_versioned(client: Any) -> bool:
    return isinstance(client, dict) and all(isinstance(client.get(part), str) for part in ("name", "version"))


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value; the runtime leaves the white space around it that HTTP says to ignore."""
    value = headers.get(name)
    return None if value is None else value.strip(" \t")


def _decoded(value: str | None) -> str | None:
    """A header value that may be `=?base64?…?=`; None when it is not what an encoder would have written."""
    match = _ENCODED.fullmatch(value) if value is not None else None
    if match is None:
        return value
    try:
        raw = base64.b64decode(match[1], validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == match[1] else None
    except (binascii.Error, ValueError):
        return None


def _valid_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ID_LENGTH
    return isinstance(value, int) and not isinstance(value, bool)


def _readable_id(message: Any) -> RequestId:
    value = message.get("id") if isinstance(message, dict) else None
    return value if value is not None and _valid_id(value) else None


def _invalid(id_: RequestId, detail: str) -> Rejected:
    return Rejected(400, INVALID_REQUEST, "invalid_request", id_, {"detail": detail})


def _unsupported(id_: RequestId, requested: str) -> Rejected:
    data = {"supported": list(SUPPORTED_VERSIONS), "requested": requested[:64]}
    return Rejected(400, UNSUPPORTED_VERSION, "unsupported_protocol_version", id_, data)
