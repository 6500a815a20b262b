"""Good requests to be spoilt, and what spoils them (tests/test_fuzz.py)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WINDOW = {"from": "2026-05-01", "to": "2026-05-20"}
EVENT = {"event": "seen", "event_id": "e1", "anonymous_id": "v1", "timestamp": "2026-05-02T03:04:05.678Z",
         "url": "https://site.example/a?utm_source=s&gclid=1", "properties": {"plan": "pro", "n": [1, 2.5, None]}}  # fmt: skip


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return rpc("tools/call", name=tool, arguments=arguments)


META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"}}  # fmt: skip

#: Kind of key, path, body: what is mutated.
BODIES: list[tuple[str, str, Any]] = [
    ("sk", "/v1/track", EVENT),
    ("pk", "/v1/track", EVENT),
    ("sk", "/v1/batch", {"events": [EVENT, {"event": "b", "user_id": "u"}]}),
    ("sk", "/v1/identify", {"anonymous_id": "v1", "user_id": "u1", "traits": {"plan": "pro"}}),
    ("sk", "/v1/forget", {"user_id": "u9", "include_anonymous": False}),
    ("sk", "/v1/export", {"user_id": "u9", "include_anonymous": True, "limit": 2}),
    (
        "rk",
        "/mcp",
        rpc(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "x", "version": "1"},
        ),
    ),
    ("rk", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ("rk", "/mcp", rpc("ping")),
    ("rk", "/mcp", rpc("tools/list", _meta=META)),
    ("rk", "/mcp", rpc("resources/read", uri="events://recent")),
    ("sk", "/mcp", call("track_event", **EVENT)),
    ("rk", "/mcp", call("get_stats", **WINDOW, group_by=["source"], limit=5)),
    ("rk", "/mcp", call("query_events", **WINDOW, limit=2)),
    ("ak", "/mcp/account", call("get_stats", **WINDOW, project_slug="site")),
    ("ak", "/mcp/account", call("list_projects")),
]
GETS = [
    "/v1/stats?from=2026-05-01&to=2026-05-20&group_by=source,medium&interval=day&limit=9",
    "/v1/query?from=2026-05-01T00:00:00Z&to=2026-05-20&event=seen&limit=2",
    "/v1/sources?from=2026-05-01&to=2026-05-20&breakdown=source&limit=3",
]  # fmt: skip

PIECES = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u0000", b"\\ud800", b"\0", b"\xff", b"\xed\xa0\x80", b"null", b"true",
    b"-1", b"1e400", b"9007199254740993", b"0.1", b"''", b"$", b"%", b"' OR 1=1--", b"\xe2\x80\xae", b"{}", b"[[]]", b"\n", b"_",
]  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2.0", "tools/call", "get_stats", "2026-05-01", "prj_x", "source", "$", "", "__proto__"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ENVELOPE_NAMES = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "Jsonrpc",
    "METHOD",
    "method\0",
    "result",
    "error",
    "extra",
]
METHODS = [
    "initialize", "ping", "tools/list", "tools/call", "resources/list", "resources/read", "prompts/get", "prompts/list",
    "completion/complete", "server/discover", "notifications/initialized", "rpc.x", "Tools/Call", "",
]  # fmt: skip
ENVELOPES = st.fixed_dictionaries(
    {}, optional={
        "jsonrpc": st.just("2.0") | JSON, "id": st.integers() | st.text(max_size=300) | JSON, "method": st.sampled_from(METHODS) | JSON,
        "params": st.fixed_dictionaries({}, optional={
            "name": st.sampled_from(["get_stats", "track_event", "funnel", "nope"]) | JSON, "arguments": JSON, "uri": JSON,
            "_meta": JSON, "protocolVersion": JSON, "ref": JSON, "argument": JSON, "cursor": JSON,
        }) | JSON,
    },
)  # fmt: skip
MIXED = st.builds(
    lambda one, more: {**one, **more},
    ENVELOPES,
    st.dictionaries(st.sampled_from(ENVELOPE_NAMES), JSON, max_size=2),
)

TOOLS = [
    "get_stats",
    "query_events",
    "top_sources",
    "funnel",
    "breakdown",
    "retention",
    "describe_schema",
    "user_journey",
]
ARGUMENTS: dict[str, Any] = {
    **WINDOW, "group_by": ["source"], "metric": "uniques", "interval": "day", "limit": 5, "event": "seen", "steps": ["seen", "b"],
    "by": "source", "filters": [{"field": "source", "op": "eq", "value": "s"}], "anonymous_id": "v1", "user_id": "u",
    "born_event": "seen", "return_event": "b", "timezone": "Europe/Berlin", "cursor": "x", "breakdown": "source", "order": "any",
}  # fmt: skip

HEADER_VALUES = [
    "https://site.example", "localhost:8787", "application/json; charset=utf-8", "12", "text/event-stream, application/json",
    "2026-07-28", "tools/call", "=?base64?Z2V0?=", "x", "203.0.113.7", "é",
]  # fmt: skip
