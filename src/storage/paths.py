"""Counts by path: one row holds eight paths on eight days, so that what a fold adds to many paths is written in few rows.

Paths are the one column with thousands of values, and a fold of a thousand events brings some four hundred of them. Their
dictionary ids follow the order in which they were first seen, so that the frequent ones are near each other: the same fold
changes under two hundred rows of eight. docs/decisions/0010-exact-uniques.md, "Paths".
"""

from __future__ import annotations

from typing import Final

from storage.octets import octets_of
from storage.tiers import OCTET_DAYS

#: The paths of one row: `paths` is path / 8, `octet` day / 8, and e<8p + d> counts path 8 * paths + p on day 8 * octet + d.
PATHS: Final = 8
_PLACES: Final = range(PATHS)
_DAYS: Final = range(OCTET_DAYS)
#: The columns of a row.
COUNTS: Final = [f"e{place}" for place in range(PATHS * OCTET_DAYS)]
_COLUMNS: Final = ", ".join(COUNTS)
_PATH_AND_DAY: Final = f"path % {PATHS} * {OCTET_DAYS} + day % {OCTET_DAYS}"


def _of_path(place: int) -> list[str]:
    """The columns of one path of a row, day by day."""
    return COUNTS[place * OCTET_DAYS : (place + 1) * OCTET_DAYS]


def change_paths(fresh: str, sign: str = "") -> str:
    """The statement that adds what is `fresh` to the counts by path; with the sign "-" it takes it away (unfold.py)."""
    added = ", ".join(f"{sign}sum(events * (place = {place}))" for place in range(len(COUNTS)))
    summed = ", ".join(f"{one} = path_counts.{one} + excluded.{one}" for one in COUNTS)
    return f"""
INSERT INTO path_counts (project, octet, paths, site, {_COLUMNS})
WITH {fresh}
SELECT project, octet, paths, site, {added}
  FROM (SELECT project, day / {OCTET_DAYS} AS octet, path / {PATHS} AS paths, site, {_PATH_AND_DAY} AS place,
               count(*) AS events FROM fresh GROUP BY 1, 2, 3, 4, 5) WHERE true
 GROUP BY project, octet, paths, site
ON CONFLICT (project, octet, paths, site) DO UPDATE SET {summed}"""


def delete_empty(rows: str) -> str:
    """The statement that deletes those of some rows, given by a condition, that count nothing any more."""
    return f"DELETE FROM path_counts WHERE {rows} AND {' + '.join(COUNTS)} = 0"


def counts(path: str, row: str) -> str:
    """Whether a row of `path_counts` counts a path, both as SQL."""
    arms = " ".join(
        f"WHEN {place} THEN {' + '.join(f'{row}.{one}' for one in _of_path(place))}" for place in _PLACES
    )
    return f"({row}.paths = {path} / {PATHS} AND CASE {path} % {PATHS} {arms} END > 0)"


#: Rows that count something before the day ?2, of project ?1, as `key`: a JSON list of octet, paths and site; ?3 how many.
FIND_OLD: Final = f"""
SELECT json_array(octet, paths, site) AS key FROM path_counts
 WHERE project = ?1 AND octet <= CAST(?2 AS INTEGER) / {OCTET_DAYS}
   AND {
    " + ".join(
        f"({' + '.join(COUNTS[day::OCTET_DAYS])}) * (octet * {OCTET_DAYS} + {day} < ?2)" for day in _DAYS
    )
} > 0 LIMIT ?3"""

#: Whether a day of a row of `path_counts` lies before its project's retention.
_IS_OLD: Final = (
    f"octet * {OCTET_DAYS} + {{}} < (SELECT first_day FROM retention WHERE project = path_counts.project)"
)


def empty_old(rows: str) -> str:
    """The statement that takes what lies before the retention out of some rows, given by a condition."""
    left = ", ".join(
        f"{one} = CASE WHEN {_IS_OLD.format(place % OCTET_DAYS)} THEN 0 ELSE {one} END"
        for place, one in enumerate(COUNTS)
    )
    return f"UPDATE path_counts SET {left} WHERE {rows}"


def paths_of(rows: str, paths: str) -> str:
    """A subquery: the ids of the paths of some rows, by what stands in FROM and by what their `paths` are there."""
    return f"SELECT ({paths}) * {PATHS} + place.value FROM {rows} CROSS JOIN {_EACH_PLACE}"


_EACH_PLACE: Final = f"json_each('{list(_PLACES)}') AS place"


def counted_between(pieces: str) -> str:
    """The rows `project, bucket, key0, events` of the paths on the days of each of `pieces (project, bucket, first_day,
    last_day)`: of octets within them all days are added up, of those at their two ends the days that belong to them.
    """
    whole = ", ".join(f"{' + '.join(f'r.{one}' for one in _of_path(place))} AS p{place}" for place in _PLACES)
    partly = ", ".join(
        f"{' + '.join(f'r.{one} * edge.d{day}' for day, one in enumerate(_of_path(place)))} AS p{place}"
        for place in _PLACES
    )
    days = ", ".join(
        f"edge.value * {OCTET_DAYS} + {day} BETWEEN piece.first_day AND piece.last_day AS d{day}"
        for day in _DAYS
    )
    within = octets_of("piece")
    first, last = f"piece.first_day / {OCTET_DAYS}", f"piece.last_day / {OCTET_DAYS}"
    summed = ", ".join(f"sum(p{place}) AS p{place}" for place in _PLACES)
    arms = " ".join(f"WHEN {place} THEN p{place}" for place in _PLACES)
    return f"""SELECT project, bucket, rows.paths * {PATHS} + place.value AS key0, CASE place.value {arms} END AS events
    FROM (SELECT project, bucket, paths, {summed}
            FROM (SELECT piece.project AS project, piece.bucket AS bucket, r.paths AS paths, {whole}
                    FROM {pieces} AS piece CROSS JOIN path_counts AS r
                   WHERE r.project = piece.project AND r.octet {within}
                  UNION ALL
                  SELECT edge.project, edge.bucket, r.paths, {partly}
                    FROM (SELECT piece.project AS project, piece.bucket AS bucket, edge.value AS octet, {days}
                            FROM {pieces} AS piece CROSS JOIN json_each(json_array({first}, {last})) AS edge
                           WHERE edge.value NOT {within} AND (edge.key = 0 OR {first} < {last})
                           LIMIT -1) AS edge
                         CROSS JOIN path_counts AS r
                   WHERE r.project = edge.project AND r.octet = edge.octet LIMIT -1)
           GROUP BY project, bucket, paths) AS rows CROSS JOIN {_EACH_PLACE}
   WHERE events > 0"""
