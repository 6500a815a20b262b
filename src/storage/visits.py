"""Single sessions, paths and journeys in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic_core import from_json

from analytics.measures import PAGEVIEW, SESSION_GAP_MS
from analytics.store import Row
from analytics.visits import PATH_STEPS, JourneyQuestion, PathsQuestion, SessionsQuestion
from analytics.window import MS_PER_DAY, Window, format_instant
from storage.database import Statement
from storage.dictionary import hash63
from storage.ids import key_of, text_of
from storage.measuring import named_once, passes, pauses_of, sessions_of
from storage.sql_parts import Binder, in_window, of_visitor_days
from storage.tiers import TOTAL_KIND

_SESSION: Final = "PARTITION BY project, visitor, session"
_ORDER: Final = "ORDER BY ts, event, name"
_LAST: Final = "ORDER BY ts DESC, event DESC, name DESC"
#: The half of an integer that a page takes: ids of texts stay far below it (storage/counting.py).
_PAGE_MASK: Final = 2**31 - 1
_FACTS: Final = ("source", "medium", "campaign", "country", "device_type", "browser", "os")


def sessions(numbers: Sequence[int], question: SessionsQuestion) -> Statement:
    """Rows `project, started, ended, anonymous_id, …`, newest first, one more than the limit.

    Sessions are cut from half hours, which need few columns; the events of those that are shown are read once more.
    """
    binder = Binder()
    facts = ", ".join(f"max(CASE WHEN nth = 1 THEN {column} END) AS {column}" for column in _FACTS)
    texts = ", ".join(f"{column}.value AS {column}" for column in (*_FACTS, "entry_page", "exit_page"))
    joins = "".join(
        f"\n  LEFT JOIN dictionary AS {column} ON {column}.id = s.{column}"
        for column in (*_FACTS, "entry_page", "exit_page")
    )
    limit = binder.bind(question.limit + 1)
    columns = ", ".join(f"e.{column} AS {column}" for column in _FACTS)
    return binder.statement(f"""WITH {_half_hours(binder, numbers, question, limit)},{sessions_of("seen", "first")},
newest AS MATERIALIZED (
  SELECT *, {text_of("visitor", "kept_id")} AS anonymous_id FROM (
    SELECT session, project, visitor, min(first) AS started, max(last) AS ended, max(kept_id) AS kept_id
      FROM visits GROUP BY session HAVING sum(hits) > 0)
   ORDER BY started DESC, anonymous_id, project LIMIT {limit}),
shown AS (
  SELECT s.project AS project, s.visitor AS visitor, s.session AS session, e.ts AS ts, e.event AS event, e.name AS name,
         e.path AS path, {columns}, e.user_id AS user_id, e.name IS view.id AS viewed
    FROM (SELECT min(started) / {MS_PER_DAY} AS first_day, max(ended) / {MS_PER_DAY} AS last_day FROM newest) AS span
   CROSS JOIN json_each({binder.bind(json.dumps(list(numbers)))}) AS p{named_once(binder, "view", PAGEVIEW)}
   CROSS JOIN events AS e CROSS JOIN newest AS s
   WHERE e.project = p.value AND e.day BETWEEN span.first_day AND span.last_day
     AND s.project = e.project AND s.visitor = e.visitor AND e.ts BETWEEN s.started AND s.ended),
numbered AS (
  SELECT *, row_number() OVER ({_SESSION} {_ORDER}) AS nth, row_number() OVER ({_SESSION}, viewed {_ORDER}) AS nth_view,
         row_number() OVER ({_SESSION}, viewed {_LAST}) AS nth_last
    FROM shown),
ended AS (
  SELECT session, count(*) AS events, sum(viewed) AS pageviews, max(user_id) AS user_id, {facts},
         max(CASE WHEN viewed AND nth_view = 1 THEN path END) AS entry_page,
         max(CASE WHEN viewed AND nth_last = 1 THEN path END) AS exit_page
    FROM numbered GROUP BY session)
