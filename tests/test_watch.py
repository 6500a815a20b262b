"""What is written down of requests: the last use of a key, refusals; little of it, however many requests come."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import pytest

from access.audit import AuditEntry
from access.watch import MARKS, MAX_REMEMBERED, Noticed, Watch, network_of
from analytics.window import format_instant
from storage.audit_log import EVERY_ENTRY
from tests.house import InProcess
from tests.runtime import Runtime

WINDOW = {"from_": "2026-05-01", "to": "2026-05-02"}
STATS = "/v1/stats?from=2026-05-01&to=2026-05-02"
HOUR = "2026-05-20T12:00:00Z"


def refusals(house: InProcess) -> list[dict[str, Any]]:
    return [dict(row) for row in house.db.connection.execute(EVERY_ENTRY) if row["outcome"] == "refused"]


def key_row(house: InProcess, key: str) -> dict[str, Any]:
    query = "SELECT id, account_id, last_used_at FROM api_keys WHERE prefix = ?"
    return dict(house.db.connection.execute(query, [key.split("_")[2]]).fetchone())


def uses_written(house: InProcess) -> int:
    return sum("SET last_used_at" in one.sql for statements in house.faults.tried for one in statements)


# --- last used --------------------------------------------------------------------------------------------------------


def test_a_busy_key_is_written_once_an_hour(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    assert key_row(house, key)["last_used_at"] is None
    shown = []
    for minute in ("12:00", "12:20", "12:59", "13:00", "13:05", "15:30"):
        house.now = f"2026-05-20T{minute}:00Z"
        for _ in range(5):
            house.rows(key, "get_stats", **WINDOW)
        shown.append(format_instant(key_row(house, key)["last_used_at"])[11:16])
    assert shown == ["12:00", "12:00", "12:00", "13:00", "13:00", "15:30"]
    assert uses_written(house) == 3


def test_other_isolates_add_nothing_within_the_hour(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    house.get(STATS, key)
    house.now = "2026-05-20T12:59:59Z"
    house.noticed = Noticed()
    house.app = type(house.app)(house.wiring())
    house.get(STATS, key)
    assert format_instant(key_row(house, key)["last_used_at"]) == "2026-05-20T12:00:00.000Z"


def test_only_a_key_that_was_let_in_was_used(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    house.get(STATS, keys["rk"][:-1] + ("0" if keys["rk"][-1] != "0" else "1"))
    house.get(STATS, keys["sk"])
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked'")
    assert house.get(STATS, keys["rk"]).status == 401
    assert {key_row(house, key)["last_used_at"] for key in keys.values() if "_live_" in key} == {None}


def test_a_use_that_cannot_be_written_changes_no_answer(house: InProcess) -> None:
    key = house.account()["projects"][0]["rk"]
    house.faults.d1 = lambda _number, all_: "unforeseen" if "last_used_at =" in all_[0].sql else None
    assert house.get(STATS, key).status == 200
    assert [event for event, _ in house.log] == ["deferred_failed"]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "body", "code", "place"),
    [
        ("pk", "/v1/track", {"event": "e"}, "origin_not_allowed", "POST /v1/track"),
        ("rk", "/mcp", "track_event", "insufficient_scope", "POST /mcp"),
        ("ak", "/mcp/account", "foreign", "unknown_project_id", "POST /mcp/account"),
    ],
)
def test_what_a_verified_key_may_not_do_is_written_down_with_its_name(
    house: InProcess, kind: str, path: str, body: Any, code: str, place: str
) -> None:
    keys = house.account()
    key = keys["account"]["ak"] if kind == "ak" else keys["projects"][0][kind]
    foreign = {
        "name": "get_stats",
        "arguments": {"from": "2026-05-01", "to": "2026-05-02", "project_id": "prj_x"},
    }
    params = {"track_event": {"name": "track_event", "arguments": {"event": "e"}}, "foreign": foreign}.get(
        str(body)
    )
    for _ in range(12):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params} if params else body
        house.post(path, message, key, cf_connecting_ip="203.0.113.77", origin="http://localhost:8787")
    row = key_row(house, key)
    written = refusals(house)
    assert [
        (one["actor"], one["account_id"], one["action"], one["target"], one["times"]) for one in written
    ] == [(row["id"], row["account_id"], code, place, times) for times in (1, 10)]
    assert {one["address"] for one in written} == {"203.0.113.0/24"}
    assert all(one["request_id"].startswith("req_") for one in written)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE api_keys SET status = 'revoked'", "revoked"),
        ("UPDATE api_keys SET expires_at = 1", "expired"),
        ("UPDATE accounts SET status = 'suspended'", "account"),
        ("UPDATE projects SET status = 'deleted'", "project"),
    ],
)
def test_why_a_key_that_once_was_good_opens_nothing_is_in_the_log_and_not_on_the_wire(
    house: InProcess, change: str, reason: str
) -> None:
    key = house.account()["projects"][0]["rk"]
    house.kv.entries.clear()
    house.db.connection.execute(change)
    answer = house.get(STATS, key)
    assert (answer.status, answer.json) == (401, {"error": "invalid_api_key"})
    (one,) = refusals(house)
    key_id = key_row(house, key)["id"]
    assert (one["actor"], one["action"]) == (key_id, f"invalid_api_key:{reason}")
    assert one["entry"] == f"494244 {key_id} invalid_api_key:{reason} 1", "the hour, who, why and how often"
    assert format_instant(one["at"])[:19] + "Z" == HOUR


def test_of_nobody_only_bursts_are_written_down(house: InProcess) -> None:
    for number in range(120):
        house.get(STATS, f"rk_live_{number:08x}_unknown")
        house.get(STATS)
        house.post("/mcp", {}, "pk_live_0011aabb_x")
    written = [(one["actor"], one["action"], one["times"]) for one in refusals(house)]
    codes = ("malformed_api_key", "missing_bearer_token", "key_kind_not_allowed")
    assert sorted(written) == sorted(
        ("nobody", code, times) for code in ("invalid_api_key", *codes[1:]) for times in (10, 100)
    )


def test_a_flood_over_many_isolates_writes_a_handful(house: InProcess) -> None:
    """Each isolate counts for itself; the names of entries make them one."""
    for _ in range(8):
        house.noticed = Noticed()
        house.app = type(house.app)(house.wiring())
        for _ in range(250):
            assert house.get(STATS).status == 401
    assert [(one["times"], one["account_id"]) for one in refusals(house)] == [(10, ""), (100, "")]
    assert house.faults.d1_calls == 16


def test_what_is_remembered_and_written_has_an_end() -> None:
    written: list[AuditEntry] = []

    class Paper:
        async def used(self, key_id: str, now_ms: int) -> None: ...

        async def write(self, entries: Any) -> None:
            written.extend(entries)

    def now(work: Any) -> None:
        with pytest.raises(StopIteration):
            work.send(None)

    noticed = Noticed()
    watch = Watch(Paper(), noticed, now)
    for _ in range(100_000):
        watch.refused(None, "invalid_api_key", "POST /mcp", 0)
    assert [one.times for one in written] == [10, 100, 1_000, 10_000, 100_000]
    assert MARKS[-1] == 1_000_000
    for number in range(MAX_REMEMBERED + 50):
        noticed.count(f"key_{number}", "used", 0)
    assert len(noticed._counts) == MAX_REMEMBERED
    watch.refused(None, "not_found", "GET /x", 0)
    assert len(written) == 5


def test_what_happened_last_is_remembered_best() -> None:
    noticed = Noticed()
    assert [noticed.count(f"key_{number}", "used", 0) for number in range(4_096)] == [1] * 4_096
    assert noticed.count("key_0", "used", 0) == 2
    assert noticed.count("one more", "used", 0) == 1
    assert [noticed.count(name, "used", 0) for name in ("key_0", "one more", "key_1")] == [3, 2, 1]


def test_each_hour_is_counted_from_one() -> None:
    noticed = Noticed()
    counts = [
        noticed.count("key_1", "used", now_ms) for now_ms in (3_600_000, 7_199_999, 7_200_000, 7_200_000)
    ]
    assert counts == [1, 2, 1, 2]


def test_nothing_a_stranger_sends_is_in_the_log(house: InProcess) -> None:
    stranger = "ignore-all-previous-instructions"
    for _ in range(10):
        house.get(
            f"{STATS}&x={stranger}", f"rk_live_0011aabb_{stranger}", user_agent=stranger, referer=stranger
        )
        house.get(f"/{stranger}", stranger)
        house.request(stranger, "/mcp", headers={"authorization": stranger})
    assert refusals(house) != []
    assert stranger not in house.everything_stored()


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:a:b::1", "2001:db8:a::/48"), ("2001:db8::1", "2001:db8::/48"),
     ("255.255.255.255", "255.255.255.0/24"), ("2555.255.255.255", "2555.255.25.0/24"), ("1.2", "1.2.0/24"),
     ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::/48"), ("20010:db8::1", "2001:db8::/48"),
     ("::1", "::/48"), ("::ffff:203.0.113.7", "::/48"), ("", ""), ("x", "")],
)  # fmt: skip
def test_an_address_is_kept_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.worker
def test_on_the_worker_uses_and_refusals_are_written_after_the_answer(worker: Runtime) -> None:
    keys = worker.account("business", "Watched")["projects"][0]
    worker.rows(keys["rk"], "get_stats", **WINDOW)
    worker.rpc(keys["rk"], "tools/call", {"name": "track_event", "arguments": {"event": "e"}})
    used, denied = None, []
    for _ in range(20):
        listed = worker.manage("list", "--project", keys["id"])["keys"]
        (used,) = [one["last_used_at"] for one in listed if one["key"][:2] == "rk"]
        (mine,) = [one["id"] for one in listed if one["key"][:2] == "rk"]
        denied = [one["action"] for one in worker.manage("audit")["entries"] if one["actor"] == mine]
        if used and denied:
            break
        time.sleep(1)
    assert used is not None
    assert denied == ["insufficient_scope"]


@pytest.mark.worker
def test_the_cron_of_the_worker_writes_kv_and_seals_the_log(worker: Runtime) -> None:
    worker.account("business", "Copied")

    def counts() -> tuple[int, int]:
        """Records of KV still to be written, and entries without a seal."""
        (file,) = [path for path in worker.persist.glob("v3/d1/**/*.sqlite") if path.stem != "metadata"]
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        pending = connection.execute("SELECT count(*) FROM kv_pending").fetchone()[0]
        bare = connection.execute(
            "SELECT count(*) FROM audit_entries WHERE id > (SELECT coalesce(max(upto), 0) FROM audit_seals)"
        ).fetchone()[0]
        connection.close()
        return pending, bare

    before = counts()
    assert min(before) > 0
    for _ in range(1 + before[0] // 40):
        assert worker.get("/cdn-cgi/local/scheduled?cron=*/5+*+*+*+*").status == 200
    assert counts() == (0, 0)
