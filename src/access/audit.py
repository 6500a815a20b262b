"""The audit log: what one entry says, and how entries are sealed so that a changed one shows. No I/O.

Entries are written with their effect, in one transaction; some minutes later a seal covers those that came since the last
seal, and carries its hash on. What this shows: an entry that was changed, removed or put between others after it was
sealed. What it cannot show: that the last seals are missing, unless somebody wrote down the last hash.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

#: The columns of an entry that a seal covers, in their order.
COLUMNS: Final = (
    "id", "entry", "at", "actor", "account_id", "action", "target", "outcome", "times", "request_id", "address",
)  # fmt: skip
_NUMBERS: Final = frozenset({"id", "at", "times"})
#: The hash before the first seal.
NOTHING: Final = "0" * 64
#: Less than the id of any entry, also of one that somebody put before the first.
BEFORE_ALL: Final = -(2**53 - 2)
#: How long an entry is kept (security.md, Audit).
KEPT_DAYS: Final = 400
KEPT_MS: Final = KEPT_DAYS * 86_400_000

_SUBJECT: Final = b"mm-subject-v1\0"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, and whether it was done or refused.

    Shape: `entry` names the entry, the same one is written once; `actor` is the id of a key, `operator` or `nobody`;
    `account_id` and `request_id` are empty where there is none; `times` is how often it had happened by then.
    `address` is a network (/24, /48), never an address. Units: `at` is milliseconds UTC, None = when it is written.
    """

    entry: str
    actor: str
    action: str
    target: str
    outcome: Literal["done", "refused"] = "done"
    account_id: str = ""
    at: int | None = None
    times: int = 1
    request_id: str = ""
    address: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Seal:
    """Everything up to the entry `upto` that the seal before does not cover. `newest_at` says when it may be deleted."""

    upto: int
    newest_at: int
    entries_hash: str
    prev_hash: str
    hash: str


def sealed(last: Mapping[str, Any] | None, entries: Sequence[Mapping[str, Any]]) -> Seal:
    """The seal of some entries, in order of their ids, that follows the last one."""
    previous = NOTHING if last is None else str(last["hash"])
    upto, newest_at = int(entries[-1]["id"]), max(int(one["at"]) for one in entries)
    entries_hash = _sha256([_values(one) for one in entries])
    made = _sha256([previous, upto, newest_at, entries_hash])
    return Seal(upto, newest_at, entries_hash, previous, made)


def first_broken(
    seals: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]], now_ms: int, *, whole: bool
) -> int | None:
    """The `upto` of the first seal that does not hold, or None.

    Seals and entries are in order. When the chain is not `whole`, the first seal is only where it begins. The entries of a
    seal that is older than they are kept may be gone.
    """
    previous, covered = (
        (NOTHING, BEFORE_ALL) if whole or not seals else (str(seals[0]["hash"]), int(seals[0]["upto"]))
    )
    for seal in seals if whole else seals[1:]:
        upto = int(seal["upto"])
        own = [one for one in entries if covered < int(one["id"]) <= upto]
        made = _sha256([previous, upto, int(seal["newest_at"]), seal["entries_hash"]])
        there = bool(own) or int(seal["newest_at"]) > now_ms - KEPT_MS
        if (seal["prev_hash"], seal["hash"]) != (previous, made):
            return upto
        if there and _sha256([_values(one) for one in own]) != seal["entries_hash"]:
            return upto
        previous, covered = made, upto
    return None


def subject_mark(secret: bytes) -> Callable[[str], str]:
    """How a forgotten person is named in the log: a keyed hash, so that the log does not keep whom it says was erased."""

    def mark(user_id: str) -> str:
        return hmac.digest(secret, _SUBJECT + user_id.encode("utf-8", "replace"), "sha256")[:16].hex()

    return mark


def _values(entry: Mapping[str, Any]) -> list[Any]:
    return [int(entry[name]) if name in _NUMBERS else str(entry[name]) for name in COLUMNS]


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