SELECT newest.project AS project, newest.started AS started, newest.ended AS ended, newest.anonymous_id AS anonymous_id,
       s.user_id AS user_id, s.events AS events, s.pageviews AS pageviews, {texts}
  FROM newest JOIN ended AS s ON s.session = newest.session{joins}
 ORDER BY newest.started DESC, newest.anonymous_id, newest.project""")


def _half_hours(binder: Binder, numbers: Sequence[int], question: SessionsQuestion, limit: str) -> str:
    """The clause `seen`: of each visitor and half hour of the clock what it takes to cut sessions."""
    window = Window(question.from_, question.to)
    known, hit = passes(binder, question.filters)
    if question.filters:
        recent, source = "", in_window(binder, numbers, window, known=known)
    else:
        recent = f"{_recent(binder, numbers, window, limit)}, "
        source = f"""FROM recent CROSS JOIN json_each({binder.bind(json.dumps(list(numbers)))}) AS p CROSS JOIN events AS e
   WHERE e.project = p.value AND e.day BETWEEN recent.first_day AND {binder.bind(window.last_day)}
     AND e.ts >= recent.start_ms AND e.ts < {binder.bind(window.end_ms)}"""
    return f"""{recent}seen AS (
  SELECT project, visitor, min(ts) AS first, max(ts) AS last, max(kept_id) AS kept_id, sum(hit) AS hits
    FROM (SELECT p.value AS project, e.visitor AS visitor, e.ts AS ts, e.anonymous_id AS kept_id, {hit} AS hit
    {source})
   GROUP BY project, visitor, ts / {SESSION_GAP_MS})"""


def _recent(binder: Binder, numbers: Sequence[int], window: Window, limit: str) -> str:
    """The clause `recent`: from when on events have to be read to know the newest sessions, as many as the limit.

    Whoever comes on a day and was not there the day before begins a session on it: t1 of the daily totals. As many as the
    limit begin on the days from `day` on, and the half hour before tells which of their events go on with an older session.
    A day that is not whole in the window does not count, nor the first one that retention leaves: events before it may be
    there still, though t1 does not know them.
    """
    first_whole = -(-window.start_ms // MS_PER_DAY)
    last_whole = window.end_ms // MS_PER_DAY - 1
    start, first = binder.bind(window.start_ms), binder.bind(window.first_day)
    return f"""recent AS MATERIALIZED (
  SELECT max(coalesce(max(day) - 1, {first}), {first}) AS first_day,
         max(coalesce(max(day) * {MS_PER_DAY} - {SESSION_GAP_MS}, {start}), {start}) AS start_ms
    FROM (SELECT d.day AS day, sum(sum(d.t1)) OVER (ORDER BY d.day DESC) AS begun
            FROM json_each({binder.bind(json.dumps(list(numbers)))}) AS p
            LEFT JOIN retention AS kept ON kept.project = p.value CROSS JOIN daily AS d
           WHERE d.project = p.value AND d.kind = {TOTAL_KIND} AND d.day > coalesce(kept.first_day, -1)
             AND d.day BETWEEN {binder.bind(first_whole)} AND {binder.bind(last_whole)}
           GROUP BY d.day)
   WHERE begun >= {limit})"""


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
    """Rows `project, path, sessions, visitors, share`: `path` a JSON array as text; the most frequent of each project.

    Pageviews stay single, the other events of a half hour are one row: they matter for where sessions end, and to filters.
    `page` is the id of its path plus 1, so that 1 is a pageview without a path. With the number of pageviews before in its
    upper half, the greatest is the latest: that is how a step knows the page before, or 0 where its session just began.
    """
    binder = Binder()
    known, hit = passes(binder, question.filters)
    known += named_once(binder, "view", PAGEVIEW)
    source = in_window(binder, numbers, Window(question.from_, question.to), known=known)
    places = range(1, PATH_STEPS + 1)
    pages = ", ".join(f"page{place}" for place in places)
    pivot = ", ".join(
        f"max(CASE WHEN step AND place = {place} THEN page END) AS page{place}" for place in places
    )
    listed = " || ".join(
        f"CASE WHEN page{place} IS NULL THEN '' ELSE '{',' if place > 1 else ''}' || json_quote(text{place}.value) END"
        for place in places
    )
    texts = "".join(
        f"\n    LEFT JOIN dictionary AS text{place} ON text{place}.id = page{place} - 1" for place in places
    )
    kept, counted = ("paused OR page IS NOT NULL", "step")
    if question.filters:
        kept, counted = f"{kept} OR hits", "step OR hits"
    views = ", count(page) OVER earlier << 31 AS views_before"
    latest = (
        "max(CASE WHEN paused OR page IS NOT NULL THEN views_before | coalesce(page, 0) END) OVER earlier"
    )
    return binder.statement(f"""WITH seen AS (
  SELECT project, visitor, min(ts) AS first, max(ts) AS last, event, page, sum(hit) AS hits
    FROM (SELECT p.value AS project, e.visitor AS visitor, e.ts AS ts, {hit} AS hit,
                 CASE WHEN e.name IS view.id THEN e.event END AS event,
                 CASE WHEN e.name IS view.id THEN coalesce(e.path, 0) + 1 END AS page
    {source} LIMIT -1)
   GROUP BY project, visitor, ts / {SESSION_GAP_MS}, CASE WHEN page IS NOT NULL THEN ts END, event),{
        pauses_of("seen", "first, event", views)
    },
