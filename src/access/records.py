"""What is known of a key and of an account once looked up, and the port that looks them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from access.plans import PlanName
from access.token import Env, Kind, Token
from analytics.scope import Project


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key without its secret. Units: `expires_ms` is milliseconds UTC, None = never."""

    id: str
    kind: Kind
    env: Env
    account_id: str
    project_id: str | None
    digest: bytes
    pepper_version: int
    status: Literal["active", "revoked"]
    expires_ms: int | None
    version: int


@dataclass(frozen=True, slots=True)
class OwnedProject:
    """A project with what its browser keys need."""

    project: Project
    allowed_origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account: its plan and the projects its keys may see."""

    id: str
    plan: PlanName
    status: Literal["active", "suspended"]
    projects: tuple[OwnedProject, ...]

    def owned(self, project_id: str | None) -> OwnedProject | None:
        return next((one for one in self.projects if one.project.id == project_id), None)


class AccessUnavailableError(Exception):
    """Neither the key store nor what stands behind it answered; nobody can be let in or turned away."""


class KeyStore(Protocol):
    """Looks up keys and accounts. Errors: AccessUnavailableError."""

    async def key(self, token: Token) -> KeyRecord | None:
        """The record at the token's kind, env and prefix, whatever its secret; None when there is none."""

    async def account(self, account_id: str) -> AccountRecord | None:
        """The account with its active projects."""
