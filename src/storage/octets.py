"""Tier 1 again, eight days in one row: of thirty days mostly a third of the rows, of ninety about a fifth.

An octet is eight UTC days, day / 8. Its row of `eight_days` is what its rows of `daily` add up to: the events, and as t<k>
the visitors of those days who had not been seen with the value in the k days before the first of them. The cron adds
octets up when few events still come for them. An octet counts while its row of the totals is there; two triggers of
schema.sql take that row away with whatever comes or changes in `daily`. A row of `daily` goes only when it counts nothing
any more, and so has changed, or when it is older than retention, from where no window begins.
docs/decisions/0027-eight-days.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from storage.database import Statement
from storage.tiers import ALL_KINDS, OCTET_DAYS, OCTET_TAILS, TOTAL_KIND

#: How long after an octet's last day most of what is late has come.
GRACE_DAYS: Final = 2
#: How many octets of a project one run adds up, the latest first.
AT_ONCE: Final = 16

_DAYS: Final = range(OCTET_DAYS)

#: Whether the octet of the day of `day_total`, a row of `daily`, is added up.
_IS_ADDED_UP: Final = f"""EXISTS (
     SELECT 1 FROM eight_days AS octet_total
      WHERE octet_total.project = day_total.project AND octet_total.kind = {TOTAL_KIND}
        AND octet_total.octet = day_total.day / {OCTET_DAYS})"""

#: The `octet`s of the project ?1 between the days ?2 and ?3 (not itself) that hold events and are not added up.
_TO_ADD_UP: Final = f"""
SELECT DISTINCT day_total.day / {OCTET_DAYS} AS octet FROM daily AS day_total
 WHERE day_total.project = ?1 AND day_total.kind = {TOTAL_KIND}
   AND day_total.day >= ?2 AND day_total.day < ?3 AND NOT {_IS_ADDED_UP}
 ORDER BY octet DESC LIMIT {AT_ONCE}"""

_DELETE: Final = f"DELETE FROM eight_days WHERE project = ?1 AND kind IN ({ALL_KINDS}) AND octet = ?2"


def _tail(k: int) -> str:
    """t<k> of an octet: of its day number `place`, those not seen in the k days before the octet nor on its days before."""
    return (
        f"sum(CASE day % {OCTET_DAYS} {' '.join(f'WHEN {place} THEN t{k + place}' for place in _DAYS)} END)"
    )


_ADD_UP: Final = f"""
INSERT INTO eight_days (project, kind, octet, a, b, events, {", ".join(f"t{k}" for k in range(OCTET_TAILS))})
SELECT project, kind, day / {OCTET_DAYS}, a, b, sum(events), {", ".join(map(_tail, range(OCTET_TAILS)))}
  FROM daily
 WHERE project = ?1 AND kind IN ({ALL_KINDS}) AND day BETWEEN ?2 * {OCTET_DAYS} AND ?2 * {OCTET_DAYS} + {OCTET_DAYS - 1}
 GROUP BY kind, day / {OCTET_DAYS}, a, b"""


def to_add_up(project: int, first_day: int, today: int) -> Statement:
    """The `octet`s to add up: those that retention has left whole and that are over for some days."""
    octets = _octets_in(range(first_day, today - GRACE_DAYS + 1))
    return Statement(_TO_ADD_UP, (project, octets.start * OCTET_DAYS, octets.stop * OCTET_DAYS))


def add_up(project: int, octet: int) -> Sequence[Statement]:
    """The statements that put an octet in its rows, for one batch."""
    return [Statement(_DELETE, (project, octet)), Statement(_ADD_UP, (project, octet))]


def delete_rest(projects: str, first_day: str) -> str:
    """The statement that deletes what is left, from some day on, of octets that do not count any more."""
    return f"""
DELETE FROM eight_days
 WHERE project IN {projects} AND kind IN ({ALL_KINDS}) AND octet >= {first_day} / {OCTET_DAYS}
   AND NOT EXISTS (SELECT 1 FROM eight_days AS octet_total
                    WHERE octet_total.project = eight_days.project AND octet_total.kind = {TOTAL_KIND}
                      AND octet_total.octet = eight_days.octet)"""


def holds_octet(days: range) -> bool:
    """Whether an octet lies within some days."""
    return len(_octets_in(days)) > 0


def _octets_in(days: range) -> range:
    return range(-(-days.start // OCTET_DAYS), days.stop // OCTET_DAYS)


def octets_of(days: str) -> str:
    """The same in SQL, to put after an octet: BETWEEN, for the days from `first_day` to `last_day` of some row."""
    return f"BETWEEN ({days}.first_day + {OCTET_DAYS - 1}) / {OCTET_DAYS} AND ({days}.last_day + 1) / {OCTET_DAYS} - 1"


_WITHIN: Final = octets_of("span")

# The plus keeps SQLite 3.40 from carrying the range of days over to `r`, which would read all of it for each of its days.
#: FROM and WHERE: the rows `r` of the kind `kind` of all octets that are added up and lie within the days of a `span`.
OF_OCTETS: Final = f"""FROM spans AS span CROSS JOIN eight_days AS octet_total CROSS JOIN eight_days AS r
   WHERE octet_total.project = span.project AND octet_total.kind = {TOTAL_KIND} AND octet_total.octet {_WITHIN}
     AND r.project = octet_total.project AND r.kind = {{kind}} AND r.octet = +octet_total.octet"""
#: The same: the rows `r` of `daily` of all other days of the span. The totals have a row for each day that has any.
OF_OTHER_DAYS: Final = f"""FROM spans AS span CROSS JOIN daily AS day_total CROSS JOIN daily AS r
   WHERE day_total.project = span.project AND day_total.kind = {TOTAL_KIND}
     AND day_total.day BETWEEN span.first_day AND span.last_day
     AND NOT (day_total.day / {OCTET_DAYS} {_WITHIN} AND {_IS_ADDED_UP})
     AND r.project = day_total.project AND r.kind = {{kind}} AND r.day = +day_total.day"""