steps AS (
  SELECT project, visitor, first, event, page, hits, coalesce(sum(paused) OVER earlier, 0) + paused AS session,
         page IS NOT NULL AND (paused OR page IS NOT {latest} & {_PAGE_MASK}) AS step
    FROM pauses WHERE {kept}
  WINDOW earlier AS (PARTITION BY project, visitor ORDER BY first, event ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
placed AS (
  SELECT *, sum(step) OVER ({_SESSION} ORDER BY first, event ROWS UNBOUNDED PRECEDING) AS place
    FROM steps WHERE {counted}),
walked AS (
  SELECT project, visitor, {pivot}
    FROM placed GROUP BY project, visitor, session HAVING sum(hits) > 0),
counted AS (
  SELECT project, {pages}, count(*) AS sessions, count(DISTINCT visitor) AS visitors
    FROM walked WHERE page1 IS NOT NULL GROUP BY project, {pages})
SELECT project, path, sessions, visitors, 1.0 * sessions / total AS share FROM (
  SELECT *, sum(sessions) OVER (PARTITION BY project) AS total,
         row_number() OVER (PARTITION BY project ORDER BY sessions DESC, path) AS place FROM (
    SELECT counted.project AS project, '[' || {listed} || ']' AS path, sessions, visitors FROM counted{
        texts
    }))
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
  SELECT was.project AS project, 0 AS visitor, e.ts AS ts, e.ts AS first, e.ts AS last, e.event AS event,
         e.name AS name, e.path AS path, e.source AS source, e.medium AS medium, e.user_id AS user_id,
         {text_of("e.visitor", "e.anonymous_id")} AS anonymous_id, coalesce(e.properties, '{{}}') AS properties
    {of_visitor_days(binder, "theirs", window)}{only}),{pauses_of("seen", "ts, event, name")}"""
    order = "PARTITION BY v.project ORDER BY v.ts, v.event, v.name"
    return binder.statement(f"""{seen}
SELECT v.project AS project, v.ts AS ts, sum(v.paused) OVER ({order} ROWS UNBOUNDED PRECEDING) AS session,
       (v.ts - v.before) / 1000.0 AS seconds_since_previous,
       name.value AS event_name, path.value AS path, source.value AS source, medium.value AS medium,
       v.anonymous_id AS anonymous_id, v.user_id AS user_id, v.properties AS properties
  FROM pauses AS v
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
