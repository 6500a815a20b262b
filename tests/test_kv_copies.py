"""KV follows D1: what a failed, late or lost write to KV left is repaired by the cron (security.md T-FLT-K6, T-KEY-5)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from storage.key_store import key_name
from storage.kv_copies import COPIES_PER_RUN, KvCopies
from tests.house import InProcess
from tests.test_keys_command import Shell
from web.jobs import run_often


@pytest.fixture
def shell(house: InProcess, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(house, monkeypatch)


def catch_up(house: InProcess) -> int:
    copies = KvCopies(house.faults.of_kv(house.kv), house.faults.of(house.db))
    return asyncio.run(copies.catch_up(house._now_ms()))


def pending(house: InProcess) -> list[str]:
    return [row["name"] for row in house.db.connection.execute("SELECT name FROM kv_pending ORDER BY name")]


def record(house: InProcess, key: str) -> dict[str, Any]:
    kind, env, prefix, _ = key.split("_", 3)
    stored: dict[str, Any] = json.loads(house.kv.entries[key_name(kind, env, prefix)])
    return stored


def without_kv(shell: Shell, *arguments: str) -> Any:
    """A command whose writes to KV are all lost."""
    before = dict(shell.house.kv.entries)
    said = shell.run(*arguments)
    shell.house.kv.entries = before
    return said


def test_whatever_kv_missed_it_holds_after_one_run(shell: Shell) -> None:
    house = shell.house
    without_kv(shell, "create-account", "--name", "Acme", "--plan", "business", "--project", "Shop")
    assert house.kv.entries == {}
    catch_up(house)
    created = shell.run("create", "--kind", "rk", "--project", "shop", "--expires-days", "2")
    other = without_kv(shell, "create", "--kind", "sk", "--project", "shop")
    rotated = without_kv(shell, "rotate", created["id"], "--overlap", "1h")
    without_kv(shell, "revoke", other["id"])
    without_kv(shell, "set-plan", "--plan", "pro")
    catch_up(house)
    assert record(house, other["key"])["st"] == "revoked"
    assert record(house, created["key"])["exp"] == house._now_ms() + 3_600_000
    assert record(house, rotated["key"])["st"] == "active"
    assert pending(house) == []
    assert catch_up(house) == 0
    # Exactly what the command itself would have written.
    for change in (["create", "--kind", "rk", "--project", "shop"], ["set-plan", "--plan", "business"]):
        before = dict(house.kv.entries)
        shell.run(*change)
        written, house.kv.entries = house.kv.entries, before
        catch_up(house)
        assert house.kv.entries == written


def test_d1_has_the_word_until_then(shell: Shell) -> None:
    """T-KEY-5: revoked while KV could not be written, thrice."""
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    key = shell.run("create", "--kind", "rk", "--project", "shop")
    assert shell.reads(key["key"])
    without_kv(shell, "revoke", key["id"])
    for _ in range(3):
        shell.house.faults.kv = lambda _number: "throws"
        with pytest.raises(RuntimeError, match="KV PUT failed"):
            catch_up(shell.house)
        shell.house.faults.kv = lambda _number: None
        assert record(shell.house, key["key"])["st"] == "active"
        assert not shell.reads(key["key"])
        assert not shell.passes(key["key"])
    catch_up(shell.house)
    assert record(shell.house, key["key"])["st"] == "revoked"


def test_one_record_that_cannot_be_written_stops_no_other(shell: Shell) -> None:
    made = without_kv(shell, "create-account", "--name", "Acme", "--project", "Shop")
    keys = made["projects"][0]
    shell.house.faults.kv = lambda number: "throws" if number == 2 else None
    with pytest.raises(RuntimeError, match="KV PUT failed"):
        catch_up(shell.house)
    assert len(pending(shell.house)) == 1
    assert len(shell.house.kv.entries) == 4
    assert catch_up(shell.house) == 1
    assert {record(shell.house, keys[kind])["st"] for kind in ("pk", "sk", "rk")} == {"active"}


def test_what_changes_while_it_is_written_stays_pending(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    catch_up(shell.house)
    key = shell.run("create", "--kind", "rk", "--project", "shop")
    house, put = shell.house, shell.house.kv.put

    async def put_and_revoke(name: str, text: str, expiration_s: int | None = None) -> None:
        without_kv(shell, "revoke", key["id"])
        await put(name, text, expiration_s)

    house.kv.put = put_and_revoke  # type: ignore[method-assign]
    catch_up(house)
    assert record(house, key["key"])["st"] == "active", "the write came late"
    assert len(pending(house)) == 1
    house.kv.put = put  # type: ignore[method-assign]
    catch_up(house)
    assert record(house, key["key"])["st"] == "revoked"
    assert pending(house) == []


def test_a_run_writes_so_many_and_no_more(shell: Shell) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    for _ in range(COPIES_PER_RUN // 2):
        without_kv(shell, "create", "--kind", "rk", "--project", "shop")
        shell.run("create", "--kind", "sk", "--project", "shop")
    assert [catch_up(shell.house) for _ in range(3)] == [COPIES_PER_RUN, 5, 0]


def test_the_end_of_a_key_is_the_end_of_its_copy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.run("create-account", "--name", "Acme", "--project", "Shop")
    catch_up(shell.house)
    without_kv(shell, "create", "--kind", "rk", "--project", "shop", "--expires-days", "2")
    until = []

    async def put(_name: str, _text: str, expiration_s: int | None = None) -> None:
        until.append(expiration_s)

    monkeypatch.setattr(shell.house.kv, "put", put)
    catch_up(shell.house)
    assert until == [shell.house._now_ms() // 1000 + 3 * 86_400]


def test_a_record_whose_original_is_gone_is_no_longer_pending(shell: Shell) -> None:
    house = shell.house
    house.db.connection.execute(
        "INSERT INTO kv_pending VALUES ('key:v1:rk:live:0011aabb', 'x'), ('acct:v1:acc_x', 'y')"
    )
    catch_up(house)
    assert (pending(house), house.kv.entries) == ([], {})


def test_a_failing_job_does_not_stop_the_next(house: InProcess) -> None:
    ran = []

    class Failing:
        async def catch_up(self, now_ms: int) -> int:
            raise RuntimeError("KV is down")

        async def seal(self) -> None:
            ran.append("seal")

    asyncio.run(run_often(house.wiring(), Failing(), Failing()))  # type: ignore[arg-type]
    assert ran == ["seal"]
    assert [event for event, _ in house.log] == ["kv_copies_failed"]
