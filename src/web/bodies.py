"""Reading a body: its type, its length, its JSON, each refused by name."""

from __future__ import annotations

from typing import Any, Final

from access.gate import Refusal
from analytics.intake import MalformedJsonError, RefusedJsonError, parse_json
from web.messages import Request

MCP_BODY_BYTES: Final = 65_536
INGEST_BODY_BYTES: Final = 1_048_576


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body. Errors: Refusal 413 `payload_too_large`, 415 `unsupported_encoding`, 400 `bad_body`."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "unsupported_encoding", {"allowed": ["identity"]})
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise Refusal(413, "payload_too_large", {"limit_bytes": limit})
    body = await request.read_body(limit)
    if body is None:
        raise Refusal(413, "payload_too_large", {"limit_bytes": limit})
    return body


def require_media_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Errors: Refusal 415 `unsupported_media_type`."""
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace('"', "").replace(" ", "")
    if media_type.strip() not in allowed or (charset and charset not in ("charset=utf-8", "charset=utf8")):
        raise Refusal(415, "unsupported_media_type", {"allowed": list(allowed)})


async def read_json_object(request: Request) -> dict[str, Any]:
    """The JSON object of an ingest body. Errors: Refusal 400 `invalid_payload`, 413, 415."""
    require_media_type(request, ("application/json", "text/plain"))
    body = await read_bytes(request, INGEST_BODY_BYTES)
    try:
        value = parse_json(body)
    except (MalformedJsonError, RefusedJsonError) as error:
        raise Refusal(400, "invalid_payload", {"formErrors": [str(error)], "fieldErrors": {}}) from error
    if not isinstance(value, dict):
        raise Refusal(
            400, "invalid_payload", {"formErrors": ["the body must be a JSON object"], "fieldErrors": {}}
        )
    return value
