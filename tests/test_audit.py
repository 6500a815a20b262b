"""The audit log: one entry with each effect, seals that show tampering, 400 days (security.md T-AUD-1, T-AUD-2)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import asdict
from typing import Any

import pytest

from access.audit import COLUMNS, KEPT_MS, NOTHING, AuditEntry, first_broken, sealed, subject_mark
from storage import audit_log
from storage.audit_log import EVERY_ENTRY, EVERY_SEAL, SqlAuditLog
from tests.house import InProcess, Service

DAY_MS = 86_400_000


def entries(house: InProcess) -> list[dict[str, Any]]:
    return [dict(row) for row in house.db.connection.execute(EVERY_ENTRY)]


def seals(house: InProcess) -> list[dict[str, Any]]:
    return [dict(row) for row in house.db.connection.execute(EVERY_SEAL)]


def wrote(house: InProcess, *names: str, at: int | None = None) -> SqlAuditLog:
    """The log after these entries, and one seal over them."""
    log = SqlAuditLog(house.db)
    asyncio.run(log.write([AuditEntry(name, "operator", "key.create", name, at=at) for name in names]))
    asyncio.run(log.seal())
    return log


def test_forgetting_is_one_entry_that_does_not_say_whom(house: InProcess) -> None:
    keys = house.account()
    project, sk = keys["projects"][0], keys["projects"][0]["sk"]
    house.track(
        sk, *({"event": "e", "user_id": "ada@example.org", "anonymous_id": f"v{n}"} for n in range(120))
    )
    for _ in range(2):
        assert house.post("/v1/forget", {"user_id": "ada@example.org"}, sk).status == 200
    house.post("/v1/forget", {"user_id": "bob@example.org"}, sk)
    first, again, other = entries(house)
    assert {name: first[name] for name in ("account_id", "action", "outcome", "times")} == {
        "account_id": keys["account"]["id"], "action": "person.forget", "outcome": "done", "times": 1,
    }  # fmt: skip
    assert first["actor"].startswith("key_")
    assert first["request_id"].startswith("req_")
    assert first["request_id"] != again["request_id"]
    assert first["target"].startswith(f"{project['id']} person ")
    assert first["target"] == again["target"] != other["target"]
    assert "example.org" not in json.dumps(entries(house))


def test_a_key_without_the_right_forgets_nothing_and_writes_no_entry(house: InProcess) -> None:
    keys = house.account()["projects"][0]
    house.track(keys["sk"], {"event": "e", "user_id": "ada"})
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked'")
    assert house.post("/v1/forget", {"user_id": "ada"}, keys["sk"]).status == 401
    assert [one["action"] for one in entries(house)] == ["invalid_api_key:withdrawn"]


@pytest.mark.parametrize("late", ["", " late"])
def test_an_interrupted_forget_is_in_the_log_exactly_when_something_was_deleted(
    house: InProcess, late: str
) -> None:
    """And a batch that was run twice, because its reply was lost, is one entry."""
    keys = house.account()["projects"][0]
    house.track(keys["sk"], {"event": "e", "user_id": "ada"})
    house.fold()
    house.faults.reset()
    house.faults.d1 = lambda number, _statements: f"transient{late}" if number == 1 else None
    assert house.post("/v1/forget", {"user_id": "ada"}, keys["sk"]).json["deleted"] == 1
    assert len(entries(house)) == 1
    house.faults.reset()
    house.faults.d1 = lambda number, _statements: f"unforeseen{late}" if number == 1 else None
    assert house.post("/v1/forget", {"user_id": "ada"}, keys["sk"]).status == 500
    assert len(entries(house)) == (2 if late else 1)


def test_forgetting_is_in_the_log_of_the_worker_too(service: Service, account: dict[str, Any]) -> None:
    key = account["projects"][0]["sk"]
    assert service.post("/v1/forget", {"user_id": "ada"}, key).json == {
        "ok": True,
        "queued": False,
        "deleted": 0,
    }
    shown = service.manage("audit")["entries"] if hasattr(service, "manage") else entries(service)  # type: ignore[arg-type]
    mine = [one for one in shown if one["account_id"] == account["account"]["id"]]
    assert [(one["action"], one["outcome"]) for one in mine if one["action"] == "person.forget"] == [
        ("person.forget", "done")
    ]


def test_the_same_entry_is_written_once(house: InProcess) -> None:
    wrote(house, "a", "b")
    wrote(house, "b", "c")
    assert [one["entry"] for one in entries(house)] == ["a", "b", "c"]
    assert [one["upto"] for one in seals(house)] == [2, entries(house)[-1]["id"]]


@pytest.mark.parametrize("name", ["entry", "at", "actor", "account_id", "action", "target", "outcome", "times",
                                  "request_id", "address"])  # fmt: skip
def test_whatever_is_changed_in_a_sealed_entry_shows(house: InProcess, name: str) -> None:
    log = wrote(house, "a", "b")
    wrote(house, "c")
    connection = house.db.connection
    changed = {"at": 7, "times": 7, "outcome": "refused"}.get(name, "x")
    with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
        connection.execute(f"UPDATE audit_entries SET {name} = ? WHERE entry = 'c'", [changed])
    assert asyncio.run(log.first_broken(house._now_ms())) is None
    connection.execute("DROP TRIGGER audit_entries_are_not_changed")
    connection.execute(f"UPDATE audit_entries SET {name} = ? WHERE entry = 'c'", [changed])
    assert asyncio.run(log.first_broken(house._now_ms())) == 3


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("DELETE FROM audit_entries WHERE id = 2", 2),
        ("DELETE FROM audit_entries WHERE id <= 2", 2),
        ("INSERT INTO audit_entries SELECT 0, 'new', at, actor, account_id, action, target, outcome, times, request_id,"
         " address FROM audit_entries WHERE id = 1", 2),
        ("UPDATE audit_entries SET id = 9 WHERE id = 1", 2),
        ("UPDATE audit_seals SET newest_at = 1", 2),
        ("UPDATE audit_seals SET entries_hash = 'x' WHERE upto = 3", 3),
        ("DELETE FROM audit_seals WHERE upto = 2", 3),
        ("DELETE FROM audit_seals WHERE upto = 3", 5),
    ],
)  # fmt: skip
def test_rows_that_go_missing_or_change_behind_the_triggers_show(
    house: InProcess, tampering: str, broken: int
) -> None:
    log = wrote(house, "a", "b")
    wrote(house, "c")
    wrote(house, "d", "e")
    connection = house.db.connection
    if not tampering.startswith("INSERT"):
        with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
            connection.execute(tampering)
    for trigger in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger['name']}")
    connection.execute(tampering)
    assert asyncio.run(log.first_broken(house._now_ms())) == broken


def test_the_daily_check_looks_at_the_last_seals_only(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcdefgh":
        log = wrote(house, name)
    house.db.connection.execute("DROP TRIGGER audit_entries_are_not_changed")
    house.db.connection.execute("UPDATE audit_entries SET target = 'x' WHERE entry IN ('b', 'g')")
    assert asyncio.run(log.first_broken(house._now_ms())) == 2
    monkeypatch.setattr(audit_log, "_NEWEST_SEALS", audit_log._NEWEST_SEALS.replace("LIMIT 300", "LIMIT 4"))
    monkeypatch.setattr(audit_log, "CHECKED_SEALS", 4)
    assert asyncio.run(log.first_broken(house._now_ms())) == 7
    house.db.connection.execute("UPDATE audit_entries SET target = 'x' WHERE entry IN ('e', 'f')")
    assert asyncio.run(log.first_broken(house._now_ms())) == 6, (
        "the first of them is only where the chain begins"
    )


def test_entries_go_after_400_days_and_not_before_and_the_chain_stays_whole(house: InProcess) -> None:
    (now_ms,) = house.db.connection.execute("SELECT unixepoch() * 1000").fetchone()
    wrote(house, "old", "older", at=now_ms - KEPT_MS - 2 * DAY_MS)
    log = wrote(house, "young", at=now_ms - KEPT_MS + 2 * DAY_MS)
    wrote(house, "new", at=now_ms)
    for _ in range(2):
        asyncio.run(log.prune(now_ms))
        assert [one["entry"] for one in entries(house)] == ["young", "new"]
        assert first_broken(seals(house), entries(house), now_ms, whole=True) is None
    with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
        house.db.connection.execute("DELETE FROM audit_entries WHERE entry = 'young'")


def test_a_seal_holds_without_its_entries_from_the_instant_they_may_be_gone() -> None:
    """The instant is that of its newest entry, wherever that stands."""
    one = dict.fromkeys(COLUMNS, "x") | {"id": 1, "at": 2_000, "times": 1}
    seal = asdict(sealed(None, [one, one | {"id": 2, "at": 1_000}]))
    assert first_broken([seal], [], 2_000 + 400 * DAY_MS, whole=True) is None
    assert first_broken([seal], [], 2_000 + 400 * DAY_MS - 1, whole=True) == 2


def test_whom_the_log_names_is_16_bytes_whatever_the_text() -> None:
    marks = [subject_mark(b"secret")(user_id) for user_id in ("ada", "bob", "\ud800")]
    assert {len(bytes.fromhex(mark)) for mark in marks} == {16}
    assert len(set(marks)) == 3
    assert subject_mark(b"another")("ada") not in marks


def test_two_that_seal_at_once_leave_one_chain(house: InProcess) -> None:
    log = SqlAuditLog(house.db)
    asyncio.run(log.write([AuditEntry("a", "operator", "x", "y")]))
    seal = sealed(None, entries(house))
    asyncio.run(log.write([AuditEntry("b", "operator", "x", "y")]))
    later = sealed(None, entries(house))
    asyncio.run(house.db.batch([audit_log.add_seal(later), audit_log.add_seal(seal)]))
    assert [one["hash"] for one in seals(house)] == [later.hash]
    assert seals(house)[0]["prev_hash"] == NOTHING
    assert asyncio.run(log.first_broken(house._now_ms())) is None
