"""Requests and responses as values, free of any platform."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Shape: `headers` have lower-case names; `read_body(limit)` gives the body, or None when it is longer than `limit`.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    read_body: Callable[[int], Awaitable[bytes | None]]
    country: str = ""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(
            urlsplit(self.url).query, keep_blank_values=True, errors="replace", max_num_fields=64
        )

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def client_ip(self) -> str:
        """The address Cloudflare saw. It is hashed, never stored or logged as it is."""
        return self.headers.get("cf-connecting-ip", "")


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. `stream`, where there is one, is sent piece by piece in place of the body; `code` is the stable
    code of an error, for the log.
    """

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[str] | None = None
    code: str = ""

    def with_headers(self, headers: Mapping[str, str]) -> Response:
        return replace(self, headers={**self.headers, **headers}) if headers else self


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that no cache may keep: it belongs to whoever holds the key."""
    body = value if isinstance(value, str) else to_json(value).decode()
    return Response(
        status,
        body,
        {"content-type": "application/json", "cache-control": "private, no-store", **(headers or {})},
    )


def stream_response(status: int, events: AsyncGenerator[str]) -> Response:
    """A stream of server-sent events, which nothing on the way may hold back or keep."""
    headers = {
        "content-type": "text/event-stream",
        "cache-control": "private, no-store",
        "x-accel-buffering": "no",
    }
    return Response(status, headers=headers, stream=events)


def error_response(
    status: int,
    code: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    retry_after_s: int | None = None,
) -> Response:
    """The one shape of an HTTP error: `{"error": <stable code>, "details": {…}}`. Source: contract.md §2.

    `retry_after_s` is only for 429, whose body says what its header says.
    """
    body: dict[str, Any] = {"error": code}
    if details:
        body["details"] = dict(details)
    if retry_after_s is not None:
        body["retry_after_s"] = retry_after_s
    return replace(json_response(status, body, headers), code=code)
