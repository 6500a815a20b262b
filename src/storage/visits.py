"""Single sessions, paths and journeys in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic_core import from_json

from analytics.measures import PAGEVIEW
from analytics.store import Row
from analytics.visits import PATH_STEPS, JourneyQuestion, PathsQuestion, SessionsQuestion
from analytics.window import Window, format_instant
from storage.database import Statement
from storage.dictionary import hash63
from storage.ids import key_of, text_of
from storage.measuring import is_named, sessions_of
from storage.sql_parts import Binder, holds, in_window, of_visitor_days

_SESSION: Final = "PARTITION BY project, visitor, session"
_ORDER: Final = "ORDER BY ts, event, name"
_LAST: Final = "ORDER BY ts DESC, event DESC, name DESC"
_FACTS: Final = ("source", "medium", "campaign", "country", "device_type", "browser", "os")


def _seen(binder: Binder, numbers: Sequence[int], question: SessionsQuestion | PathsQuestion) -> str:
    """WITH clauses up to `visits`: every event of the window with its session, and whether the filters let it through."""
    hit = " AND ".join(holds(binder, one) for one in question.filters) or "1"
    facts = ", ".join(f"e.{column} AS {column}" for column in _FACTS)
    source = in_window(binder, numbers, Window(question.from_, question.to))
    return f"""WITH seen AS MATERIALIZED (
  SELECT p.value AS project, e.visitor AS visitor, e.ts AS ts, e.event AS event, e.name AS name, e.path AS path, {facts},
         e.anonymous_id AS kept_id, e.user_id AS user_id, {hit} AS hit, {is_named(binder, PAGEVIEW)} AS viewed
    {source}),{sessions_of("seen")}"""


def sessions(numbers: Sequence[int], question: SessionsQuestion) -> Statement:
    """Rows `project, started, ended, anonymous_id, …`, newest first, one more than the limit."""
    binder = Binder()
    facts = ", ".join(f"max(CASE WHEN nth = 1 THEN {column} END) AS {column}" for column in _FACTS)
    texts = ", ".join(f"{column}.value AS {column}" for column in (*_FACTS, "entry_page", "exit_page"))
    joins = "".join(
        f"\n  LEFT JOIN dictionary AS {column} ON {column}.id = s.{column}"
        for column in (*_FACTS, "entry_page", "exit_page")
    )
    return binder.statement(f"""{_seen(binder, numbers, question)},
numbered AS (
  SELECT *, row_number() OVER ({_SESSION} {_ORDER}) AS nth, row_number() OVER ({_SESSION}, viewed {_ORDER}) AS nth_view,
         row_number() OVER ({_SESSION}, viewed {_LAST}) AS nth_last
    FROM visits),
ended AS (
  SELECT project, min(ts) AS started, max(ts) AS ended, count(*) AS events, sum(viewed) AS pageviews,
         visitor, max(kept_id) AS kept_id, max(user_id) AS user_id, {facts},
         max(CASE WHEN viewed AND nth_view = 1 THEN path END) AS entry_page,
         max(CASE WHEN viewed AND nth_last = 1 THEN path END) AS exit_page
    FROM numbered GROUP BY project, visitor, session HAVING max(hit)),
newest AS (
  SELECT *, {text_of("visitor", "kept_id")} AS anonymous_id
    FROM ended ORDER BY started DESC, anonymous_id, project LIMIT {binder.bind(question.limit + 1)})
SELECT s.project AS project, s.started AS started, s.ended AS ended, s.anonymous_id AS anonymous_id, s.user_id AS user_id,
       s.events AS events, s.pageviews AS pageviews, {texts}
  FROM newest AS s{joins}
 ORDER BY s.started DESC, s.anonymous_id, s.project""")


def session_row(row: Row) -> Row:
    """A session as it is shown."""
    times = {
        "started": format_instant(row["started"]),
        "duration_seconds": (row["ended"] - row["started"]) / 1000,
    }
    return {"project": row["project"], **times} | {
        name: value for name, value in row.items() if name not in ("project", "started", "ended")
    }


def paths(numbers: Sequence[int], question: PathsQuestion) -> Statement:
    """Rows `project, path, sessions, visitors, share`: `path` a JSON array as text; the most frequent of each project."""
    binder = Binder()
    return binder.statement(f"""{_seen(binder, numbers, question)},
