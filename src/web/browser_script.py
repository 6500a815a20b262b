"""`GET /v1/a.js`: the script that websites embed. It belongs to everyone, so any cache may keep it."""

from __future__ import annotations

import hashlib
from typing import Final

from web.browser_script_text import SCRIPT
from web.messages import Request, Response
from web.rest import only

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
    if answer := only(request, "GET"):
        return answer
    held = _holds_current(request.headers.get("if-none-match", ""))
    return Response(304 if held else 200, "" if held else SCRIPT, dict(_HEADERS))


def _holds_current(if_none_match: str) -> bool:
    """Compares weakly: a network that compresses the script weakens its tag. Source: RFC 9110 §13.1.2."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return _ETAG in tags or "*" in tags
