"""What the daily cron does. Each job can be repeated and can be killed at any moment; the next day's goes on."""

from __future__ import annotations

from typing import Final

from access.plans import PLANS
from analytics.window import day_of
from web.house import House

_KEEPS: Final[dict[str, int]] = {name: plan.retention_days for name, plan in PLANS.items()}


async def run_daily(house: House) -> None:
    """Folds what waits, then removes what is older than the plans keep. One project's failure does not stop the others."""
    now_ms = house.now_ms()
    await house.events.fold_waiting()
    kept = await house.events.set_retention(day_of(now_ms), _KEEPS)
    for project, first_day in kept.items():
        try:
            await house.events.purge(project, first_day, now_ms)
        except Exception as error:
            house.log("purge_failed", error)
