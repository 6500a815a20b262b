"""Whether the database is there and its schema applied. Cheap: no row is read, and an isolate asks seldom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics.store import StoreUnavailableError
from storage.database import Database, Statement

#: Every table of schema.sql.
TABLES: Final = (
    "accounts", "projects", "api_keys", "kv_pending", "dictionary", "inbox", "folds", "retention", "events", "visitor_days",
    "daily", "eight_days", "path_counts", "people", "arrivals", "audit_entries", "audit_seals", "erasures",
    "replays_asked", "latest_events",
)  # fmt: skip
#: Fails to be prepared when a table is missing, and reads nothing.
SELECT_TABLES: Final = f"SELECT {', '.join(f'EXISTS (SELECT 1 FROM {table} LIMIT 0)' for table in TABLES)}"

#: How long an isolate believes an answer, good or bad: who asks often costs D1 nothing.
BELIEVED_MS: Final = 10_000
DOUBTED_MS: Final = 1_000


@dataclass
class Health:
    """What an isolate last heard."""

    until_ms: int = 0
    fault: StoreUnavailableError | None = None

    async def check(self, database: Database, now_ms: int) -> None:
        """Errors: StoreNotReadyError when a table is missing, else StoreUnavailableError."""
        if now_ms >= self.until_ms:
            try:
                await database.batch([Statement(SELECT_TABLES)])
                self.until_ms, self.fault = now_ms + BELIEVED_MS, None
            except StoreUnavailableError as fault:
                self.until_ms, self.fault = now_ms + DOUBTED_MS, fault
        if self.fault is not None:
            raise self.fault
