"""Erasing a person in two steps: what would go, and a sealed token that lets exactly that go, for some minutes.

A token opens only for who got it: same key, same project, same person, same choice about anonymous events. It carries
what its holder was shown, so that an erasure never takes more than that. Nothing is kept of it here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from analytics.problems import InvalidArgumentsError
from analytics.scope import Scope
from analytics.window import format_instant

_DOMAIN: Final = b"mm-erasure-v1\0"
_SEAL_BYTES: Final = 16
#: When the token ends, and `events, visitor_days, devices` of what it was issued for.
_BODY: Final = struct.Struct(">qqqq")
TOKEN_LIFE_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Subject:
    """What erasing a person takes, or would.

    Shape: `events` go, of `visitor_days` days of visitors, from `first_ms` to `last_ms`; `devices` are the anonymous_ids the
    person was seen on; `anonymous_events` are those of nobody on these devices: they go only if that is asked for.
    """

    events: int
    visitor_days: int
    devices: int
    anonymous_events: int
    first_ms: int | None
    last_ms: int | None

    def described(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "events": self.events,
            "visitor_days": self.visitor_days,
            "devices": self.devices,
            "anonymous_events": self.anonymous_events,
            "from": None if self.first_ms is None else format_instant(self.first_ms),
            "to": None if self.last_ms is None else format_instant(self.last_ms),
        }


@dataclass(frozen=True, slots=True)
class Erasure:
    """Who is to be erased where, and whether the events of nobody on their devices go too."""

    scope: Scope
    user_id: str
    include_anonymous: bool

    @property
    def bound(self) -> bytes:
        projects = [project.id for project in self.scope.projects]
        return json.dumps([self.scope.key_id, projects, self.user_id, self.include_anonymous]).encode()


@cache
def erasure_secret(pepper: bytes) -> bytes:
    """The secret tokens are sealed with, from one the house has already; neither tells the other."""
    return hmac.digest(pepper, _DOMAIN, "sha256")


class ErasureTokens:
    """Issues tokens and opens them. `secret` seals them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, erasure: Erasure, subject: Subject, now_ms: int) -> str:
        body = _BODY.pack(now_ms + TOKEN_LIFE_MS, subject.events, subject.visitor_days, subject.devices)
        return base64.urlsafe_b64encode(self._seal(erasure, body) + body).decode().rstrip("=")

    def check(self, token: str, erasure: Erasure, subject: Subject, now_ms: int) -> None:
        """Errors: InvalidArgumentsError for a token that is not of this erasure, is over, or was issued for less.

        That there is less by now is what a call looks like that was interrupted, or is sent once more: it may go on.
        """
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused("is not a token of prepare") from None
        seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(erasure, body)):
            raise _refused(
                "was not issued to this key for this project, user_id and include_anonymous, or was changed"
            )
        ends_ms, *shown = _BODY.unpack(body)
        if now_ms >= ends_ms:
            raise _refused("has expired: it is good for 10 minutes")
        now = (subject.events, subject.visitor_days, subject.devices)
        if any(there > seen for there, seen in zip(now, shown, strict=True)):
            raise _refused(
                f"was issued for {shown[0]} events; now there are {subject.events}, or on more days or devices"
            )

    def _seal(self, erasure: Erasure, body: bytes) -> bytes:
        return hmac.digest(self._secret, erasure.bound + b"\0" + body, "sha256")[:_SEAL_BYTES]


def _refused(reason: str) -> InvalidArgumentsError:
    return InvalidArgumentsError(
        [{"field": "token", "reason": f"{reason}; nothing was erased, prepare again"}]
    )
