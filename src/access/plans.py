"""Plans: what each allows. Source: contract.md §6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PlanName = Literal["free", "pro", "business"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account pays for. Units: events per project and calendar month (UTC); days an event is kept."""

    name: PlanName
    events_per_month: int
    retention_days: int
    project_mcp: bool
    account_mcp: bool


PLANS: Final[dict[PlanName, Plan]] = {
    "free": Plan("free", 100_000, 30, project_mcp=False, account_mcp=False),
    "pro": Plan("pro", 1_000_000, 90, project_mcp=True, account_mcp=False),
    "business": Plan("business", 10_000_000, 365, project_mcp=True, account_mcp=True),
}
