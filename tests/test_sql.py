"""Every statement that a question can become: bound, within D1's limits, and answered from an index."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from storage.database import Result, Statement
from storage.sqlite import Sqlite
from tests.house import ROOT, InProcess
from tests.scope_clause import BY_PROJECT, unscoped

HOSTILE = "x'); DROP TABLE events; --"
WINDOW: dict[str, Any] = {"from": "2026-05-01T00:00:00.001Z", "to": "2026-05-20T11:00:00Z"}
DIMENSIONS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]
OPERATORS: list[tuple[str, Any]] = [
    ("eq", HOSTILE), ("neq", HOSTILE), ("in", [HOSTILE, 1, True]), ("not_in", [HOSTILE]), ("contains", HOSTILE),
    ("starts_with", HOSTILE), ("gt", 1.5), ("gte", 1), ("lt", HOSTILE), ("lte", HOSTILE), ("exists", True),
]  # fmt: skip
FILTERS = [
    {"field": field, "op": op, "value": value}
    for field in ("source", f"properties.{HOSTILE}")
    for op, value in OPERATORS
]
#: Whole days; within one day; longer than a roll-up tells visitors apart.
DAYS = {"from": "2026-05-01", "to": "2026-05-08"}
HOURS = {"from": "2026-05-02T01:00:00Z", "to": "2026-05-02T09:00:00Z"}
LONG = {"from": "2026-01-01T01:00:00Z", "to": "2026-05-20T11:00:00Z"}
#: Stands for the cursor behind the first page.
NEXT = "next"
STEPS = [{"event": HOSTILE + str(place), "filters": FILTERS[place : place + 1]} for place in range(20)]

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    *[("get_stats", {"metric": metric, "event": event, "interval": interval, "group_by": columns})
      for metric in ("count", "uniques") for event in (None, HOSTILE) for interval in (None, "hour", "day", "week", "month")
      for columns in ([], ["source", "medium"], ["path"], ["browser", "os", "campaign"])],
    *[("get_stats", {"group_by": [column], "metric": "uniques"}) for column in DIMENSIONS],
    *[("top_sources", {"breakdown": breakdown}) for breakdown in ("source_medium", "source")],
    ("query_events", {}),
    ("query_events", {"country": "x';--"}
     | dict.fromkeys(("event", "source", "medium", "user_id", "anonymous_id"), HOSTILE)),
    *[("funnel", {"steps": steps, "breakdown": breakdown, **mode})
      for steps in (["a", "b"], STEPS) for breakdown in (None, *DIMENSIONS)
      for mode in ({}, {"entry": "first"}, {"order": "any"})],
    *[("overview", {"filters": FILTERS[:5], "goal": goal, "interval": interval, "timezone": "Europe/Berlin"})
      for goal in (None, HOSTILE) for interval in (None, "day", "month")],
    *[(tool, {"by": by, "metric": metric, "filters": filters})
      for tool in ("breakdown", "timeseries") for by in ("path", "referrer_host", "entry_page", f"properties.{HOSTILE}")
      for metric in ("visitors", "bounce_rate") for filters in ([], FILTERS[5:10])],
    *[("retention", {"born_event": HOSTILE, "return_event": event, "calendar": calendar, "mode": mode})
      for event in (HOSTILE, None) for calendar in (False, True) for mode in ("on", "on_or_after")],
    *[(tool, {"filters": FILTERS[:5]}) for tool in ("sessions", "paths")],
    *[("describe_schema", {"event": event}) for event in (None, HOSTILE)],
    ("user_journey", {"user_id": HOSTILE}),
    *[(tool, {"identity": "stitched", **options}) for tool, options in (
        ("overview", {"interval": "day", "goal": HOSTILE}), ("breakdown", {"by": "entry_page", "metric": "pageviews"}),
        ("timeseries", {"metric": "pageviews"}), ("retention", {"born_event": HOSTILE, "return_event": HOSTILE}),
        ("lifecycle", {}), ("lifecycle", {"view": "stickiness"}), ("funnel", {"steps": ["a", "b"]}),
        ("funnel", {"steps": ["a", "b"], "breakdown": "source"}))],
    ("user_journey", {"anonymous_id": HOSTILE}),
    ("compare_segments", {"goal": HOSTILE, "a": FILTERS[:5], "b": FILTERS[5:10]}),
    *[("lifecycle", {"unit": unit, "view": view}) for unit in ("day", "month") for view in ("lifecycle", "stickiness")],
    *[("revenue", {"amount": HOSTILE, "filters": FILTERS[:5], "interval": interval}) for interval in (None, "week")],
    *[("attribution", {"by": by, "filters": FILTERS[:5]}) for by in DIMENSIONS],
    *[("scan", {"timezone": timezone}) for timezone in ("UTC", "Europe/Berlin")],
    *[("diagnose", {"metric": metric, "goal": HOSTILE, "filters": filters, "by": by})
      for metric in ("events", "visitors", "conversion_rate") for by in (["path"], ["source", "country"], None)
      for filters in ([], FILTERS[:5], [{"field": "event_name", "value": HOSTILE}])],
    *[("health", {"activation_event": event, "purchase_event": HOSTILE, "referral_event": event, "amount": HOSTILE})
      for event in (HOSTILE, None)],
    *[("channel_roi", {"by": by, "amount": HOSTILE}) for by in ("source", "campaign")],
    ("channel_roi", {"spend": [{"value": HOSTILE, "currency": "EUR", "amount": 1}], "filters": FILTERS[:5]}),
    ("revenue", {"top_customers": 0}),
    *[(tool, {}) for tool in ("sessions", "paths", "overview", "timeseries", "realtime")],
    ("query_events", {"limit": 1, "cursor": NEXT, "to": "2026-05-21"}),
    *[("get_stats", {"sample": True, "metric": metric, "group_by": columns, "interval": interval, "event": event})
      for metric in ("count", "uniques") for columns in ([], ["path", "source"]) for interval in (None, "hour")
      for event in (None, HOSTILE)],
    # What the roll-ups keep, and what they do not, over windows that they answer alone, with edges, and not at all.
    *[(tool, {"by": by, "metric": metric, "filters": filters, **window})
      for tool in ("breakdown", "timeseries") for by in DIMENSIONS for metric in ("visitors", "events")
      for filters in ([], [{"field": "event_name", "op": "eq", "value": HOSTILE}]) for window in ({}, DAYS)],
    *[(tool, {**options, **window}) for window in (DAYS, HOURS, LONG) for tool, options in (
        ("get_stats", {}), ("get_stats", {"metric": "uniques"}), ("get_stats", {"metric": "uniques", "event": HOSTILE}),
        ("get_stats", {"metric": "uniques", "group_by": ["source"]}), ("get_stats", {"group_by": ["path"]}),
        ("get_stats", {"metric": "uniques", "group_by": ["source", "os"]}), ("top_sources", {}),
        ("top_sources", {"breakdown": "source"}), ("timeseries", {"interval": "week"}), ("overview", {}),
        ("diagnose", {}), ("health", {}), ("scan", {}), ("compare_projects", {}),
        ("compare_projects", {"metric": "uniques"}))
      if window is not LONG or tool not in ("scan", "diagnose", "health", "overview")],  # these look further back
]  # fmt: skip

#: Tools that one endpoint has and the other has not, by what stands in for their answer.
ON_THE_ACCOUNT = {"compare_projects"}


def ask(house: InProcess, key: str, tool: str, path: str, options: dict[str, Any]) -> None:
    """One of the questions; a cursor is that of the first page."""
    window = {} if tool == "realtime" else WINDOW
    given = {name: value for name, value in (window | options).items() if value is not None}
    if options.get("cursor") == NEXT:
        page = house.call(key, tool, path, **{name: given[name] for name in given if name != "cursor"})
        given["cursor"] = page["structuredContent"]["next_cursor"]
    result = house.call(key, tool, path, **given)
    assert not result.get("isError"), (tool, given, result)


class Recorder(Sqlite):
    """A database that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(schema=(ROOT / "schema.sql").read_text())
        self.asked: dict[str, tuple[Any, ...]] = {}

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        self.asked |= {statement.sql: statement.parameters for statement in statements}
        return await super().batch(statements)


