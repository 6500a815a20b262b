"""Where the newest events of a project are. The key of `events` puts the days in order, and not the events of a day: for the
newest fifty, a busy day would have to be read whole.

`latest_events` has one row for a project: every event from `since` on stands in `keys`. Others may stand there too, and what
is not stored: whoever reads looks each key up. docs/decisions/0026-latest-events.md.
"""

from __future__ import annotations

from typing import Final

from analytics.window import MS_PER_DAY
from storage.inbox import EVENT, TS, VISITOR

#: More than a page of events has, unless one asks for a longer one.
KEPT: Final = 128
#: The parts of a key `one.value`.
_TS, _EVENT, _NAME, _VISITOR = (f"one.value ->> {place}" for place in range(4))


def remember(projects: str, waiting: str, name: str) -> str:
    """The statement of a fold that puts what waits among the newest. `name` is the id of a waiting event's name.

    Of a project that had events before it had a row, only what is later than all of them is listed.
    """
    return f"""
INSERT INTO latest_events (project, since, keys)
WITH had AS MATERIALIZED (
  SELECT f.project, coalesce(l.keys, '[]') AS keys,
         coalesce(l.since, CASE f.fold WHEN 1 THEN 0 ELSE f.latest_ts + 1 END) AS since
    FROM (SELECT DISTINCT i.project FROM inbox AS i WHERE i.project IN {projects}) AS p CROSS JOIN folds AS f
         LEFT JOIN latest_events AS l ON l.project = f.project
   WHERE f.project = p.project),
listed (project, ts, event, name, visitor) AS (
  SELECT had.project, w.event ->> {TS}, w.event ->> {EVENT}, {name}, w.event ->> {VISITOR}
    FROM {waiting} AND had.project = w.project AND w.event ->> {TS} >= had.since
  UNION
  SELECT had.project, {_TS}, {_EVENT}, {_NAME}, {_VISITOR} FROM had CROSS JOIN json_each(had.keys) AS one),
ordered AS (
  SELECT *, row_number() OVER (PARTITION BY project ORDER BY ts DESC, event DESC, name DESC, visitor DESC) AS place
    FROM listed)
SELECT had.project, max(max(had.since), coalesce(max(ordered.ts) FILTER (WHERE place > {KEPT}) + 1, 0)),
       json_group_array(json_array(ts, event, name, visitor)) FILTER (WHERE place <= {KEPT})
  FROM had LEFT JOIN ordered ON ordered.project = had.project GROUP BY had.project
ON CONFLICT (project) DO UPDATE SET since = excluded.since, keys = excluded.keys"""


def forget(projects: str, gone: str) -> str:
    """The statement that takes keys out. `gone` lists their `ts, event, name, visitor`."""
    key, listed = f"({_TS}, {_EVENT}, {_NAME}, {_VISITOR})", "json_each(latest_events.keys) AS one"
    return f"""
UPDATE latest_events
   SET keys = (SELECT json_group_array(json(one.value)) FROM {listed} WHERE {key} NOT IN ({gone}))
 WHERE project IN {projects} AND EXISTS (SELECT 1 FROM {listed} WHERE {key} IN ({gone}))"""


#: The rows `e` of those events of the project ?1 that stand in its row, and are from `since` on.
LISTED: Final = f"""FROM latest_events AS l CROSS JOIN json_each(l.keys) AS one CROSS JOIN events AS e
   WHERE l.project = ?1 AND {_TS} >= l.since AND e.project = l.project AND e.day = ({_TS}) / {MS_PER_DAY}
     AND e.name = {_NAME} AND e.visitor = {_VISITOR} AND e.ts = {_TS} AND e.event = {_EVENT}"""

#: From when on all events of the project ?1 stand there.
SINCE: Final = "(SELECT since FROM latest_events WHERE project = ?1)"
