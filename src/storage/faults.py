"""What D1's messages mean: its errors carry no code, so they are told apart by fragments of their text.

Unknown text is a bug of ours: it is not tried again and passes through. Source: security.md T-FLT-D1…D9,
workers-platform.md §2.7, Cloudflare's D1 debugging page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from analytics.store import (
    QueryTooHeavyError,
    StorageFullError,
    StoreNotReadyError,
    StoreOverloadedError,
    StoreUnavailableError,
)

Fault = Literal["transient", "overloaded", "too heavy", "full", "not ready", "unavailable"]

#: The first fault with a fragment in the text is the one. Fragments are compared in lower case.
_FRAGMENTS: Final[Mapping[Fault, tuple[str, ...]]] = {
    "too heavy": (
        "exceeded timeout",
        "exceeded its cpu",
        "exceeded its memory",
        "sqlite_toobig",
        "out of memory",
    ),
    "full": ("exceeded maximum db size", "sqlite_full", "database or disk is full"),
    "not ready": ("no such table", "no such column"),
    "overloaded": ("overloaded", "too many requests queued", "sqlite_busy", "database is locked"),
    "transient": (
        "network connection lost",
        "storage caused object to be reset",
        "reset because its code was updated",
        "cannot resolve d1 db due to transient issue",
    ),
    "unavailable": ("internal error", "cannot resolve d1"),
}


def fault_of(error: Exception) -> Fault | None:
    """What kind of fault a driver's error is; None for what nobody foresaw."""
    text = str(error).lower()
    return next((fault for fault, parts in _FRAGMENTS.items() if any(part in text for part in parts)), None)


def named(fault: Fault | None, error: Exception) -> Exception:
    """The error the rest of the house knows a fault by. Its message holds nothing of the driver's."""
    if fault is None:
        return error
    if fault == "too heavy":
        return QueryTooHeavyError("the question exceeds the database's limits")
    if fault == "full":
        return StorageFullError("the database is full")
    if fault == "not ready":
        return StoreNotReadyError("the schema is not applied")
    if fault == "overloaded":
        return StoreOverloadedError("the database has too much to do")
    return StoreUnavailableError("the database did not answer")
