"""Faults of D1 and KV: each call of each conversation fails once with each kind of fault, and what must hold still does.

Source: security.md, T-FLT-K1…K7, T-FLT-D1…D9.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from access.token import mint_token
from storage.database import Statement
from storage.patient import BUDGET_MS, MOST_RETRIES
from tests.faults import D1_SAYS
from tests.figures import NIGHT, Figures
from tests.house import Answer, InProcess
from tests.leaks import leaks

MAY = "from=2026-05-01&to=2026-06-01"
WINDOW = {"from": "2026-05-01", "to": "2026-06-01"}
Keys = dict[str, Any]
Conversation = Callable[[InProcess, Keys], Answer]


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"event": name, "event_id": f"id-{name}", "anonymous_id": "v1", "timestamp": "2026-05-10"} | more


def tool(name: str, path: str = "/mcp", **arguments: Any) -> Conversation:
    def call(house: InProcess, keys: Keys) -> Answer:
        key = keys["account"]["ak"] if path == "/mcp/account" else keys["projects"][0]["sk"]
        params = {"name": name, "arguments": arguments}
        return house.post(path, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, key)

    return call


def rest(path: str, body: Any = None, kind: str = "sk") -> Conversation:
    def call(house: InProcess, keys: Keys) -> Answer:
        key = keys["projects"][0][kind]
        return house.get(path, key) if body is None else house.post(path, body, key)

    return call


WRITES: dict[str, Conversation] = {
    "track": rest("/v1/track", event("new")),
    "track unnamed": rest("/v1/track", {"event": "new", "anonymous_id": "v1"}),
    "track untimed": rest("/v1/track", {"event": "new", "anonymous_id": "v1", "event_id": "mine"}),
    "batch": rest("/v1/batch", {"events": [event(f"new{n}") for n in range(3)]}),
    "identify": rest("/v1/identify", {"anonymous_id": "v1", "user_id": "u1"}),
    "track_event": tool("track_event", **event("new")),
}
READS: dict[str, Conversation] = {
    "query": rest(f"/v1/query?{MAY}", kind="rk"),
    "stats": rest(f"/v1/stats?{MAY}&group_by=event_name", kind="rk"),
    "sources": rest(f"/v1/sources?{MAY}", kind="rk"),
    "query_events": tool("query_events", **WINDOW),
    "get_stats": tool("get_stats", **WINDOW),
    "top_sources": tool("top_sources", **WINDOW),
    "funnel": tool("funnel", steps=["old", "older"], **WINDOW),
    "compare_projects": tool("compare_projects", "/mcp/account", **WINDOW),
    "export": rest("/v1/export", {"user_id": "u-old"}),
}
FORGETS: dict[str, Conversation] = {"forget": rest("/v1/forget", {"user_id": "u-old"})}
ALL = {**WRITES, **READS, **FORGETS}

#: What its client did not name is stored once more when it is sent again.
UNNAMED = ("track unnamed", "identify")

#: The status REST answers a fault with that outlasts the tries.
STATUS = {
    "too heavy": 400,
    "full": 507,
    "not ready": 503,
    "overloaded": 503,
    "queued": 503,
    "unforeseen": 500,
}
TRIES = {"transient": 3, "reset": 3, "updated": 3, "resolving": 3, "overloaded": 2, "queued": 2}


def populated() -> tuple[InProcess, Keys]:
    house = InProcess()
    keys = house.account("business", "One", "Two")
    house.track(keys["projects"][0]["sk"], event("old", user_id="u-old"), event("older"))
    house.faults.reset()
    return house, keys


def names(house: InProcess, keys: Keys) -> list[str]:
    rows = house.get(f"/v1/query?{MAY}", keys["projects"][0]["rk"]).json["rows"]
    return sorted(row["event_name"] for row in rows)


def worked(answer: Answer) -> bool:
    return answer.status in (200, 202) and "error" not in answer.json


@cache
def after(name: str) -> list[str]:
    """What is stored once a conversation has gone well."""
    house, keys = populated()
    assert worked(ALL[name](house, keys))
    return names(house, keys)


def sound(house: InProcess, keys: Keys) -> None:
    """Roll-ups agree with the events, and nothing of the fault is remembered."""
    house.faults.reset()
    stored = names(house, keys)
    rows = house.get(f"/v1/stats?{MAY}&group_by=event_name", keys["projects"][0]["rk"]).json["rows"]
    assert sorted(name for row in rows for name in [row["event_name"]] * row["value"]) == stored


def broken_once(name: str, which: str, befalls: Mapping[int, str]) -> None:
    """A conversation some of whose calls fail, each with its fault, and what must hold afterwards."""
    said = ALL[name]
    expected = after(name)
    house, keys = populated()
    before = ["old", "older"]

    def fail(number: int, *_: object) -> str | None:
        return befalls.get(number)

    setattr(house.faults, which, fail)
    answer = said(house, keys)
    assert answer.status in (200, 202, 400, 500, 502, 503, 507), answer.text
    assert not leaks(answer.text), answer.text
    if answer.status != 200 and answer.status != 202:
        assert set(answer.json) <= {"error", "details"}
    sound(house, keys)
    stored = names(house, keys)
    if name in WRITES:
        assert stored in (before, expected)
    elif name in READS:
        assert stored == before
    if worked(answer):
        assert stored == expected
    if name not in UNNAMED:
        assert worked(said(house, keys)), "the same request again succeeds"
        assert names(house, keys) == expected


@pytest.mark.parametrize("name", ALL)
def test_any_one_call_to_d1_may_fail(name: str, figures: Figures) -> None:
    house, keys = populated()
    ALL[name](house, keys)
    calls = house.faults.d1_calls
    assert calls > 0
    for fault in D1_SAYS:
        for late in ("", " late"):
            for number in range(1, calls + 1):
                broken_once(name, "d1", {number: fault + late})
                figures.count("fault sweep: single faults of D1")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "fault", ["throws", "hangs", "", "{", "[]", '{"v":0}', '{"v":1,"kind":"sk"}', "[" * 2000]
)
def test_any_one_call_to_kv_may_fail_and_nobody_notices(name: str, fault: str) -> None:
    buries = (
        name in FORGETS
    )  # the third call: an erasure's tombstone, which the cron writes later when it fails
    for numbers in ([1], [2], [1, 2], *([[3], [1, 2, 3]] if buries else [])):
        house, keys = populated()
        wanted = ALL[name](house, keys).json if name in READS else None
        house.forget_records()
        house.faults.reset()
        house.faults.kv = lambda number, numbers=numbers: (fault or "nothing") if number in numbers else None  # type: ignore[misc]
        answer = ALL[name](house, keys)
        assert worked(answer), answer.text
        assert house.faults.kv_calls == (3 if buries else 2)
        pending = house.db.connection.execute("SELECT sum(pending) FROM erasures").fetchone()[0]
        assert pending == ((3 in numbers) if buries else None)
        if name in READS:
            assert answer.json == wanted


#: One fault of each line of the table in docs/reliability.md: the others of its line are told apart by nobody.
CLASSES = ("transient", "overloaded", "too heavy", "full", "not ready", "unforeseen")
#: The calls after the last one of a faultless run are those of a retry.
RETRIES = 2


@pytest.mark.parametrize(
    "name", ALL if NIGHT else ["track", "batch", "get_stats", "forget", "compare_projects"]
)
def test_any_two_calls_to_d1_may_fail(name: str, figures: Figures) -> None:
    """At night every pair of calls with every pair of classes of faults, each before or after it took effect."""
    house, keys = populated()
    ALL[name](house, keys)
    pairs = list(combinations(range(1, house.faults.d1_calls + 1 + RETRIES), 2))
    kinds = [fault + late for fault in CLASSES for late in ("", " late")]
    both = [(one, two) for one in kinds for two in kinds if NIGHT or one == two]
    for first, second in pairs if NIGHT else pairs[:4]:
        for one, two in both:
            broken_once(name, "d1", {first: one, second: two})
            figures.count("fault sweep: pairs of faults of D1")


@pytest.mark.parametrize("fault", D1_SAYS)
@pytest.mark.parametrize("name", ["track", "batch", "stats"])
def test_a_lasting_fault_is_tried_as_often_as_it_may_and_then_named(name: str, fault: str) -> None:
    house, keys = populated()
    house.faults.d1 = lambda _number, _statements: fault
    answer = ALL[name](house, keys)
    wanted = STATUS.get(fault, 502)
    assert answer.status == wanted, answer.text
    tries = TRIES.get(fault, 1)
    # A full database is asked once more without the fold: what was folded can still be read.
    assert house.faults.d1_asked == (2 if (name, fault) == ("stats", "full") else tries)
    assert answer.headers.get("retry-after") == {502: "5", 503: "5" if fault == "not ready" else "10"}.get(
        wanted
    )
    codes = {400: "invalid_params", 500: "internal_error", 502: "upstream_failed", 507: "storage_full"}
    assert answer.json["error"] == codes.get(wanted, "not_ready" if fault == "not ready" else "overloaded")
    waits = {"transient": [25, 75], "overloaded": [375]}
    if fault in waits:
        assert house.slept_ms == waits[fault]


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        ("transient", {"reason": "store_unavailable", "retryable": True, "retry_after_s": 5}),
        ("overloaded", {"reason": "overloaded", "retryable": True, "retry_after_s": 10}),
        ("not ready", {"reason": "not_ready", "retryable": True, "retry_after_s": 5}),
        ("full", {"reason": "storage_full", "retryable": False}),
        ("unforeseen", {"retryable": False}),
    ],
)
def test_a_tool_says_whether_asking_again_helps_and_the_log_has_the_same_id(
    fault: str, data: dict[str, Any]
) -> None:
    house, keys = populated()
    house.faults.d1 = lambda _number, _statements: fault
    error = ALL["track_event"](house, keys).json["error"]
    assert (error["code"], error["message"]) == (-32000, "tool_failed")
    request_id = error["data"].pop("request_id")
    assert error["data"] == data
    assert house.logged_ids == [request_id]


def test_the_id_of_a_500_is_the_one_in_the_log() -> None:
    house, keys = populated()
    house.faults.d1 = lambda _number, _statements: "unforeseen"
    first, second = (ALL["track"](house, keys).json["details"]["request_id"] for _ in range(2))
    assert house.logged_ids == [first, second]
    assert first != second


def test_an_outage_costs_at_most_half_a_retry_a_call() -> None:
    house, keys = populated()
    house.faults.d1 = lambda _number, _statements: "overloaded"
    requests = 200
    for number in range(requests):
        assert house.post("/v1/track", event(f"e{number}"), keys["projects"][0]["sk"]).status == 503
    assert house.faults.d1_calls <= 1.5 * requests + MOST_RETRIES


def test_no_try_begins_after_the_budget() -> None:
    house, keys = populated()
    clock = iter(range(0, 10_000_000, BUDGET_MS))
    wiring = house.wiring()
    wiring.events._database.now_ms = lambda: next(clock)  # type: ignore[attr-defined]
    house.faults.d1 = lambda _number, _statements: "transient"
    house.app._house = wiring
    assert ALL["track"](house, keys).status == 502
    assert house.faults.d1_calls == 1


def test_a_full_disk_refuses_events_and_still_answers_questions() -> None:
    house, keys = populated()
    project = keys["projects"][0]
    assert names(house, keys) == ["old", "older"]
    (pages,) = house.db.connection.execute("PRAGMA page_count").fetchone()
    house.db.connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [event(f"e{n}", properties={"text": "x" * 4000}) for n in range(100)]
    answer = house.post("/v1/batch", {"events": many}, project["sk"])
    assert (answer.status, answer.json) == (507, {"error": "storage_full"})
    assert names(house, keys) == ["old", "older"]
    # Something waits, and even the fold has no room: the questions go on without it.
    house.faults.d1 = lambda _number, statements: "full" if len(statements) > 4 else None
    assert names(house, keys) == ["old", "older"]


def test_a_missing_table_is_not_ready() -> None:
    house, keys = populated()
    house.db.connection.execute("DROP TABLE inbox")
    answer = ALL["track"](house, keys)
    assert (answer.status, answer.json) == (503, {"error": "not_ready"})


def test_with_kv_and_d1_down_nobody_is_told_that_the_key_is_wrong() -> None:
    for said in ALL.values():
        house, keys = populated()
        house.forget_records()
        house.faults.kv = lambda _number: "throws"
        house.faults.d1 = lambda _number, _statements: "transient"
        answer = said(house, keys)
        assert (answer.status, answer.json) == (502, {"error": "upstream_failed"})
        assert answer.headers["retry-after"] == "5"


def test_unknown_keys_cost_d1_no_more_than_the_bucket_holds() -> None:
    house, keys = populated()
    statuses = []
    for number in range(300):
        digits = iter(f"{number:08x}")
        key = mint_token("rk", "live", lambda alphabet, digits=digits: next(digits, alphabet[5])).text  # type: ignore[misc]
        statuses.append(house.get(f"/v1/stats?{MAY}", key).status)
    assert statuses == [401] * 20 + [502] * 280
    assert (house.faults.d1_asked, house.faults.d1_calls) == (20, 21), "and one entry of the audit log"
    assert names(house, keys) == ["old", "older"], "keys that KV knows are served meanwhile"


def test_sqlite_and_d1_call_a_full_disk_the_same(tmp_path: Any) -> None:
    """The words that storage/faults.py looks for are those of SQLite itself."""
    connection = sqlite3.connect(tmp_path / "small.db", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def test_statements_of_an_append_can_be_run_twice(house: InProcess) -> None:
    """The reply of a commit is lost, a fold empties the inbox, the append is tried again: still one row each."""
    keys = house.account()["projects"][0]
    seen: list[Sequence[Statement]] = []

    def lose(number: int, statements: Sequence[Statement]) -> str | None:
        if not any("INSERT INTO inbox" in one.sql for one in statements) or seen:
            return None
        seen.append(statements)
        return "transient late"

    for body in (event("a"), {"event": "b"}, {"event": "c", "event_id": "c1"}):
        seen.clear()
        house.faults.d1 = lose
        original = house._sleep

        async def fold_meanwhile(seconds: float, house: InProcess = house) -> None:
            await house.wiring().events.fold_waiting()

        house._sleep = fold_meanwhile  # type: ignore[method-assign]
        house.app._house = house.wiring()
        assert house.post("/v1/track", body, keys["sk"]).status == 202
        house._sleep = original  # type: ignore[method-assign]
        assert seen
    house.faults.reset()
    rows = house.get(f"/v1/query?{MAY}", keys["rk"]).json["rows"]
    assert sorted(row["event_name"] for row in rows) == ["a", "b", "c"]
