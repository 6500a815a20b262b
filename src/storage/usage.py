"""Usage: how many events a project has in each UTC month, and whether a request's still fit under the plan's quota.

An event counts in the month of its own time. What is stored is read from the totals of tier 1, what waits in the inbox is
added whole, whichever month it is for; so usage is never too low, and exact once the inbox is folded. Nothing is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from analytics.event import Event
from analytics.store import QuotaExceededError
from analytics.window import MS_PER_DAY
from storage.database import Result, Statement
from storage.tiers import TOTAL_KIND

_EPOCH: Final = date(1970, 1, 1)


def _used(project: str) -> str:
    """The events of a project in `month`, a row of json_each."""
    return f"""(
     coalesce((SELECT sum(r.events) FROM daily AS r
                WHERE r.project = {project} AND r.kind = {TOTAL_KIND}
                  AND r.day BETWEEN month.value ->> 'first' AND month.value ->> 'last'), 0)
     + coalesce((SELECT sum(i.events) FROM inbox AS i WHERE i.project = {project}), 0))"""


#: A condition for the statement that accepts events: ?2 the project, ?5 the months as JSON, ?6 the quota.
HAS_ROOM: Final = f"""NOT EXISTS (
     SELECT 1 FROM json_each(?5) AS month WHERE (month.value ->> 'events') + {_used("?2")} > ?6)"""

_USAGE: Final = f"SELECT month.key AS place, {_used('?1')} AS used FROM json_each(?2) AS month"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of the quota: how many events of each month, by the month's first and last day."""

    quota: int
    months: tuple[dict[str, int], ...]

    @property
    def as_json(self) -> str:
        return json.dumps(self.months)

    def usage(self, project: int) -> Statement:
        """What is used of each of the months, for `check`."""
        return Statement(_USAGE, (project, self.as_json))

    def exceeds(self, usage: Result) -> bool:
        """Whether some month has no room."""
        return any(row["used"] + self.months[row["place"]]["events"] > self.quota for row in usage.rows)

    def check(self, usage: Result) -> None:
        """Errors: QuotaExceededError, about the first month that has no room."""
        for row in usage.rows:
            month = self.months[row["place"]]
            if row["used"] + month["events"] > self.quota:
                raise QuotaExceededError(self.quota, row["used"], (month["last"] + 1) * MS_PER_DAY)


def demand(events: Sequence[Event], quota: int) -> Demand:
    """The demand of some events. A request has few months, mostly one."""
    months = Counter(_month_of(event.ts_ms // MS_PER_DAY) for event in events)
    return Demand(
        quota,
        tuple({"first": first, "last": last, "events": count} for (first, last), count in months.items()),
    )


def _month_of(day: int) -> tuple[int, int]:
    """The first and the last day of the month that a day lies in."""
    first = (_EPOCH + timedelta(days=day)).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return (first - _EPOCH).days, (following - _EPOCH).days - 1