chosen AS (SELECT *, max(hit) OVER ({_SESSION}) AS wanted FROM visits),
views AS (
  SELECT *, coalesce(lag(path) OVER ({_SESSION} {_ORDER}), 0) AS before, row_number() OVER ({_SESSION} {_ORDER}) AS nth
    FROM chosen WHERE wanted AND viewed),
steps AS (
  SELECT project, visitor, session, path, row_number() OVER ({_SESSION} {_ORDER}) AS place
    FROM views WHERE nth = 1 OR coalesce(path, 0) <> before),
named AS (
  SELECT steps.project AS project, visitor, session, place, json_quote(text.value) AS page
    FROM steps LEFT JOIN dictionary AS text ON text.id = steps.path WHERE place <= {PATH_STEPS}),
walked AS (
  SELECT project, visitor, session, group_concat(page, ',') OVER one AS path,
         row_number() OVER ({_SESSION} ORDER BY place DESC) AS from_end
    FROM named
  WINDOW one AS ({_SESSION} ORDER BY place ROWS UNBOUNDED PRECEDING)),
counted AS (
  SELECT project, '[' || path || ']' AS path, count(*) AS sessions, count(DISTINCT visitor) AS visitors
    FROM walked WHERE from_end = 1 GROUP BY project, path)
SELECT project, path, sessions, visitors, 1.0 * sessions / total AS share FROM (
  SELECT *, sum(sessions) OVER (PARTITION BY project) AS total,
         row_number() OVER (PARTITION BY project ORDER BY sessions DESC, path) AS place FROM counted)
 WHERE place <= {binder.bind(question.limit)} ORDER BY project, place""")


def journey(numbers: Sequence[int], question: JourneyQuestion) -> Statement:
    """Rows `project, ts, session, …, properties`, in order, one more than the limit."""
    binder = Binder()
    window = Window(question.from_, question.to)
    projects = binder.bind(json.dumps(list(numbers)))
    if question.user_id is not None:
        person = f"CAST({binder.bind(str(hash63(question.user_id)))} AS INTEGER)"
        devices = "CROSS JOIN people AS of_person "
        whose = f"of_person.project = p.value AND of_person.person = {person} AND there.visitor = of_person.visitor"
        only = f" AND coalesce(e.user_id, {binder.bind(question.user_id)}) = {binder.bind(question.user_id)}"
    else:
        devices = only = ""
        whose = f"there.visitor = CAST({binder.bind(str(key_of(question.anonymous_id or '')))} AS INTEGER)"
    seen = f"""WITH theirs AS MATERIALIZED (
  SELECT DISTINCT there.project AS project, there.visitor AS visitor, there.day AS day
    FROM json_each({projects}) AS p {devices}CROSS JOIN visitor_days AS there
   WHERE {whose} AND there.project = p.value
     AND there.day BETWEEN {binder.bind(window.first_day)} AND {binder.bind(window.last_day)}),
seen AS (
  SELECT was.project AS project, 0 AS visitor, e.ts AS ts, e.event AS event, e.name AS name, e.path AS path,
         e.source AS source, e.medium AS medium, e.user_id AS user_id,
         {text_of("e.visitor", "e.anonymous_id")} AS anonymous_id, coalesce(e.properties, '{{}}') AS properties
    {of_visitor_days(binder, "theirs", window)}{only}),{sessions_of("seen")}"""
    return binder.statement(f"""{seen}
SELECT v.project AS project, v.ts AS ts, v.session AS session,
       (v.ts - lag(v.ts) OVER (PARTITION BY v.project ORDER BY v.ts, v.event, v.name)) / 1000.0 AS seconds_since_previous,
       name.value AS event_name, path.value AS path, source.value AS source, medium.value AS medium,
       v.anonymous_id AS anonymous_id, v.user_id AS user_id, v.properties AS properties
  FROM visits AS v
  LEFT JOIN dictionary AS name ON name.id = v.name
  LEFT JOIN dictionary AS path ON path.id = v.path
  LEFT JOIN dictionary AS source ON source.id = v.source
  LEFT JOIN dictionary AS medium ON medium.id = v.medium
 ORDER BY v.project, v.ts, v.event, v.name LIMIT {binder.bind(question.limit + 1)}""")


def journey_row(row: Row) -> Row:
    """An event of a journey as it is shown."""
    shown = {"project": row["project"], "timestamp": format_instant(row["ts"])}
    rest = {name: value for name, value in row.items() if name not in ("project", "ts")}
    return shown | rest


def path_row(row: Row) -> Row:
    """A path as it is shown: a list of pages."""
    return row | {"path": from_json(row["path"])}
