"""A restore of the database brings nobody back who was erased: their tombstones outlive it (T-GDPR-2)."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from access.audit import subject_mark
from access.plans import PLANS
from analytics.store import StoreUnavailableError
from analytics.window import MS_PER_DAY, format_instant, parse_instant
from storage import erasures as erasing
from storage import forget_again, tombstones
from storage.audit_log import EVERY_ENTRY
from storage.dictionary import hash63
from storage.erasures import Erasures
from storage.event_store import SqlEventStore
from storage.sqlite import Sqlite
from storage.tombstones import KEPT_MS, Tombstone, Tombstones, TooManyTombstonesError, tombstone_of
from tests.house import InProcess, Namespace
from tests.runtime import Runtime
from tests.test_forget import (
    PEOPLE,
    STORY,
    USER,
    Failing,
    add,
    contents,
    everything_said,
    people_at,
    rebuilt,
    told,
    visit,
)
from tests.test_keys_command import Shell
from tests.test_rollups import Folded
from web.jobs import look_after_erasures

LATER = "2026-05-20T18:00:00Z"
PREFIX = "erased:v1:"


def snapshot(database: Sqlite) -> sqlite3.Connection:
    """The database as it is now, for `restore`."""
    copy = sqlite3.connect(":memory:")
    database.connection.backup(copy)
    return copy


def restore(database: Sqlite, copy: sqlite3.Connection) -> None:
    copy.backup(database.connection)


def buried(house: InProcess) -> list[str]:
    return [name for name in house.kv.entries if name.startswith(PREFIX)]


def replay(house: InProcess) -> int:
    return asyncio.run(house.erasures().replay())


def remembered(house: InProcess) -> list[tuple[int, int, int]]:
    rows = house.db.connection.execute("SELECT project, anonymous, pending FROM erasures ORDER BY at")
    return [(row["project"], row["anonymous"], row["pending"]) for row in rows]


# --- erased, restored, erased again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("include", [True, False])
def test_whoever_a_restore_brings_back_is_erased_again_and_nothing_says_them_any_more(
    house: InProcess, folded: bool, include: bool
) -> None:
    """T-GDPR-2: in every tool, resource and route, and in every table."""
    account = house.account("business")
    keys = told(house, account)
    if folded:
        house.fold()
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": include}, keys["sk"])
    wanted = everything_said(house, account)
    restore(house.db, before)
    assert USER in everything_said(house, account)
    restore(house.db, before)  # reading folded what waited
    assert replay(house) == (5 if include else 4)
    assert everything_said(house, account) == wanted
    assert USER not in house.everything_stored()
    assert replay(house) == 0


def test_who_came_back_after_the_erasure_keeps_what_came_later(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], *STORY)
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    restore(house.db, before)
    house.now = LATER
    house.track(
        keys["sk"],
        visit("back", "laptop", USER, 20),
        visit("sent late, of an old day", "phone", USER, 4),
        visit("unnamed", "phone", day=20),
        visit("new device", "watch", USER, 20),
    )
    assert replay(house) == 4
    window = {"from_": "2026-05-01", "to": "2026-05-21"}
    left = house.rows(keys["rk"], "query_events", **window)
    assert sorted(row["event_name"] for row in left) == [
        "back", "new device", "sent late, of an old day", "unnamed", "view", "view",
    ]  # fmt: skip
    exported = house.post("/v1/export", {"user_id": USER}, keys["sk"]).json["rows"]
    assert len(exported) == 3
    assert house.post("/v1/forget", {"user_id": USER}, keys["sk"]).json["deleted"] == 3


def test_a_device_that_only_erased_events_made_theirs_is_nobodys_again(house: InProcess) -> None:
    """As it was before the restore: what is done there later without a name is not theirs to forget."""
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], visit("named", "kiosk", USER))
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    restore(house.db, before)
    house.now = LATER
    house.track(keys["sk"], visit("somebody", "kiosk", day=20), visit("somebody else", "kiosk", "bob", 20))
    assert replay(house) == 1
    asked = {"user_id": USER, "include_anonymous": True}
    assert house.post("/v1/export", asked, keys["sk"]).json["rows"] == []


def test_what_nobody_is_named_in_stays_on_a_device_that_became_theirs_after_the_erasure(
    house: InProcess,
) -> None:
    keys = house.account("business")["projects"][0]
    house.track(
        keys["sk"], visit("unnamed", "laptop"), visit("named", "laptop", USER), visit("before", "kiosk")
    )
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    restore(house.db, before)
    house.now = LATER
    house.track(keys["sk"], visit("back", "kiosk", USER, 20))
    assert replay(house) == 2
    left = house.rows(keys["rk"], "query_events", from_="2026-05-01", to="2026-05-21")
    assert [row["event_name"] for row in left] == ["back", "before"]


def test_a_choice_about_anonymous_events_is_not_undone_by_a_later_erasure_without_it(
    house: InProcess,
) -> None:
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], visit("unnamed", "laptop"), visit("named", "laptop", USER))
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    house.now = LATER
    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    restore(house.db, before)
    assert replay(house) == 2
    assert house.rows(keys["rk"], "get_stats", from_="2026-05-01", to="2026-05-21") == [{"value": 0}]


def test_only_the_project_of_the_erasure_is_touched(house: InProcess) -> None:
    account = house.account("business", "One", "Two")
    one, two = account["projects"]
    for keys in (one, two):
        house.track(keys["sk"], *STORY)
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER}, one["sk"])
    restore(house.db, before)
    assert replay(house) == 3
    assert len(house.post("/v1/export", {"user_id": USER}, one["sk"]).json["rows"]) == 0
    assert len(house.post("/v1/export", {"user_id": USER}, two["sk"]).json["rows"]) == 3


def test_a_restore_to_after_an_erasure_carries_out_nothing(house: InProcess) -> None:
    """What D1 knows of is not done again: since then the device may have become somebody's who erased nothing."""
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], visit("old, of nobody", "kiosk"), visit("named", "laptop", USER))
    house.post("/v1/forget", {"user_id": USER, "include_anonymous": True}, keys["sk"])
    house.now = LATER
    house.track(keys["sk"], visit("named", "kiosk", USER, 20))
    restore(house.db, snapshot(house.db))
    assert replay(house) == 0
    assert house.rows(keys["rk"], "get_stats", from_="2026-05-01", to="2026-05-21") == [{"value": 2}]


