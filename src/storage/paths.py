"""Counts by path: one row holds sixteen days of a path, so that a month of two thousand paths is six thousand rows.

A row a day and path would cost no less to write, since a fold brings few days, and ten times as many rows to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: The days of one row: `span` is day / 16, and `e<k>` what happened on day 16 * span + k.
SPAN_DAYS: Final = 16
_PLACES: Final = range(SPAN_DAYS)
_COLUMNS: Final = ", ".join(f"e{k}" for k in _PLACES)
_ALL: Final = " + ".join(f"e{k}" for k in _PLACES)


def change_paths(fresh: str, sign: str = "") -> str:
    """The statement that adds what is `fresh` to the counts by path; with the sign "-" it takes it away (unfold.py)."""
    added = ", ".join(f"{sign}sum(day % {SPAN_DAYS} = {k})" for k in _PLACES)
    summed = ", ".join(f"e{k} = path_days.e{k} + excluded.e{k}" for k in _PLACES)
    return f"""
INSERT INTO path_days (project, span, path, site, {_COLUMNS})
WITH {fresh}
SELECT project, day / {SPAN_DAYS}, path, site, {added} FROM fresh WHERE true
 GROUP BY project, day / {SPAN_DAYS}, path, site
ON CONFLICT (project, span, path, site) DO UPDATE SET {summed}"""


def delete_empty(rows: str) -> str:
    """The statement that deletes those of some rows, given by a condition, that count nothing any more."""
    return f"DELETE FROM path_days WHERE {rows} AND {_ALL} = 0"


#: What of a row `path_days` lies before its project's retention.
_IS_OLD: Final = (
    f"span * {SPAN_DAYS} + {{}} < (SELECT first_day FROM retention WHERE project = path_days.project)"
)

#: Rows that count something before the day ?2, of project ?1, as `key`: a JSON list of span, path and site; ?3 how many.
FIND_OLD: Final = f"""
SELECT json_array(span, path, site) AS key FROM path_days
 WHERE project = ?1 AND span <= CAST(?2 AS INTEGER) / {SPAN_DAYS}
   AND {" + ".join(f"e{k} * (span * {SPAN_DAYS} + {k} < ?2)" for k in _PLACES)} > 0 LIMIT ?3"""


def empty_old(rows: str) -> str:
    """The statement that takes what lies before the retention out of some rows, given by a condition."""
    left = ", ".join(f"e{k} = CASE WHEN {_IS_OLD.format(k)} THEN 0 ELSE e{k} END" for k in _PLACES)
    return f"UPDATE path_days SET {left} WHERE {rows}"


def of_span(day: str) -> str:
    return f"{day} / {SPAN_DAYS}"


def counted_between(row: str, first_day: str, last_day: str) -> str:
    """What a row counts on some days: what it counts from the first on, less what it counts after the last."""

    def since(place: str, order: Iterable[int]) -> str:
        arms = " ".join(
            f"WHEN {k} THEN {' + '.join([f'{row}.e{later}' for later in _PLACES[k:]]) or '0'}" for k in order
        )
        return f"CASE {place} {arms} ELSE 0 END"

    first = since(f"max({first_day} - {row}.span * {SPAN_DAYS}, 0)", _PLACES)
    # CASE tries one arm after the other, and most rows end before the last day does.
    rest = since(f"min({last_day} - {row}.span * {SPAN_DAYS} + 1, {SPAN_DAYS})", range(SPAN_DAYS, 0, -1))
    return f"({first} - {rest})"