@pytest.fixture(scope="module")
def asked() -> dict[str, tuple[Any, ...]]:
    """Every statement behind every tool, resource and write, over one project and over several: text → parameters."""
    database = Recorder()
    house = InProcess(db=database)
    account = house.account("business", "One", "Two", "Three")
    ak, keys = account["account"]["ak"], account["projects"][0]
    house.post(
        "/v1/track", {"event": HOSTILE, "event_id": HOSTILE, "url": "https://site.example/'"}, keys["sk"]
    )
    timed = {"event": HOSTILE, "event_id": HOSTILE, "timestamp": "2026-05-02", "user_id": HOSTILE}
    house.track(
        keys["sk"], timed, {"event": "e", "event_id": "1", "properties": {HOSTILE: HOSTILE}}, {"event": "e"}
    )
    house.post("/v1/identify", {"anonymous_id": HOSTILE, "user_id": HOSTILE}, keys["sk"])
    house.post("/v1/track", {"event": "e"}, "rk_live_0011aabb_unknown")
    for include in (True, False):
        told = house.call(keys["sk"], "forget_user", user_id=HOSTILE, include_anonymous=include)
        assert told["structuredContent"]["events"] == 2
    house.post("/v1/forget", {"user_id": "nobody"}, keys["sk"])
    page = house.post("/v1/export", {"user_id": HOSTILE, "limit": 1}, keys["sk"]).json
    house.post("/v1/export", {"user_id": HOSTILE, "cursor": page["next_cursor"]}, keys["sk"])
    for path, key in [("/mcp", keys["rk"]), ("/mcp/account", ak)]:
        for tool, options in QUESTIONS:
            if path == "/mcp/account" or tool not in ON_THE_ACCOUNT:
                ask(house, key, tool, path, options)
        for uri in [one["uri"] for one in house.rpc(key, "resources/list", path=path)["result"]["resources"]]:
            house.rpc(key, "resources/read", {"uri": uri}, path)
    house.kv.entries.clear()
    house.now = "2026-05-20T13:00:00Z"
    assert house.rows(keys["rk"], "get_stats", **WINDOW) == [{"value": 1}]
    return database.asked