class Clocked:
    """A folded store with tombstones in a namespace of its own, and a clock."""

    def __init__(self, folded: Folded, now_ms: int) -> None:
        self.now_ms = now_ms
        self.kv = Namespace()
        self.folded = folded
        self.tombstones = Tombstones(self.kv, b"t" * 32, lambda: self.now_ms)
        self.store = SqlEventStore(folded.db, folded.deferred.append, tombstones=self.tombstones)

    def erasures(self, database: Any = None) -> Erasures:
        return Erasures(self.tombstones, database or self.folded.db, subject_mark(b"m" * 32))


@pytest.mark.parametrize("seed", range(8))
def test_after_a_replay_every_table_is_as_if_the_erased_events_had_never_come(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the slow, obvious list: what had arrived by the erasure goes, what came since stays."""
    chance = random.Random(seed)
    monkeypatch.setattr(forget_again, "EVENTS_PER_ROUND", chance.choice([3, 1000]))
    monkeypatch.setattr(erasing, "PEOPLE_PER_STEP", chance.choice([1, 5000]))
    folded = Folded(chance, 120, people_at(chance))
    ends_ms = max(event.ts_ms for event in folded.events) + MS_PER_DAY
    clocked = Clocked(folded, ends_ms)
    user, include = chance.choice(PEOPLE), chance.random() < 0.5
    before = snapshot(folded.db)
    asyncio.run(clocked.store.forget(folded.scope, user, include_anonymous=include))
    erased = contents(folded)
    restore(folded.db, before)
    came = [
        replace(event, event_id=f"late {event.event_id}", received_ms=ends_ms + 1)
        for event in Folded(random.Random(seed + 50), 30, people_at(chance)).events
    ]
    gone = gone_of(folded, user, include)
    add(folded, came)
    assert asyncio.run(clocked.erasures().replay()) == len(gone)
    folded.events = [event for event in folded.events if event not in gone] + came
    assert contents(folded) == rebuilt(folded)
    assert contents(folded) != erased


def gone_of(folded: Folded, user: str, include: bool) -> list[Any]:
    devices = {event.anonymous_id for event in folded.events if event.user_id == user}
    return [
        event
        for event in folded.events
        if event.user_id == user or (include and event.user_id is None and event.anonymous_id in devices)
    ]


@pytest.mark.parametrize("lost", [False, True])
def test_a_replay_that_is_killed_anywhere_is_finished_by_the_next(
    lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget_again, "EVENTS_PER_ROUND", 9)
    killed = 0
    for at in range(100):
        folded = Folded(random.Random(7), 60, people_at(random.Random(7)))
        clocked = Clocked(folded, max(event.ts_ms for event in folded.events) + 1)
        before = snapshot(folded.db)
        for user in PEOPLE:
            asyncio.run(clocked.store.forget(folded.scope, user, include_anonymous=True))
        wanted = contents(folded)
        restore(folded.db, before)
        try:
            asyncio.run(clocked.erasures(Failing(folded.db, at, lost=lost)).replay())
        except StoreUnavailableError:
            killed += 1
            asyncio.run(clocked.erasures().replay())
        assert contents(folded) == wanted, at
        again = folded.db.connection.execute(
            "SELECT count(*), count(DISTINCT entry) FROM audit_entries WHERE action = 'person.forget_again'"
        ).fetchone()
        assert tuple(again) == (2, 2), at
        if killed <= at:
            break
    assert killed >= 10


# --- tombstones -------------------------------------------------------------------------------------------------------


def test_a_tombstone_names_nobody_and_is_there_when_the_erasure_is_answered(house: InProcess) -> None:
    account = house.account("business", "One", "Two")
    one, two = account["projects"]
    for keys in (one, two):
        house.track(keys["sk"], *STORY)
        house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    house.post("/v1/forget", {"user_id": "nobody", "include_anonymous": True}, one["sk"])
    first, second, third = map(tombstone_of, buried(house))
    assert first
    assert second
    assert third
    assert [one.project_id for one in (first, second, third)] == [one["id"], two["id"], one["id"]]
    assert [one.include_anonymous for one in (first, second, third)] == [False, False, True]
    assert {one.at_ms for one in (first, second, third)} == {parse_instant(house.now)}
    assert len({first.person, second.person, third.person}) == 3, (
        "the same person is not told across projects"
    )
    other = Tombstones(house.kv, b"x" * 32, house._now_ms)
    assert other.person(one["id"], hash63(USER)) != first.person, "without the secret nobody can guess"
    stored = house.everything_stored()
    assert USER not in stored
    assert str(hash63(USER)) not in stored
    assert sorted(remembered(house)) == [(1, 0, 0), (1, 1, 0), (2, 0, 0)]


def test_a_forget_that_is_refused_leaves_no_tombstone(house: InProcess) -> None:
    """Or whoever has a key that was revoked would erase by the cron's hand."""
    keys = house.account()["projects"][0]
    house.track(keys["sk"], *STORY)
    house.db.connection.execute("UPDATE api_keys SET status = 'revoked'")
    assert house.post("/v1/forget", {"user_id": USER}, keys["sk"]).status == 401
    assert house.post("/v1/forget", {"user_id": USER}, keys["rk"]).status == 403
    assert (buried(house), remembered(house)) == ([], [])


def test_a_tombstone_is_kept_until_retention_would_take_whatever_a_copy_brings_back(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = []

    async def put(_name: str, _text: str, expiration_s: int | None = None) -> None:
        until.append(expiration_s)

    monkeypatch.setattr(house.kv, "put", put)
    house.post("/v1/forget", {"user_id": USER}, house.account()["projects"][0]["sk"])
    assert until == [(parse_instant(house.now) + KEPT_MS) // 1000]
    assert max(plan.retention_days for plan in PLANS.values()) * MS_PER_DAY + 30 * MS_PER_DAY < KEPT_MS


@pytest.mark.parametrize("name", [
    "erased:v1:", "erased:v1:p:x:all", "erased:v1:p:x:some:5", "erased:v1:p:x:all:five", "erased:v1:p:x:all:5:6", "key:v1:a",
])  # fmt: skip
def test_a_name_of_another_kind_is_no_tombstone(name: str) -> None:
    assert tombstone_of(name) is None


def test_a_name_says_all_that_a_tombstone_is() -> None:
    for include in (False, True):
        one = Tombstone("prj_0a", "ff" * 16, include, 1_779_278_400_000)
        assert tombstone_of(one.name) == one
        assert len(one.name.encode()) < 512


# --- when KV fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["throws", "hangs"])
def test_an_outage_of_kv_keeps_nobody_from_being_erased_and_the_cron_writes_the_tombstone(
    house: InProcess, fault: str
) -> None:
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], *STORY)
    before = snapshot(house.db)
    real = house.kv.put

    async def failing(*_: Any) -> None:
        if fault == "throws":
            raise RuntimeError("KV PUT failed: 503 Service Unavailable")
        await asyncio.sleep(30)

    house.kv.put = failing  # type: ignore[method-assign]
    answer = house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    assert answer.json == {"ok": True, "queued": False, "deleted": 3}
    assert (buried(house), remembered(house)) == ([], [(1, 0, 1)])
    asyncio.run(look_after_erasures(house.wiring(), house.erasures(), daily=False))
    assert [event for event, _ in house.log] == ["tombstones_failed"]
    assert remembered(house) == [(1, 0, 1)]
    house.kv.put = real  # type: ignore[method-assign]
    asyncio.run(look_after_erasures(house.wiring(), house.erasures(), daily=False))
    assert (len(buried(house)), remembered(house)) == (1, [(1, 0, 0)])
    restore(house.db, before)
    assert replay(house) == 3


def test_an_erasure_repeated_while_its_tombstone_is_pending_keeps_the_later_one(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    real = house.kv.put

    async def failing(*_: Any) -> None:
        raise RuntimeError("KV PUT failed: 503 Service Unavailable")

    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    house.now = LATER
    house.kv.put = failing  # type: ignore[method-assign]
    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    assert remembered(house) == [(1, 0, 1)]
    house.kv.put = real  # type: ignore[method-assign]
    assert asyncio.run(house.erasures().catch_up()) == 1
    assert [one.at_ms for name in buried(house) if (one := tombstone_of(name))] == [
        parse_instant("2026-05-20T12:00:00Z"), parse_instant(LATER),
    ]  # fmt: skip


# --- the crons --------------------------------------------------------------------------------------------------------


def test_a_day_on_which_nothing_was_restored_costs_one_list_and_one_batch(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    for number in range(30):
        house.post("/v1/forget", {"user_id": f"u{number}"}, keys["sk"])
    house.faults.reset()
    assert replay(house) == 0
    assert (house.faults.kv_calls, house.faults.d1_calls) == (1, 1)


def test_tombstones_are_listed_page_by_page_to_the_end(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], *(visit("e", f"d{number}", f"u{number}") for number in range(20)))
    before = snapshot(house.db)
    for number in range(20):
        house.post("/v1/forget", {"user_id": f"u{number}"}, keys["sk"])
    for number in range(2_100):  # of a project that is gone, and in front of ours
        house.kv.entries[Tombstone("a", f"{number:032x}", True, 5).name] = ""
    restore(house.db, before)
    house.faults.reset()
    monkeypatch.setattr(tombstones, "PAGES_PER_RUN", 3)
    assert replay(house) == 20
    assert house.faults.kv_calls == 3
    monkeypatch.setattr(tombstones, "PAGES_PER_RUN", 2)
    with pytest.raises(TooManyTombstonesError):
        replay(house)


def test_an_operator_asks_for_it_after_a_restore_and_the_next_run_carries_it_out(
    house: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(house, monkeypatch)
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], *STORY)
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    restore(house.db, before)

    def run(daily: bool = False) -> None:
        asyncio.run(look_after_erasures(house.wiring(), house.erasures(), daily=daily))

    def there() -> int:
        return len(house.post("/v1/export", {"user_id": USER}, keys["sk"]).json["rows"])

    house.faults.reset()
    run()
    assert (there(), house.faults.kv_calls) == (3, 0), "nobody asked: KV is not listed every five minutes"
    assert shell.run("replay-erasures")["asked_at"] == "2026-05-20T12:00:00.000Z"
    house.faults.reset()
    house.faults.kv = lambda _number: "throws"
    asyncio.run(look_after_erasures(house.wiring(), house.erasures(), daily=False))
    house.faults.reset()
    assert ([event for event, _ in house.log], there()) == (["erasures_replay_failed"], 3)
    run()
    assert there() == 0
    house.faults.reset()
    run()
    assert house.faults.kv_calls == 0, "it was done, and is not asked any more"
    actions = [row["action"] for row in house.db.connection.execute(EVERY_ENTRY)]
    assert [one for one in actions if one != "person.export"] == ["erasures.replay", "person.forget_again"]


def test_the_daily_run_needs_nobody_to_ask(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    house.track(keys["sk"], *STORY)
    before = snapshot(house.db)
    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    restore(house.db, before)
    asyncio.run(look_after_erasures(house.wiring(), house.erasures(), daily=True))
    assert house.post("/v1/export", {"user_id": USER}, keys["sk"]).json["rows"] == []


def test_erasures_are_forgotten_with_their_tombstones(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    house.post("/v1/forget", {"user_id": USER}, keys["sk"])
    for passed_ms, left in ((KEPT_MS, 1), (KEPT_MS + 1, 0)):
        house.now = format_instant(parse_instant("2026-05-20T12:00:00Z") + passed_ms)
        asyncio.run(house.erasures().prune())
        assert len(remembered(house)) == left


def test_no_statement_about_erasures_reads_a_whole_table(house: InProcess) -> None:
    given: dict[str, Sequence[Any]] = {
        erasing.PENDING: (), erasing.PRUNE: (5,), erasing.MISSING: ('[["p","x",1,5]]',), erasing._PEOPLE: (1, "-1", 9),
        erasing.WRITTEN: (1, "x", 1, 5), forget_again._USER_IDS: (1, "{}"), forget_again._FIND: (1, "{}", 5, 9),
        forget_again._RELEASE: (1, "{}"),
    }  # fmt: skip
    for sql, parameters in given.items():
        plan = house.db.connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(parameters)).fetchall()
        details = [row["detail"] for row in plan]
        scans = [one for one in details if re.match(r"SCAN (?!t VIRTUAL|json_each|v$|t$|theirs$)", one)]
        assert not scans, (sql, details)


# --- the Worker -------------------------------------------------------------------------------------------------------


@pytest.mark.worker
@pytest.mark.parametrize("asked_to", [False, True])
def test_the_worker_erases_again_who_came_back_with_a_copy_of_its_database(
    tmp_path: Path, asked_to: bool
) -> None:
    """The files of D1 are put back as they were; KV is not. The daily cron of the Worker does the rest, or, where it is
    asked to, that of every five minutes, as the command says."""
    server = Runtime(tmp_path / "state", "--no-demo")
    try:
        keys = server.account("business")["projects"][0]
        at = format_instant(int(time.time() * 1000) - 2 * MS_PER_DAY)
        events = [
            {"event": name, "anonymous_id": "laptop", "timestamp": at, **user}
            for name, user in (("unnamed", {}), ("named", {"user_id": USER}), ("other", {"user_id": "bob"}))
        ]
        server.track(keys["sk"], *events)
        asked = {"user_id": USER, "include_anonymous": True}
        assert len(server.post("/v1/export", asked, keys["sk"]).json["rows"]) == 2
        server.stop()
        (database,) = [path for path in (tmp_path / "state").rglob("d1") if path.is_dir()]
        shutil.copytree(database, tmp_path / "copy")
        server.start()
        assert server.post("/v1/forget", asked, keys["sk"]).json["deleted"] == 2
        server.stop()
        shutil.rmtree(database)
        shutil.copytree(tmp_path / "copy", database)
        server.start()
        assert len(server.post("/v1/export", asked, keys["sk"]).json["rows"]) == 2
        server.track(keys["sk"], {"event": "back", "anonymous_id": "laptop", "user_id": USER})
        every_five_minutes = "/cdn-cgi/local/scheduled?cron=*/5+*+*+*+*"
        assert server.get(every_five_minutes).status == 200
        assert len(server.post("/v1/export", asked, keys["sk"]).json["rows"]) == 3, "not asked to"
        if asked_to:
            assert f"GET {every_five_minutes}" in server.manage("replay-erasures")["carried_out"]
        assert server.get(every_five_minutes if asked_to else "/cdn-cgi/local/scheduled").status == 200
        assert [row["event_name"] for row in server.post("/v1/export", asked, keys["sk"]).json["rows"]] == [
            "back"
        ]
        kept = server.post("/v1/export", {"user_id": "bob"}, keys["sk"]).json["rows"]
        assert [row["event_name"] for row in kept] == ["other"]
    finally:
        server.stop()
