"""Raw HTTP requests to an MCP endpoint and what each is answered with: the ladder, rung by rung, first failure wins.

Source: the specification's Transports and Versioning pages of 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28;
JSON-RPC 2.0 §5; `KEY` stands for a live read key.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

ABSENT: Final = object()
#: Any text, number or object, as long as it is there.
PRESENT: Final = object()

NEW: Final = "2026-07-28"
OLD: Final = "2025-11-25"
ALL: Final = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
META: Final = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": {"name": "ladder", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Case:
    """One request. `says` maps a path in the answer (`error.code`, `0.id`) to its value; None = an empty body."""

    name: str
    body: bytes
    status: int
    says: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)
    verb: str = "POST"
    given: dict[str, str] = field(default_factory=dict)


def legacy(name: str, message: Any, status: int, says: dict[str, Any] | None, **headers: str | None) -> Case:
    """A JSON body and the headers of a plain curl; `mcp_protocol_version="…"` adds one, None removes one."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Case(name, body, status, says, _headers({"accept": "*/*"}, headers))


def modern(
    name: str,
    method: str,
    status: int,
    says: dict[str, Any] | None,
    params: dict[str, Any] | None = None,
    meta: Any = META,
    id_: Any = 7,
    **headers: str | None,
) -> Case:
    """A request of 2026-07-28 with the headers it needs, then changed by `meta` and `headers`."""
    given = dict(params or {}) | ({} if meta is None else {"_meta": meta})
    message = {"jsonrpc": "2.0", "id": id_, "method": method, "params": given}
    named = given.get("uri" if method == "resources/read" else "name")
    usual = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": NEW,
        "mcp-method": method,
    }
    if isinstance(named, str):
        usual["mcp-name"] = named
    return Case(name, json.dumps(message).encode(), status, says, _headers(usual, headers))


def _headers(usual: dict[str, str], changed: dict[str, str | None]) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    merged = {"content-type": "application/json", "authorization": "Bearer KEY", **usual, **named}
    return {name: value for name, value in merged.items() if value is not None}


def call(method: str, params: Any = None, id_: Any = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": id_, "method": method}
    return message if params is None else {**message, "params": params}


def refused(code: int, message: str, id_: Any = None, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error.code": code, "error.message": message} | {
        f"error.data.{name}": value for name, value in data.items()
    }


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in META.items() if not name.endswith(key)}


def encoded(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


VERSION = "io.modelcontextprotocol/protocolVersion"
INIT = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
STATS = {"name": "get_stats", "arguments": {"from": "2026-05-01", "to": "2026-06-01"}}

#: What only modern results carry.
PLAIN = {
    "result.resultType": ABSENT,
    "result._meta": ABSENT,
    "result.ttlMs": ABSENT,
    "result.cacheScope": ABSENT,
}
DRESSED = {
    "result.resultType": "complete",
    "result._meta.io.modelcontextprotocol/serverInfo.name": "millimetric",
}

EDGE = [
    Case(
        "GET is not offered",
        b"",
        405,
        {"error": "method_not_allowed"},
        {"authorization": "Bearer KEY"},
        "GET",
        {"allow": "POST"},
    ),
    Case(
        "DELETE is not offered",
        b"",
        405,
        {"error": "method_not_allowed"},
        {"authorization": "Bearer KEY"},
        "DELETE",
        {"allow": "POST"},
    ),
    legacy(
        "a body that is no JSON by its type",
        call("ping"),
        415,
        {"error": "unsupported_media_type"},
        content_type="text/plain",
    ),
    legacy(
        "JSON with a charset",
        call("ping"),
        200,
        {"result": {}},
        content_type="application/json; charset=utf-8",
    ),
    legacy(
        "an Accept that admits no JSON", call("ping"), 406, {"error": "not_acceptable"}, accept="text/html"
    ),
    legacy(
        "an Accept of the event stream alone",
        call("ping"),
        406,
        {"error": "not_acceptable"},
        accept="text/event-stream",
    ),
    legacy("an Accept by family", call("ping"), 200, {"result": {}}, accept="text/html, application/*;q=0.5"),
    legacy("no Accept at all", call("ping"), 200, {"result": {}}, accept=None),
    legacy("a body over 64 KB", b'{"a":"' + b"x" * 65_536 + b'"}', 413, {"error": "payload_too_large"}),
    legacy("no key", call("ping"), 401, {"error": "missing_bearer_token"}, authorization=None),
    legacy(
        "an Origin of a stranger",
        call("ping"),
        403,
        {"error.message": "origin_not_allowed", "id": ABSENT},
        origin="https://evil.example.com",
    ),
    legacy("an opaque Origin", call("ping"), 403, {"error.message": "origin_not_allowed"}, origin="null"),
    legacy("an Origin of this machine", call("ping"), 200, {"result": {}}, origin="http://localhost:6274"),
    legacy(
        "a session id and a last event id are ignored",
        call("ping"),
        200,
        {"result": {}},
        mcp_session_id="s",
        last_event_id="1",
    ),
]

ENVELOPE = [
    legacy("broken JSON", b'{"jsonrpc":"2.0",', 400, refused(-32700, "parse_error")),
    legacy("an empty body", b"", 400, refused(-32700, "parse_error")),
    legacy("bytes that are not UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"p\xffing"}', 400, refused(-32700, "parse_error")),
    legacy("a number", 5, 400, refused(-32600, "invalid_request")),
    legacy("no jsonrpc member, the id is kept", {"id": 3, "method": "ping"}, 400, refused(-32600, "invalid_request", 3)),
    legacy("another jsonrpc version", {"jsonrpc": "1.0", "id": 3, "method": "ping"}, 400, refused(-32600, "invalid_request", 3)),
    legacy("a method that is no text", {"jsonrpc": "2.0", "id": 3, "method": 5}, 400, refused(-32600, "invalid_request", 3)),
    legacy("no method", {"jsonrpc": "2.0", "id": 3}, 400, refused(-32600, "invalid_request", 3)),
    legacy("params that are a list", call("ping", [1]), 400, refused(-32600, "invalid_request", 1)),
    legacy("an id of null", call("ping", id_=None), 400, refused(-32600, "invalid_request")),
    legacy("an id of true", call("ping", id_=True), 400, refused(-32600, "invalid_request")),
    legacy("a fractional id", call("ping", id_=1.5), 400, refused(-32600, "invalid_request")),
    legacy("a text id comes back as text", call("ping", id_="1"), 200, {"id": "1", "result": {}}),
    legacy("a number id comes back as a number", call("ping", id_=0), 200, {"id": 0, "result": {}}),
    legacy("nesting beyond 32 levels", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 40 + b"]" * 40 + b"}}", 400, refused(-32600, "invalid_request", reason="too_deep")),
    legacy("a notification", {"jsonrpc": "2.0", "method": "notifications/initialized"}, 202, None),
    legacy("an unknown notification", {"jsonrpc": "2.0", "method": "notifications/whatever", "params": {}}, 202, None),
    legacy("a notification of a version that does not exist", {"jsonrpc": "2.0", "method": "notifications/initialized"}, 400, refused(-32022, "unsupported_protocol_version", requested="1999-01-01"), mcp_protocol_version="1999-01-01"),
    legacy("a request method without an id", {"jsonrpc": "2.0", "method": "tools/list"}, 400, refused(-32600, "invalid_request")),
    legacy("a response nobody asked for", {"jsonrpc": "2.0", "id": 1, "result": {}}, 202, None, mcp_protocol_version=OLD),
    legacy("a response at the newest revision", {"jsonrpc": "2.0", "id": 1, "result": {}}, 400, refused(-32600, "invalid_request", 1), mcp_protocol_version=NEW),
]  # fmt: skip

LEGACY = [
    *(
        legacy(f"initialize at {version}", call("initialize", {**INIT, "protocolVersion": version}), 200, PLAIN | {"result.protocolVersion": version, "result.serverInfo.name": "millimetric", "result.capabilities.tools": {}})
        for version in ALL[1:]
    ),
    legacy("initialize at a version of the other era", call("initialize", {**INIT, "protocolVersion": NEW}), 200, {"result.protocolVersion": OLD}),
    legacy("initialize at a version that does not exist", call("initialize", {**INIT, "protocolVersion": "tomorrow"}), 200, {"result.protocolVersion": OLD}),
    legacy("initialize without a version", call("initialize", {"capabilities": {}}), 200, refused(-32602, "invalid_params", 1)),
    legacy("initialize ignores its version header", call("initialize", INIT), 200, {"result.protocolVersion": OLD}, mcp_protocol_version="1999-01-01"),
    legacy("a call of curl, without any version", call("tools/call", STATS), 200, PLAIN | {"result.isError": False, "result.structuredContent.metric": "count"}),
    legacy("a call at 2025-11-25", call("tools/call", STATS), 200, PLAIN | {"result.isError": False}, mcp_protocol_version=OLD),
    legacy("white space around a header", call("ping"), 200, {"result": {}}, mcp_protocol_version=f" {OLD}\t"),
    legacy("a version that does not exist", call("tools/list"), 400, refused(-32022, "unsupported_protocol_version", 1, supported=ALL, requested="1999-01-01"), mcp_protocol_version="1999-01-01"),
    legacy("an unknown method", call("no/such"), 200, refused(-32601, "method_not_found", 1), mcp_protocol_version=OLD),
    legacy("a method of the other era", call("server/discover"), 200, refused(-32601, "method_not_found", 1), mcp_protocol_version=OLD),
    legacy("logging is not offered", call("logging/setLevel", {"level": "info"}), 200, refused(-32601, "method_not_found", 1), mcp_protocol_version=OLD),
    legacy("subscriptions are not offered", call("resources/subscribe", {"uri": "events://recent"}), 200, refused(-32601, "method_not_found", 1), mcp_protocol_version=OLD),
    legacy("an unknown tool", call("tools/call", {"name": "nope"}), 200, refused(-32602, "unknown_tool", 1, name="nope")),
    legacy("an unknown resource", call("resources/read", {"uri": "events://x/y"}), 200, {"error": {"code": -32602, "message": "unknown_resource", "data": {"uri": "events://x/y"}}}),
    legacy("a cursor nobody gave out", call("tools/list", {"cursor": "x"}), 200, refused(-32602, "invalid_cursor", 1)),
    legacy("bad arguments are an answer of the tool", call("tools/call", {"name": "get_stats", "arguments": {}}), 200, {"result.isError": True, "error": ABSENT}),
    legacy("arguments that are no object", call("tools/call", {"name": "get_stats", "arguments": 5}), 200, {"result.isError": True}),
    legacy("a tool beyond the key's scope", call("tools/call", {"name": "track_event", "arguments": {"event": "a"}}), 200, refused(-32000, "insufficient_scope", 1, required="ingest", got="read")),
]  # fmt: skip

BATCH = [
    legacy("a batch without a version", [call("ping", id_=1), {"jsonrpc": "2.0", "method": "notifications/x"}, call("no", id_="b")], 200, {"0.id": 1, "0.result": {}, "1.id": "b", "1.error.code": -32601, "2": ABSENT}),
    legacy("a batch at 2025-03-26", [call("ping")], 200, {"0.result": {}}, mcp_protocol_version="2025-03-26"),
    legacy("a batch with initialize", [call("initialize", INIT)], 200, {"0.error.code": -32600, "0.id": 1}),
    legacy("a batch of notifications", [{"jsonrpc": "2.0", "method": "notifications/x"}], 202, None),
    legacy("an empty batch", [], 400, refused(-32600, "invalid_request")),
    legacy("a batch of 101", [call("ping")] * 101, 400, refused(-32600, "invalid_request")),
    legacy("a batch at 2025-06-18", [call("ping")], 400, refused(-32600, "invalid_request"), mcp_protocol_version="2025-06-18"),
    legacy("a batch at 2026-07-28", [call("ping")], 400, refused(-32600, "invalid_request"), mcp_protocol_version=NEW),
]  # fmt: skip

MODERN = [
    modern("discover", "server/discover", 200, DRESSED | {"id": 7, "result.supportedVersions": ALL, "result.capabilities.tools": {}, "result.ttlMs": PRESENT, "result.cacheScope": "public", "result.serverInfo": ABSENT}),
    modern("a list carries its cache hints", "tools/list", 200, DRESSED | {"result.ttlMs": PRESENT, "result.cacheScope": "private"}),
    modern("a call carries none", "tools/call", 200, DRESSED | {"result.isError": False, "result.ttlMs": ABSENT}, STATS),
    modern("bad arguments are an answer of the tool in this era too", "tools/call", 200, DRESSED | {"result.isError": True}, {"name": "get_stats"}),
    modern("a client that does not name itself", "tools/list", 200, DRESSED, meta=without("clientInfo")),
    modern("a client that names itself wrongly", "tools/list", 400, refused(-32602, "invalid_params", 7), meta={**META, "io.modelcontextprotocol/clientInfo": {"name": "c"}}),
    modern("no _meta", "tools/list", 400, refused(-32602, "invalid_params", 7), meta=None),
    modern("a _meta that is no object", "tools/list", 400, refused(-32602, "invalid_params", 7), meta=5),
    modern("no version in _meta", "tools/list", 400, refused(-32602, "invalid_params", 7), meta=without("protocolVersion")),
    modern("a version in _meta that is no text", "tools/list", 400, refused(-32602, "invalid_params", 7), meta={**META, VERSION: 5}),
    modern("no capabilities in _meta", "tools/list", 400, refused(-32602, "invalid_params", 7), meta=without("clientCapabilities")),
    modern("no version header", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_protocol_version=None),
    modern("a version header that differs", "tools/list", 400, refused(-32020, "header_mismatch", 7), meta={**META, VERSION: "v999"}),
    modern("a duplicated version header, folded", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_protocol_version=f"{NEW}, {NEW}"),
    modern("a version of tomorrow", "tools/list", 400, refused(-32022, "unsupported_protocol_version", 7, supported=ALL, requested="2099-01-01"), meta={**META, VERSION: "2099-01-01"}, mcp_protocol_version="2099-01-01"),
    modern("no Mcp-Method", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_method=None),
    modern("another Mcp-Method", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_method="tools/call"),
    modern("a Mcp-Method in another case", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_method="Tools/List"),
    modern("white space around Mcp-Method", "tools/list", 200, DRESSED, mcp_method=" tools/list "),
    modern("no Mcp-Name", "tools/call", 400, refused(-32020, "header_mismatch", 7), STATS, mcp_name=None),
    modern("another Mcp-Name", "tools/call", 400, refused(-32020, "header_mismatch", 7), STATS, mcp_name="funnel"),
    modern("an encoded Mcp-Name", "resources/read", 200, DRESSED | {"result.ttlMs": PRESENT}, {"uri": "events://recent"}, mcp_name=encoded("events://recent")),
    modern("an encoded Mcp-Name of something else", "resources/read", 400, refused(-32020, "header_mismatch", 7), {"uri": "events://recent"}, mcp_name=encoded("events://other")),
    modern("a Mcp-Name whose padding is missing", "resources/read", 400, refused(-32020, "header_mismatch", 7), {"uri": "events://x"}, mcp_name=encoded("events://x").replace("==?=", "?=")),
    modern("a call without a name is a matter of params", "tools/call", 200, refused(-32602, "invalid_params", 7), {"arguments": {}}),
    modern("an unknown method in this era", "no/such", 404, refused(-32601, "method_not_found", 7)),
    modern("ping belongs to the other era", "ping", 404, refused(-32601, "method_not_found", 7)),
    modern("so does initialize", "initialize", 404, refused(-32601, "method_not_found", 7), INIT),
    modern("and logging", "logging/setLevel", 404, refused(-32601, "method_not_found", 7), {"level": "info"}),
    modern("and subscribing to a resource", "resources/subscribe", 404, refused(-32601, "method_not_found", 7), {"uri": "events://recent"}),
    modern("an unknown tool in this era", "tools/call", 200, refused(-32602, "unknown_tool", 7, name="nope"), {"name": "nope"}),
    modern("an unknown resource in this era", "resources/read", 200, {"error": {"code": -32602, "message": "unknown_resource", "data": {"uri": "a://b"}}}, {"uri": "a://b"}),
    modern("a scope in this era", "tools/call", 200, refused(-32000, "insufficient_scope", 7, required="ingest", got="read"), {"name": "track_event", "arguments": {"event": "a"}}),
    modern("an envelope of an older version, without a header, is legacy", "tools/list", 200, PLAIN, meta={**META, VERSION: OLD}, mcp_protocol_version=None, mcp_method=None),
    modern("an envelope with an older header contradicts itself", "tools/list", 400, refused(-32020, "header_mismatch", 7), mcp_protocol_version=OLD),
]  # fmt: skip

CASES: Final = [*EDGE, *ENVELOPE, *LEGACY, *BATCH, *MODERN]