def test_the_questions_are_many(asked: dict[str, tuple[Any, ...]]) -> None:
    assert len(asked) > 150


def test_what_a_caller_writes_is_bound_and_never_part_of_the_text(asked: dict[str, tuple[Any, ...]]) -> None:
    assert any(HOSTILE in str(parameters) for parameters in asked.values())
    for sql in asked:
        assert "DROP" not in sql
        assert "x')" not in sql


def test_every_statement_stays_within_the_limits_of_d1(asked: dict[str, tuple[Any, ...]]) -> None:
    """Source: workers-platform.md §3.2. The adapter of these tests enforces the other limits while they run."""
    for sql, parameters in asked.items():
        assert len(parameters) <= 100, sql
        assert len(sql.encode()) <= 100_000, sql
        numbers = {int(number) for number in re.findall(r"\?(\d+)", sql)}
        assert numbers <= set(range(1, len(parameters) + 1)), sql
        assert not re.search(r"\?(?!\d)", sql), sql
        assert not re.search(r"\b(LIKE|GLOB)\b", sql), sql
        assert not re.search(r"\?\d+\s*(/|%|\|\|)|(/|%|\|\|)\s*\?\d+", sql), "a bound number is REAL: CAST it"
        assert not re.search(r";\s*\S", sql), "one statement at a time"


def plan(database: Sqlite, sql: str, parameters: Sequence[Any]) -> list[str]:
    rows = database.connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(parameters)).fetchall()
    return [row["detail"] for row in rows]


