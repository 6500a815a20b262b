"""The event: what a client sends, what is added on arrival, what is kept. Pure; clock and randomness are handed in."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from analytics.attribution import classify
from analytics.text import visible, visible_throughout
from analytics.user_agent import Device, parse_user_agent
from analytics.window import MS_PER_DAY, InvalidInstantError, format_instant, parse_instant

MAX_PROPERTIES_BYTES: Final = 8_192
MAX_BATCH_EVENTS: Final = 1_000
SESSION_BUCKET_SECONDS: Final = 1_800
IDENTIFY_EVENT: Final = "$identify"

#: Who handed the event in: a browser key, a server key over REST, or an agent through MCP.
Origin = Literal["browser", "server", "agent"]


def _shown(text: str) -> str:
    """A text without what nobody can see (analytics/text.py); of one that was nothing else, the replacement character."""
    return visible(text) or "\ufffd"


def _valid_url(text: str) -> str:
    text = visible(text)
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  raises ValueError for a port that is no number
    except ValueError as error:
        raise PydanticCustomError("url", "must be a valid URL, e.g. 'https://shop.example/cart'") from error
    if not parts.scheme or not parts.netloc or any(character.isspace() for character in text):
        raise PydanticCustomError("url", "must be a valid absolute URL, e.g. 'https://shop.example/cart'")
    return text


def _valid_timestamp(text: str, info: ValidationInfo) -> str:
    try:
        instant = parse_instant(text)
    except InvalidInstantError as error:
        raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from error
    if instant > now_of(info) + MS_PER_DAY:
        raise PydanticCustomError("timestamp", "lies more than 24 hours ahead of the server's clock")
    return text


def _small_enough(properties: dict[str, Any]) -> dict[str, Any]:
    properties = visible_throughout(properties)
    if len(compact_json(properties).encode()) > MAX_PROPERTIES_BYTES:
        raise PydanticCustomError(
            "properties", "must be at most {limit} bytes as compact JSON", {"limit": MAX_PROPERTIES_BYTES}
        )
    return properties


def now_of(info: ValidationInfo) -> int:
    """The request's instant, which whoever validates passes as `context={"now_ms": …}`."""
    context: dict[str, int] = info.context or {}
    return context["now_ms"]


def compact_json(value: object) -> str:
    """`value` as JSON without spaces and without escaping what UTF-8 can carry."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


#: What a client calls something: the same rule wherever it is written or looked for.
ClientId = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_shown)]
UserId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_shown)]
Location = Annotated[str, Field(max_length=2048), AfterValidator(visible)]
Url = Annotated[str, Field(max_length=2048), AfterValidator(_valid_url)]
Timestamp = Annotated[
    str,
    AfterValidator(_valid_timestamp),
    WithJsonSchema({"type": "string", "description": "ISO 8601; default: now."}),
]
Properties = Annotated[dict[str, Any], AfterValidator(_small_enough)]


class TrackedEvent(BaseModel):
    """One event as a client sends it to /v1/track, in /v1/batch or through `track_event`.

    Unknown fields, and those the server decides itself (source, country, …), are ignored, not refused.
    Source: contract.md §2, POST /v1/track.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    event: ClientId
    event_id: ClientId | None = Field(None)
    timestamp: Timestamp | None = None
    anonymous_id: ClientId | None = None
    user_id: UserId | None = None
    session_id: ClientId | None = None
    url: Url | None = None
    path: Location | None = None
    referrer: Location | None = None
    properties: Properties = Field(default_factory=dict)


@dataclass(frozen=True)
class Arrival:
    """What the server knows of the request that brought an event; none of it is stored as it stands."""

    received_ms: int
    project_id: str
    origin: Origin
    ip_hash_salt: str
    new_event_id: Callable[[], str]
    ip: str = ""
    country: str = ""
    user_agent: str = ""

    @cached_property
    def device(self) -> Device:
        """What the User-Agent says; read once for all events of the request."""
        return parse_user_agent(self.user_agent)

    @cached_property
    def ip_hash(self) -> str:
        """The address as events keep it."""
        return hash_ip(self.ip, self.ip_hash_salt, self.received_ms)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is stored.

    Shape: `properties` is compact JSON text; absent texts are None, unknown device fields are "".
    Units: `ts_ms` and `received_ms` are milliseconds UTC.
    """

    event_id: str
    event_name: str
    ts_ms: int
    received_ms: int
    anonymous_id: str
    user_id: str | None
    session_id: str
    url: str | None
    path: str | None
    referrer: str | None
    properties: str
    source: str
    medium: str
    campaign: str | None
    source_confidence: str
    source_rule_id: str
    country: str
    device_type: str
    browser: str
    os: str
    ip_hash: str
    origin: Origin
    #: Whether the client set the time itself. If not, the same `event_id` within 7 days is a resend (contract.md §2).
    timed_by_client: bool
    #: Whether the client named the occurrence; a generated id can never be a resend.
    named_by_client: bool


def enrich(tracked: TrackedEvent, arrival: Arrival) -> Event:
    """Adds to a client's event what only the server may decide.

    Source: contract.md §4 (enrichment), §5 (attribution).
    """
    ts_ms = parse_instant(tracked.timestamp) if tracked.timestamp else arrival.received_ms
    event_id = tracked.event_id or arrival.new_event_id()
    anonymous_id = tracked.anonymous_id or _fabricated_visitor(arrival.project_id, tracked.user_id, event_id)
    attribution = classify(tracked.url, tracked.referrer)
    return Event(
        event_id=event_id,
        event_name=tracked.event,
        ts_ms=ts_ms,
        received_ms=arrival.received_ms,
        anonymous_id=anonymous_id,
        user_id=tracked.user_id,
        session_id=tracked.session_id or default_session_id(anonymous_id, ts_ms),
        url=tracked.url,
        path=tracked.path if tracked.path is not None else _path_of(tracked.url),
        referrer=tracked.referrer,
        properties=compact_json(tracked.properties),
        source=attribution.source,
        medium=attribution.medium,
        campaign=attribution.campaign,
        source_confidence=attribution.confidence,
        source_rule_id=attribution.rule_id,
        country=arrival.country,
        device_type=arrival.device.device_type,
        browser=arrival.device.browser,
        os=arrival.device.os,
        ip_hash=arrival.ip_hash,
        origin=arrival.origin,
        timed_by_client=tracked.timestamp is not None,
        named_by_client=tracked.event_id is not None,
    )


def default_session_id(anonymous_id: str, ts_ms: int) -> str:
    """The session of an event that names none: the visitor's fixed half hour of the event's own time."""
    return f"{anonymous_id}-{ts_ms // 1000 // SESSION_BUCKET_SECONDS}"


def hash_ip(ip: str, salt: str, at_ms: int) -> str:
    """A visitor's address as it is kept: irreversible, and different every UTC day.

    Shape: 32 hex digits, or "" when the address is unknown.
    """
    if not ip:
        return ""
    key = f"{salt}{format_instant(at_ms)[:10]}".encode()
    return hmac.digest(key, ip.encode("utf-8", "replace"), "sha256")[:16].hex()


def _fabricated_visitor(project_id: str, user_id: str | None, event_id: str) -> str:
    """The visitor of an event without `anonymous_id`: one per person if there is one, else one per occurrence."""
    basis = f"user\0{user_id}" if user_id else f"event\0{event_id}"
    return "anon_" + hashlib.sha256(f"{project_id}\0{basis}".encode("utf-8", "replace")).hexdigest()[:24]


def _path_of(url: str | None) -> str | None:
    if url is None:
        return None
    return urlsplit(url).path or "/"
