"""The gate: from an Authorization header to a principal, or to a refusal. Cheap and unauthenticated checks come first.

Source: contract.md §1–2, security.md §3.4.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from access.plans import PLANS, Plan
from access.records import AccountRecord, KeyRecord, KeyStore
from access.token import Kind, Token, digest, kind_of, parse_token
from access.watch import Actor
from analytics.scope import Project, Scope

_BEARER: Final = re.compile(r"(?i:bearer) +([!-~]+)", re.ASCII)
_NO_KEY: Final = re.compile(r"(?i:bearer)[ \t]*", re.ASCII)
_NOBODY: Final = bytes(32)


class Refusal(Exception):
    """A request that may not pass.

    Shape: `code` is the contract's stable string, `status` its HTTP status, `details` what would be right; `reason` and
    `actor` are for the audit log, the client does not hear them.
    """

    def __init__(
        self,
        status: int,
        code: str,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        reason: str = "",
        actor: Actor | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        self.reason = reason
        self.actor = actor


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a verified key. `scopes` are what its kind grants; a record can never widen them."""

    key_id: str
    kind: Kind
    prefix: str
    account_id: str
    plan: Plan
    projects: tuple[Project, ...]
    allowed_origins: frozenset[str]

    @property
    def actor(self) -> Actor:
        return Actor(self.key_id, self.account_id)

    @property
    def scopes(self) -> frozenset[str]:
        return KIND_SCOPES[self.kind]

    def scope(self, projects: tuple[Project, ...] | None = None) -> Scope:
        """The scope of one question: some of this principal's own projects, or all of them."""
        chosen = self.projects if projects is None else projects
        if not set(chosen) <= set(self.projects):
            raise ValueError("a scope may only hold the principal's own projects")
        return Scope(self.key_id, self.account_id, chosen)


KIND_SCOPES: Final[Mapping[Kind, frozenset[str]]] = {
    "pk": frozenset({"ingest"}),
    "sk": frozenset({"ingest", "read"}),
    "rk": frozenset({"read"}),
    "ak": frozenset({"account_read"}),
}


def claimed_kind(authorization: str | None) -> Kind:
    """The kind of key a request claims to hold, before anything is looked up.

    Errors: Refusal 401 `missing_bearer_token` or `malformed_api_key`.
    """
    text = _bearer(authorization)
    kind = kind_of(text)
    if kind is None:
        raise _unauthorized("malformed_api_key")
    return kind


def _bearer(authorization: str | None) -> str:
    if (
        authorization is None
        or not authorization.lower().startswith("bearer")
        or _NO_KEY.fullmatch(authorization)
    ):
        raise _unauthorized("missing_bearer_token")
    match = _BEARER.fullmatch(authorization)
    if match is None:
        raise _unauthorized("malformed_api_key")
    return match[1]


def _unauthorized(code: str, reason: str = "", record: KeyRecord | None = None) -> Refusal:
    """`record` is that of a key whose secret was right, and that opens nothing all the same."""
    actor = Actor(record.id, record.account_id) if record else None
    return Refusal(401, code, reason=reason, actor=actor)


class Gate:
    """Verifies keys against a store of records. `peppers` are the secrets by version; the digest is made with them."""

    def __init__(self, keys: KeyStore, peppers: Mapping[int, bytes]) -> None:
        self._keys = keys
        self._peppers = peppers

    async def admit(self, authorization: str | None, now_ms: int) -> Principal:
        """The principal of a verified key.

        Errors: Refusal 401 with the same bytes for unknown, wrong, revoked and expired; AccessUnavailableError.
        """
        text = _bearer(authorization)
        token = parse_token(text)
        if token is None:
            raise _unauthorized("invalid_api_key" if kind_of(text) else "malformed_api_key")
        record = await self._keys.key(token)
        if not self._genuine(token, record) or record is None:
            raise _unauthorized("invalid_api_key")
        if not _live(record, now_ms):
            reason = "expired" if record.status == "active" else record.status
            raise _unauthorized("invalid_api_key", reason, record)
        if record.kind != token.kind or record.env != token.env:
            raise _unauthorized("key_kind_mismatch", record=record)
        account = await self._keys.account(record.account_id)
        if account is None or account.status != "active":
            raise _unauthorized("invalid_api_key", "account", record)
        return _principal(record, token, account)

    def _genuine(self, token: Token, record: KeyRecord | None) -> bool:
        """Compares in constant time, on a hit and on a miss alike."""
        pepper = self._peppers.get(record.pepper_version) if record else None
        expected = record.digest if record and pepper else _NOBODY
        made = digest(token, pepper or next(iter(self._peppers.values())))
        return hmac.compare_digest(made, expected) and pepper is not None


def _live(record: KeyRecord, now_ms: int) -> bool:
    return record.status == "active" and (record.expires_ms is None or now_ms < record.expires_ms)


def _principal(record: KeyRecord, token: Token, account: AccountRecord) -> Principal:
    if record.project_id is None:
        owned = account.projects
    else:
        one = account.owned(record.project_id)
        if one is None:
            raise _unauthorized("invalid_api_key", "project", record)
        owned = (one,)
    return Principal(
        key_id=record.id,
        kind=record.kind,
        prefix=token.prefix,
        account_id=account.id,
        plan=PLANS[account.plan],
        projects=tuple(one.project for one in owned),
        allowed_origins=frozenset().union(*(one.allowed_origins for one in owned)),
    )
