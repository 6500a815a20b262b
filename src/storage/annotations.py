"""The notes of a window: `$annotation` events, sought by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics.annotations import ANNOTATION_EVENT, MAX_ANNOTATION_TEXT, MAX_ANNOTATIONS
from analytics.window import Window
from storage.database import Statement
from storage.inbox import ORIGINS
from storage.sql_parts import Binder, named_in_window

_BROWSER: Final = ORIGINS.index("browser")


def select_annotations(numbers: Sequence[int], window: Window) -> Statement:
    """Rows `project, ts, text`, in order of time: the newest, one more than are shown. Only texts, only from servers."""
    binder = Binder()
    days, source = named_in_window(binder, numbers, window, [ANNOTATION_EVENT])
    return binder.statement(f"""
WITH RECURSIVE {days}
SELECT project, ts, text FROM (
  SELECT p.value AS project, e.ts AS ts, e.event AS event, e.visitor AS visitor,
         (SELECT substr(one.value, 1, {MAX_ANNOTATION_TEXT}) FROM json_each(e.properties) AS one
           WHERE one.key = 'text' AND one.type = 'text') AS text
    {source} AND e.origin <> {_BROWSER})
 WHERE text <> '' ORDER BY ts DESC, event DESC, visitor DESC, project DESC LIMIT {MAX_ANNOTATIONS + 1}""")
