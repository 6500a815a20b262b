"""Rows that D1 hands over as text are the rows it would hand over value by value."""

from __future__ import annotations

import json
from typing import Any

from storage.bundle import MOST_ROWS, bundled, row_bundle, rows_of
from storage.database import Statement
from storage.sqlite import Sqlite
from tests.house import Service

HOSTILE = [
    'a "quoted" \\ one',
    "it's, [1]",
    "{}",
    "[]",
    "null",
    "1",
    "1.0",
    "x" * 128,
    "Ünï 😀 \u202e",
    "</script>",
]
WINDOW = {"from_": "2026-05-01", "to": "2026-05-31"}


def test_texts_of_strangers_come_through_as_they_were_sent(service: Service, account: dict[str, Any]) -> None:
    keys = account["projects"][0]
    properties = {text: text for text in HOSTILE}
    service.track(keys["sk"], *(
        {"event": text, "event_id": str(number), "anonymous_id": text, "user_id": text, "properties": properties,
         "timestamp": f"2026-05-02T00:00:00.{number:03}Z"}
        for number, text in enumerate(HOSTILE)
    ))  # fmt: skip
    rows = service.rows(keys["rk"], "query_events", **WINDOW, limit=len(HOSTILE))
    shown = [text.replace("\u202e", "") for text in HOSTILE]
    assert [row["event_name"] for row in reversed(rows)] == shown
    assert [row["user_id"] for row in rows] == [row["anonymous_id"] for row in rows]
    assert all(list(json.loads(row["properties"]).values()) == shown for row in rows)
    assert all(row["campaign"] is None for row in rows)
    as_text = service.rows(keys["rk"], "get_stats", **WINDOW, group_by=["event_name"], limit=MOST_ROWS)
    by_value = service.rows(keys["rk"], "get_stats", **WINDOW, group_by=["event_name"], limit=MOST_ROWS + 1)
    assert as_text == by_value
    assert sorted(row["event_name"] for row in as_text) == sorted(shown)


def test_numbers_keep_every_bit_and_nothing_stays_nothing() -> None:
    database, columns = Sqlite(), ("a", "b", "c")
    values = f"SELECT {2**63 - 1} AS a, NULL AS b, 'x' AS c UNION ALL SELECT -1, 2, NULL LIMIT 10"
    expected = [{"a": 2**63 - 1, "b": None, "c": "x"}, {"a": -1, "b": 2, "c": None}]
    for statement in (
        bundled(Statement(values), columns),
        Statement(f"SELECT {row_bundle(columns)} AS bundle FROM ({values})", columns=columns),
    ):
        rows = [dict(row) for row in database.connection.execute(statement.sql)]
        assert rows_of(statement, rows) == expected
    nothing = bundled(Statement("SELECT 1 AS a WHERE false LIMIT 1"), ("a",))
    assert rows_of(nothing, [dict(row) for row in database.connection.execute(nothing.sql)]) == []
