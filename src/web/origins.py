"""Which browsers may call what: Origin, Host and CORS. Source: security.md §3.9, mcp-protocol.md §1.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_ALLOWED_HEADERS: Final = (
    "authorization, content-type, accept, "
    "mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id"
)
_EXPOSED_HEADERS: Final = "www-authenticate, retry-after"


def is_local(host: str) -> bool:
    return host in _LOCAL_HOSTS


def may_call_mcp(origin: str | None, url: str) -> bool:
    """Whether a request to `url` with this Origin may reach an MCP endpoint.

    Programs send no Origin and may. A page may when it is local and calls a local server, or is of the very host it
    calls, over TLS: a name rebound to this machine has no certificate.
    """
    if origin is None:
        return True
    called = urlsplit(url)
    try:
        parts = urlsplit(origin)
        page = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not page or parts.path or parts.query:
        return False
    if is_local(page) and is_local(called.hostname or ""):
        return True
    return page == called.hostname and parts.scheme == called.scheme == "https"


def cors(origin: str) -> Mapping[str, str]:
    """What lets a page of this origin read the answer."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": _EXPOSED_HEADERS,
        "vary": "Origin",
    }


def preflight(origin: str, methods: str) -> Mapping[str, str]:
    """What a preflight of an allowed origin is answered with."""
    return {
        **cors(origin),
        "access-control-allow-methods": methods,
        "access-control-allow-headers": _ALLOWED_HEADERS,
        "access-control-max-age": "600",
    }
