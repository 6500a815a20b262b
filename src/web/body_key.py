"""A key inside a body, for what cannot carry headers: the beacon that a browser sends when a page goes away.

Only a browser key, only in a `text/plain` body with an Origin, only where events are taken in: such a key is
public, it stands in the page's source, and the Origin is checked against it as ever. Every other key comes in
the header alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from access.gate import Refusal
from access.token import kind_of
from web.bodies import read_bytes, read_json_object
from web.messages import Request

#: What a browser lets a beacon carry. Source: Fetch standard, keepalive requests.
BEACON_BYTES: Final = 65_536


async def with_key_of_body(request: Request) -> Request:
    """The request with its body's key as its Authorization header, or as it came when it has no such key.

    Errors: Refusal 403 `key_kind_not_allowed` for a key of another kind, which no page may hold; 400, 413.
    """
    if "authorization" in request.headers or "origin" not in request.headers or not _is_plain_text(request):
        return request
    body = await read_bytes(request, BEACON_BYTES)

    async def read_again(limit: int) -> bytes | None:
        return body if len(body) <= limit else None

    request = replace(request, read_body=read_again)
    key = (await read_json_object(request)).get("key")
    if not isinstance(key, str):
        return request
    if kind_of(key) not in ("pk", None):
        raise Refusal(403, "key_kind_not_allowed", {"allowed": ["pk_"]})
    return replace(request, headers={**request.headers, "authorization": f"Bearer {key}"})


def _is_plain_text(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"
