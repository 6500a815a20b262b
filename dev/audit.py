"""The audit log as `npm run keys` writes it and `npm run audit` shows it. No I/O; the log itself: src/access/audit.py."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from access.audit import NOTHING, AuditEntry, first_broken, sealed
from storage.audit_log import EVERY_ENTRY, EVERY_SEAL, LAST_SEAL, UNSEALED, add_seal, record
from storage.database import Statement

__all__ = ["EVERY_ENTRY", "EVERY_SEAL", "LAST_SEAL", "NOTHING", "UNSEALED", "entry", "first_broken", "seal"]


def entry(at_ms: int, action: str, target: str, account_id: str = "") -> dict[str, Any]:
    """The statement that records what the operator did, to run with its effect."""
    return _for_session(
        record(AuditEntry(secrets.token_hex(8), "operator", action, target, account_id=account_id, at=at_ms))
    )


def seal(last: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The statement that seals entries. `last` is what `LAST_SEAL` found, `entries` what `UNSEALED` did."""
    return _for_session(add_seal(sealed(last[0] if last else None, entries)))


def _for_session(statement: Statement) -> dict[str, Any]:
    return {"sql": statement.sql, "params": list(statement.parameters)}
