"""The bad-input table: what is sent, and what each endpoint answers. Source: security.md §5, corrected by contract.md.

`rpc` is the JSON-RPC code of /mcp and /mcp/account, `rest` the error of the endpoints that take events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

WINDOW = {"from": "2026-05-01", "to": "2026-06-01"}


@dataclass(frozen=True)
class Body:
    """A body that no endpoint takes, whatever it is for."""

    name: str
    body: bytes
    rpc: int
    rest: str = "invalid_payload"


def _nested(open_: str, close: str, depth: int, inner: str = "1") -> bytes:
    return (open_ * depth + inner + close * depth).encode()


_ENVELOPE = b'{"jsonrpc":"2.0","id":1,"method":"ping","event":"e","events":[{"event":"e"}],"params":{"x":%s}}'

BODIES = [
    *(Body(name, body, -32700) for name, body in {
        "empty": b"", "open brace": b"{", "trailing comma": b'{"event":"e",}', "single quotes": b"{'event':'e'}",
        "underscore in a number": b'{"event":"e","n":12_400}', "leading zero": b'{"event":"e","n":012}',
        "raw control character": b'{"event":"a\x01b"}', "raw newline": b'{"event":"a\nb"}',
        "byte order mark": b'\xef\xbb\xbf{"event":"e"}', "UTF-16": '{"event":"e"}'.encode("utf-16"),
        "UTF-32": '{"event":"e"}'.encode("utf-32"), "invalid UTF-8": b'{"event":"\xff"}',
        "overlong UTF-8": b'{"event":"\xc0\xaf"}', "encoded surrogate": b'{"event":"\xed\xa0\x80"}',
        "NaN": b'{"event":"e","n":NaN}', "Infinity": b'{"event":"e","n":Infinity}', "-Infinity": b'{"n":-Infinity}',
        "lone surrogate": b'{"event":"\\ud800"}', "lone surrogate in a key": b'{"\\udfff":1}',
        "two values": b'{"event":"e"}{"event":"e"}', "a comment": b'{"event":"e"}//', "plus sign": b'{"n":+1}',
        "hexadecimal": b'{"n":0x10}', "bare word": b"undefined", "form": b"event=e&key=1", "a bare NUL": b"\0",
        "XML": b"<?xml version='1.0'?><event/>", "5,000 digits": b'{"event":"e","n":' + b"9" * 5000 + b"}",
    }.items()),
    *(Body(f"{depth} nested {name}", _nested(*brackets, depth), -32600)
      for depth in (33, 64, 1_000, 5_000, 10_000)
      for name, brackets in {"arrays": ("[", "]"), "objects": ('{"a":', "}")}.items()),
    *(Body(f"{depth} arrays within an envelope", _ENVELOPE % _nested("[", "]", depth), -32600) for depth in (31, 1_000, 9_000)),
    *(Body(name, _ENVELOPE % value, -32600) for name, value in {
        "1e400": b"1e400", "-1e400": b"-1e400", "2**53 - 1": b"9007199254740991", "-(2**53 - 1)": b"-9007199254740991",
        "2**64": b"18446744073709551616", "NUL": b'"a\\u0000b"', "NUL in a key": b'{"a\\u0000":1}',
        "257 keys": json.dumps({str(n): n for n in range(257)}).encode(),
        "1,001 items": json.dumps([0] * 1_001).encode(), "a text of 8,193": json.dumps("x" * 8_193).encode(),
    }.items()),
    *(Body(f"{json.dumps(value)} instead of an object", json.dumps(value).encode(), -32600)
      for value in (None, [], "x", 1, True, {})),
]  # fmt: skip


@dataclass(frozen=True)
class Envelope:
    """A JSON-RPC message that is not well formed, or asks for what there is not."""

    name: str
    message: dict[str, Any]
    status: int
    code: int
    text: str | None = None


def _message(**changes: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"} | changes
    return {name: value for name, value in message.items() if value is not ...}


ENVELOPES = [
    *(Envelope(f"jsonrpc {value!r}", _message(jsonrpc=value), 400, -32600) for value in (..., "1.0", 2.0, 2, None, "2.0 ")),
    Envelope("Jsonrpc", _message(jsonrpc=..., Jsonrpc="2.0"), 400, -32600),
    Envelope("Method", _message(method=..., Method="ping"), 400, -32600),
    *(Envelope(f"id {json.dumps(value)[:20]}", _message(id=value), 400, -32600)
      for value in (None, 1.5, True, {}, [], [1], "x" * 257)),
    *(Envelope(f"method {value!r}", _message(method=value), 400, -32600) for value in (None, 1, [], {})),
    *(Envelope(f"method {value!r}", _message(method=value), 200, -32601, "method_not_found")
      for value in ("__proto__", "tools/call\u200b", "rpc.x", "Tools/List", "tools/list ", "constructor", "tools", "x" * 8_000)),
    Envelope("tools/call without an id", _message(id=..., method="tools/call", params={"name": "track_event"}), 400, -32600),
    *(Envelope(f"params {value!r} of tools/call", _message(method="tools/call", params=value), 400, -32600)
      for value in ([], "x", None, 1)),
    *(Envelope(f"tool {value!r:.30}", _message(method="tools/call", params={"name": value}), 200, -32602)
      for value in (None, 1, [], {}, "", "nothing", "Track_Event", "get_stats ", "__class__", "x" * 8_000)),
    *(Envelope(f"resource {value!r:.30}", _message(method="resources/read", params={"uri": value}), 200, -32602)
      for value in (None, 1, "", "events://recent/../", "EVENTS://recent", "file:///etc/passwd", "schema://", "http://127.0.0.1/", "x" * 8_000)),
]  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """Arguments that a reading tool refuses as `invalid_arguments`, naming the field."""

    tool: str
    arguments: dict[str, Any]
    field: str


def _of(tool: str, field_: str, values: list[Any], **beside: Any) -> list[Arguments]:
    return [Arguments(tool, {**WINDOW, **beside, field_: value}, field_) for value in values]


HOSTILE_COLUMNS = [
    "source;drop table events", '"source"', "source--", "SOURCE", "source,source", "count(*)", "(select 1)", "s\u202eource",
    "\uff53ource", "source ", "event_name,(select 1)", "source,medium,campaign,country", "rowid", "*", "properties", "1", "$",
]  # fmt: skip

ARGUMENTS = [
    *_of("get_stats", "limit", [0, -1, 1_001, True, 1.5, 1e308, [], {}, None, "x"]),
    *_of("get_stats", "metric", ["COUNT", "sum(value)", "count--", "", None, 1, []]),
    *_of("get_stats", "interval", ["minute", "DAY", "day;", 1, []]),
    *_of("get_stats", "group_by", [[column] for column in HOSTILE_COLUMNS] + [["source", "source"], ["source", "medium", "campaign", "country"], 1, {}, [1], [[]]]),
    *_of("top_sources", "breakdown", ["medium", "source;", "SOURCE", "", 1, []]),
    *_of("get_stats", "from", [
        "2026-02-30", "2026-01-01T00:00:60Z", "2026-01-01T24:00:00Z", "20260501", "2026-W01-1", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00", "\uff12\uff10\uff12\uff16-05-01", 1767225600, "x" * 8_000, "", "2026-05-01T", [], True,
        "2026-05-01 OR 1=1", "2026-05-01\n", "2026-05-01\u200b",
    ]),
    *(Arguments("get_stats", {"from": one, "to": two}, "") for one, two in
      [("2026-06-01", "2026-05-01"), ("2026-05-01", "2026-05-01"), ("1990-01-01", "2026-01-01")]),
    *_of("get_stats", "event", ["", 1, [], {}, "x" * 129]),
    *_of("get_stats", "project_ids", [["prj_x"], []]),
    *_of("get_stats", "no_such_argument", [1]),
    *_of("query_events", "cursor", ["", "x", "AAAA", "x" * 8_000, 1, [], "../../etc"]),
    *_of("query_events", "limit", [0, 1_001, "x"]),
    *_of("funnel", "steps", [[], ["a"], ["a"] * 21, "a", [1, 2], [{}, {}], [[], []], ["", ""], [{"event": "a", "x": 1}, "b"]]),
    *_of("funnel", "order", ["", "any; drop", 1], steps=["a", "b"]),
    *_of("funnel", "breakdown", HOSTILE_COLUMNS, steps=["a", "b"]),
    *_of("funnel", "conversion_window_days", [0, -1, 1e9, "x", True], steps=["a", "b"]),
]  # fmt: skip


@dataclass(frozen=True)
class Ingest:
    """An event that is refused, with the field it is refused for."""

    event: dict[str, Any]
    field: str


def _bad(field_: str, *values: Any) -> list[Ingest]:
    return [Ingest({"event": "e", field_: value}, field_) for value in values]


EVENTS = [
    Ingest({}, "event"),
    *_bad("event", None, "", 1, [], {}, True, "x" * 129),
    *_bad("event_id", "", 1, [], "x" * 129),
    *_bad("anonymous_id", "", 1, [], {}, True, "x" * 129),
    *_bad("user_id", "", 1, [], {}, "x" * 257),
    *_bad("session_id", "", 1, "x" * 129),
    *_bad("timestamp", "", "yesterday-ish", 1, "2026-02-30", "2099-01-01", "9999-12-31T23:59:59-01:00", "20260501", "0001-01-01T00:00:00+14:00"),
    *_bad("url", "", "not a url", "/path", 1, "http://[", "http://x:y/", "https://x y/", "https://x/" + "y" * 2_048),
    *_bad("path", 1, [], "x" * 2_049),
    *_bad("referrer", 1, [], "x" * 2_049),
    *_bad("properties", [], "x", 1, True, {"x": "y" * 8_185}, {"x": ["y" * 4_000, "z" * 4_200]}),
]  # fmt: skip


@dataclass(frozen=True)
class Transport:
    """Headers and methods. `headers` replace the usual ones; None leaves one out. `bearer` False: no key is added."""

    name: str
    status: int
    error: str
    method: str = "POST"
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes = b'{"jsonrpc":"2.0","id":1,"method":"ping","event":"e","events":[{"event":"e"}]}'
    bearer: bool = True
    only_mcp: bool = False


TRANSPORT = [
    *(Transport(f"{method}", 405, "method_not_allowed", method=method, body=b"") for method in ("GET", "PUT", "DELETE", "PATCH")),
    *(Transport(f"content type {value!r}", 415, "unsupported_media_type", headers={"content-type": value})
      for value in ("application/xml", "application/json;charset=utf-16", "application/json, application/json", "", "multipart/form-data; boundary=x")),
    Transport("plain text", 415, "unsupported_media_type", headers={"content-type": "text/plain"}, only_mcp=True),
    *(Transport(f"encoding {value}", 415, "unsupported_encoding", headers={"content-encoding": value}) for value in ("gzip", "br", "deflate", "x")),
    Transport("accept text", 406, "not_acceptable", headers={"accept": "text/html"}, only_mcp=True),
    Transport("64 KiB and more", 413, "payload_too_large", body=b'{"x":"' + b"y" * 70_000 + b'"}', only_mcp=True),
    Transport("1 MiB and more", 413, "payload_too_large", body=b'{"x":"' + b"y" * 1_100_000 + b'"}'),
    *(Transport(f"authorization {value!r}", 401, code, headers={"authorization": value}, bearer=False) for value, code in {
        "Basic dXNlcjpwYXNz": "missing_bearer_token", "Bearer": "missing_bearer_token", "Bearer x": "malformed_api_key",
        "Bearer rk_live_0011aabb_x, Bearer rk_live_0011aabb_x": "malformed_api_key",
        "Bearer " + "x" * 300: "malformed_api_key", "rk_live_0011aabb_x": "missing_bearer_token",
    }.items()),
    Transport("no key", 401, "missing_bearer_token", bearer=False),
    Transport("a key in another header", 401, "missing_bearer_token", headers={"x-api-key": "rk_live_0011aabb_x"}, bearer=False),
    Transport("a key in a cookie", 401, "missing_bearer_token", headers={"cookie": "key=rk_live_0011aabb_x"}, bearer=False),
    *(Transport(f"origin {value}", 403, "origin_not_allowed", headers={"origin": value}, only_mcp=True) for value in
      ("https://evil.example", "null", "http://localhost.evil.com", "http://127.0.0.1.nip.io", "file://", "http://localhost@evil.example")),
]  # fmt: skip
