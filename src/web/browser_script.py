"""`GET /v1/a.js`: the script that websites embed. It belongs to everyone, so any cache may keep it."""

from __future__ import annotations

import hashlib
from typing import Final

from access.gate import Refusal
from web.browser_script_text import SCRIPT
from web.messages import Request, Response

_ETAG: Final = f'"{hashlib.sha256(SCRIPT.encode()).hexdigest()[:20]}"'
_HEADERS: Final = {
    "content-type": "text/javascript; charset=utf-8",
    "cache-control": "public, max-age=3600",
    "etag": _ETAG,
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


def serve_script(request: Request) -> Response:
    """The script, or 304 to whoever has it. Errors: Refusal 405."""
    if request.method not in ("GET", "HEAD"):
        raise Refusal(405, "method_not_allowed", {"allowed": ["GET", "HEAD"]}, {"allow": "GET, HEAD"})
    if _holds_current(request.headers.get("if-none-match", "")):
        return Response(304, "", dict(_HEADERS))
    return Response(200, SCRIPT if request.method == "GET" else "", dict(_HEADERS))


def _holds_current(if_none_match: str) -> bool:
    """Compares weakly: a network that compresses the script weakens its tag. Source: RFC 9110 §13.1.2."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return _ETAG in tags or "*" in tags