def test_where_a_session_begins_is_sought_in_an_index(asked: dict[str, tuple[Any, ...]]) -> None:
    """Rows are joined to rows here, of which there may be as many as events: without an index that is their product."""
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    joins = [
        line
        for sql, parameters in asked.items()
        if "AS own" in sql
        for line in plan(database, sql, parameters)
        if re.search(r"\bown\b", line)
    ]
    assert len(joins) > 5
    assert all("AUTOMATIC COVERING INDEX (project=? AND visitor=? AND begun=?)" in line for line in joins), (
        joins
    )


def real_tables(database: Sqlite, sql: str) -> dict[str, str]:
    """Table by every name it has in a statement, its own and its aliases."""
    tables = [
        row["name"]
        for row in database.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    names = {table: table for table in tables}
    for table in tables:
        names |= dict.fromkeys(re.findall(rf"\b{table}\s+AS\s+(\w+)", sql), table)
    return names


def scanned(database: Sqlite, sql: str, parameters: Sequence[Any]) -> Iterator[str]:
    names = real_tables(database, sql)
    for detail in plan(database, sql, parameters):
        match = re.match(r"SCAN (\w+)(.*)", detail)
        if match and match[1] in names and "VIRTUAL TABLE" not in match[2]:
            yield names[match[1]]


def test_no_statement_reads_a_whole_table(asked: dict[str, tuple[Any, ...]]) -> None:
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    for sql, parameters in asked.items():
        assert list(scanned(database, sql, parameters)) == [], "\n".join(
            [sql, *plan(database, sql, parameters)]
        )


def read_again_and_again(database: Sqlite, sql: str, parameters: Sequence[Any]) -> Iterator[str]:
    """Loops over whole days of events inside a loop over rows that the statement itself made: quadratic.
    Of `recent` there is one."""
    outer: dict[int, list[str]] = {}
    for row in database.connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(parameters)):
        before = outer.setdefault(row["parent"], [])
        if re.match(
            r"SEARCH \w+ USING PRIMARY KEY \(project=\? AND day[>=]\?( AND day<\?)?\)", row["detail"]
        ):
            yield from (
                one
                for one in before
                if re.match(r"SCAN (?!\w+ VIRTUAL|CONSTANT|days|spans?\b|edges?\b|recent\b)", one)
            )
        before.append(row["detail"])


def test_no_statement_reads_the_events_once_for_each_visitor(asked: dict[str, tuple[Any, ...]]) -> None:
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    for sql, parameters in asked.items():
        assert list(read_again_and_again(database, sql, parameters)) == [], sql


def test_the_look_at_plans_finds_a_whole_table() -> None:
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    assert list(scanned(database, "SELECT count(*) FROM events AS e WHERE e.visitor = ?1", [1])) == ["events"]
    assert list(scanned(database, "SELECT id FROM api_keys WHERE status = ?1", ["active"])) == ["api_keys"]


def test_every_statement_reaches_events_only_by_their_project(asked: dict[str, tuple[Any, ...]]) -> None:
    """T-ISO-8, and the SQL audit: SQLite's plan, whatever the text is. tests/faults.py looks at all others as they run."""
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    for sql, parameters in asked.items():
        assert unscoped(database, sql, parameters) == [], sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM events AS e WHERE e.day = 1",
        "SELECT count(*) FROM events",
        "SELECT 1 FROM projects AS p JOIN events AS e ON e.name = p.number WHERE p.number = 1",
        "DELETE FROM inbox",
        "SELECT 1 FROM visitor_days AS v JOIN daily AS n ON n.day = v.day WHERE v.project = 1",
        "UPDATE people SET person = 1 WHERE visitor = 2",
    ],
)
def test_a_statement_without_its_scope_clause_is_found(sql: str) -> None:
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    assert unscoped(database, sql, ()) != []


def test_every_table_of_a_project_is_watched() -> None:
    database = Sqlite(schema=(ROOT / "schema.sql").read_text())
    query = (
        "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE c.name = 'project'"
    )
    assert {row["name"] for row in database.connection.execute(query)} - {"api_keys"} == BY_PROJECT
