"""Keys from their text to a principal: minting, parsing, digests, the gate, the cache, and the store behind it."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.bucket import Bucket
from access.cache import RecordCache
from access.gate import _NOBODY, Gate, Refusal, claimed_kind
from access.plans import PLANS
from access.records import AccessUnavailableError, AccountRecord, KeyRecord, OwnedProject
from access.token import digest, kind_of, mint_token, parse_token
from analytics.scope import Project
from storage.database import Result, Statement
from storage.key_store import (
    KV_BUDGET_S,
    account_from_json,
    account_name,
    account_to_json,
    expiration_s,
    key_from_json,
    key_name,
    key_to_json,
    look_ups,
)
from storage.sqlite import Sqlite
from tests.house import PEPPER, InProcess, Namespace

KINDS = st.sampled_from(["pk", "sk", "rk", "ak"])
ENVS = st.sampled_from(["live", "test"])


class TestToken:
    @given(KINDS, ENVS, st.randoms(use_true_random=False))
    def test_what_is_minted_is_understood(self, kind: Any, env: Any, rng: random.Random) -> None:
        token = mint_token(kind, env, rng.choice)
        assert parse_token(token.text) == token
        assert (token.kind, token.env, kind_of(token.text)) == (kind, env, kind)
        assert token.text.startswith(f"{kind}_{env}_{token.prefix}_")
        assert len(token.text) == 66

    @given(st.data())
    def test_one_changed_character_is_noticed(self, data: st.DataObject) -> None:
        text = mint_token("rk", "live", random.Random(1).choice).text
        place = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.sampled_from("abcXYZ019_-").filter(lambda one: one != text[place]))
        assert parse_token(text[:place] + other + text[place + 1 :]) is None

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("rk_live_0011aabb_a_b-c", "rk"),
            ("ak_test_0011aabb_x", "ak"),
            ("rk_live_0011aabb_", None),
            ("rk_live_0011aabg_x", None),
            ("zz_live_0011aabb_x", None),
            ("rk_live_0011aabb_x\n", None),
            ("rk_live_٠٠١١aabb_x", None),
            ("rk_live_0011aabb_é", None),
            ("", None),
        ],
    )
    def test_the_contracts_shape_tells_the_kind(self, text: str, kind: str | None) -> None:
        assert kind_of(text) == kind

    def test_a_secret_is_not_shown_by_accident(self) -> None:
        token = mint_token("sk", "live", secrets.choice)
        assert repr(token) == f"Token(sk_live_{token.prefix}_[REDACTED])"

    def test_a_key_that_was_handed_out_once_stays_a_key_with_the_same_digest(self) -> None:
        token = parse_token("rk_live_a4c123b1_" + "wWD25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqhB4Eaj77")
        assert token is not None
        assert (token.kind, token.env, token.prefix) == ("rk", "live", "a4c123b1")
        expected = "4158737b7a7d54278afb65fa88553e95cfec48192ffdd08c38a22d9f321262d0"
        assert digest(token, bytes(range(32))).hex() == expected

    def test_a_digest_depends_on_the_pepper_and_on_every_part(self) -> None:
        first, second = (mint_token("rk", "live", random.Random(seed).choice) for seed in (1, 2))
        pepper = bytes(32)
        assert len(digest(first, pepper)) == 32
        assert digest(first, pepper) == digest(first, pepper)
        assert len({digest(first, pepper), digest(first, b"\1" * 32), digest(second, pepper)}) == 3


class TestCache:
    def test_a_record_is_kept_for_its_time_and_no_longer(self) -> None:
        cache: RecordCache[str] = RecordCache()
        cache.put("a", "found", 1000)
        cache.put("b", None, 1000)
        assert cache.get("a", 15_999) == (True, "found")
        assert cache.get("a", 16_000) == (False, None)
        assert cache.get("b", 10_999) == (True, None)
        assert cache.get("b", 11_000) == (False, None)
        assert cache.get("c", 1000) == (False, None)

    def test_the_least_used_makes_room(self) -> None:
        cache: RecordCache[int] = RecordCache()
        for number in range(1_024):
            cache.put(str(number), number, 0)
        assert cache.get("0", 1) == (True, 0)
        cache.put("one more", 1, 1)
        assert cache.get("0", 1) == (True, 0)
        assert cache.get("1", 1) == (False, None)

    def test_a_record_that_is_written_again_is_among_the_most_recent(self) -> None:
        cache: RecordCache[int] = RecordCache()
        for number in range(1_024):
            cache.put(str(number), number, 0)
        cache.put("0", 7, 1)
        cache.put("one more", 1, 1)
        assert cache.get("0", 1) == (True, 7)
        assert cache.get("1", 1) == (False, None)

    def test_a_forgotten_record_is_gone(self) -> None:
        cache: RecordCache[int] = RecordCache()
        cache.put("a", 1, 0)
        cache.forget("a")
        cache.forget("never there")
        assert cache.get("a", 0) == (False, None)


def test_plans_are_those_of_the_contract() -> None:
    """Events a month, days kept, and the two endpoints of MCP."""
    assert {plan.name: astuple(plan)[1:] for plan in PLANS.values()} == {
        "free": (100_000, 30, False, False),
        "pro": (1_000_000, 90, True, False),
        "business": (10_000_000, 365, True, True),
    }
    assert [(name, plan.name) for name, plan in PLANS.items()] == [
        (one, one) for one in ("free", "pro", "business")
    ]


class TestBucket:
    def test_so_many_are_there_at_once_and_so_many_come_each_second(self) -> None:
        bucket = Bucket(burst=2, per_s=500)
        taken = [bucket.take(now_ms) for now_ms in (0, 0, 0, 1, 2, 2, 3, 90_000, 90_000, 90_000)]
        assert taken == [True, True, False, False, True, False, False, True, True, False]

    @pytest.mark.parametrize(("later_ms", "there"), [(999, False), (1000, True)])
    def test_one_a_second_is_there_after_a_second_and_not_before(self, later_ms: int, there: bool) -> None:
        bucket = Bucket(burst=1, per_s=1)
        assert [bucket.take(0), bucket.take(later_ms)] == [True, there]

    def test_a_clock_that_goes_back_takes_nothing_away(self) -> None:
        bucket = Bucket(burst=1, per_s=500)
        assert [bucket.take(now_ms) for now_ms in (1_000, 990, 992)] == [True, False, True]


class Down(Namespace):
    """A KV namespace in an outage."""

    async def get(self, name: str) -> str | None:
        raise RuntimeError("KV GET failed: 503")


class Silent(Namespace):
    """A KV namespace that never answers."""

    async def get(self, name: str) -> str | None:
        await asyncio.Event().wait()
        return None


class Broken(Sqlite):
    """A database in an outage."""

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        raise RuntimeError("D1_ERROR: Network connection lost")


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def restarted(house: InProcess, kv: Namespace | None = None, db: Sqlite | None = None) -> InProcess:
    """Another isolate of the same house, with other neighbours."""
    return InProcess(now=house.now, db=db or house.db, kv=kv or house.kv)


class TestKeyStore:
    def test_without_kv_the_database_decides(self, house: InProcess) -> None:
        key = house.account()["projects"][0]["rk"]
        other = restarted(house, kv=Down())
        assert other.post("/mcp", LIST, key).status == 200
        assert other.post("/mcp", LIST, mint_token("rk", "live", secrets.choice).text).status == 401

    def test_a_kv_that_never_answers_is_not_waited_for(self, house: InProcess) -> None:
        assert KV_BUDGET_S == 1.0
        key = house.account()["projects"][0]["rk"]
        assert restarted(house, kv=Silent()).post("/mcp", LIST, key).status == 200

    @pytest.mark.parametrize(
        "stored",
        [
            "", "{", "[]", "null", '{"v": 2}', '{"v": 1}',
            '{"v": 1, "kind": "rk", "st": "active", "d": "", "exp": null}',
            '{"v": 1, "kind": "rk", "st": "active", "d": "%s", "exp": "never"}' % ("0" * 64),
        ],
    )  # fmt: skip
    def test_an_unreadable_record_in_kv_is_no_record(self, house: InProcess, stored: str) -> None:
        key = house.account()["projects"][0]["rk"]
        house.kv.entries = dict.fromkeys(house.kv.entries, stored)
        assert restarted(house).post("/mcp", LIST, key).status == 200

    def test_without_kv_and_database_nobody_is_let_in_or_turned_away(self, house: InProcess) -> None:
        key = house.account()["projects"][0]["rk"]
        other = restarted(house, kv=Down(), db=Broken())
        for answer in (
            other.post("/mcp", LIST, key),
            other.get("/v1/stats?from=2026-05-01&to=2026-05-02", key),
        ):
            assert (answer.status, answer.json) == (502, {"error": "upstream_failed"})
            assert answer.headers["retry-after"] == "5"
        assert [event for event, _error in other.log] == ["upstream_failed", "upstream_failed"]

    @pytest.mark.parametrize(("fault", "error"), [("overloaded", "overloaded"), ("not ready", "not_ready")])
    def test_what_d1_says_of_itself_is_said_of_a_key_that_kv_does_not_hold(
        self, house: InProcess, fault: str, error: str
    ) -> None:
        key = house.account()["projects"][0]["rk"]
        house.kv.entries.clear()
        house.forget_records()
        house.faults.d1 = lambda _number, _statements: fault
        answer = house.post("/mcp", LIST, key)
        assert (answer.status, answer.json["error"]) == (503, error)

    def test_with_kv_and_without_database_the_protocol_still_answers(self, house: InProcess) -> None:
        key = house.account()["projects"][0]["rk"]
        other = restarted(house, db=Broken())
        assert other.post("/mcp", LIST, key).status == 200
        call = {"name": "get_stats", "arguments": {"from": "2026-05-01", "to": "2026-05-02"}}
        error = other.rpc(key, "tools/call", call)["error"]
        assert (error["code"], error["message"]) == (-32000, "tool_failed")
        assert "D1_ERROR" not in str(error)

    def test_a_second_request_looks_nothing_up(self, house: InProcess) -> None:
        key = house.account()["projects"][0]["rk"]
        assert house.post("/mcp", LIST, key).status == 200
        house.kv.entries.clear()
        asked = house.faults.d1_calls
        assert house.post("/mcp", LIST, key).status == 200
        assert house.faults.d1_calls == asked, "neither for the key nor for its account"
        house.db.connection.execute("PRAGMA foreign_keys = OFF")
        house.db.connection.execute("DELETE FROM api_keys")
        assert house.post("/mcp", LIST, key).status == 200
        assert house.get("/v1/stats?from=2026-05-01&to=2026-05-02", key).status == 401, (
            "data is guarded by D1"
        )

    def test_of_keys_that_kv_does_not_hold_twenty_are_asked_for_at_once_and_five_a_second(self) -> None:
        bucket = look_ups()
        assert [bucket.take(0) for _ in range(21)] == [True] * 20 + [False]
        assert [bucket.take(now_ms) for now_ms in (199, 200, 399, 400)] == [False, True, False, True]

    def test_nobody_hears_that_a_key_is_unknown_when_too_many_were(self, house: InProcess) -> None:
        store = house.wiring().gate._keys
        for _ in range(20):
            assert asyncio.run(store.key(mint_token("rk", "live", secrets.choice))) is None
        with pytest.raises(AccessUnavailableError, match="too many keys that KV does not know"):
            asyncio.run(store.key(mint_token("rk", "live", secrets.choice)))

    def test_the_names_of_records_in_kv(self) -> None:
        assert key_name("rk", "live", "0011aabb") == "key:v1:rk:live:0011aabb"
        assert account_name("acc_1") == "acct:v1:acc_1"

    def test_kv_and_the_database_say_the_same_of_a_key_and_of_its_account(self, house: InProcess) -> None:
        house.account()
        keys = house.account("pro", "Site", "Shop")
        house.account()
        tokens = [parse_token(text) for text in (keys["projects"][1]["rk"], keys["account"]["ak"])]

        async def known() -> list[Any]:
            store = restarted(house).wiring().gate._keys
            return [
                *[await store.key(token) for token in tokens if token],
                await store.account(keys["account"]["id"]),
            ]

        in_kv = asyncio.run(known())
        house.kv.entries.clear()
        key, whole, account = asyncio.run(known())
        assert in_kv == [key, whole, account]
        assert (whole.kind, whole.project_id) == ("ak", None)
        assert (key.kind, key.project_id, key.status) == ("rk", keys["projects"][1]["id"], "active")
        assert [one.project.slug for one in account.projects] == ["site", "shop"]
        assert {one.allowed_origins for one in account.projects} == {frozenset({"https://site.example"})}

    def test_what_is_written_to_kv_is_read_from_it(self) -> None:
        key = KeyRecord(
            "key_1", "ak", "test", "acc_1", None, bytes(range(32)), 3, "revoked", 1_700_000_000_000, 7
        )
        assert key_from_json(json.loads(key_to_json(key))) == key
        owned = OwnedProject(
            Project(5, "prj_1", "shop", "Shop"), frozenset({"https://b.example", "https://a.example"})
        )
        account = AccountRecord("acc_1", "free", "suspended", (owned,))
        assert account_from_json(json.loads(account_to_json(account))) == account
        assert json.loads(account_to_json(account))["projects"][0]["origins"] == [
            "https://a.example",
            "https://b.example",
        ]

    @pytest.mark.parametrize(
        ("place", "change", "status"),
        [
            ("key:", {}, 200),
            ("key:", {"st": "revoked"}, 401),
            *(("key:", change, 502) for change in ({"v": 2}, {"kind": "xk"}, {"st": "asleep"}, {"st": ""})),
            *(("key:", change, 502) for change in ({"d": "00" * 31}, {"d": "00" * 33}, {"exp": "never"}, {"exp": 0.5})),
            ("acct:", {"st": "suspended"}, 401),
            *(("acct:", change, 502) for change in ({"v": 2}, {"plan": "gold"}, {"st": "asleep"}, {"st": ""})),
        ],
    )  # fmt: skip
    def test_a_record_is_believed_when_every_member_is_one_we_write(
        self, house: InProcess, place: str, change: dict[str, Any], status: int
    ) -> None:
        """Otherwise the database decides, which is away here."""
        key = house.account()["projects"][0]["rk"]
        for name, text in house.kv.entries.items():
            if name.startswith(place):
                house.kv.entries[name] = json.dumps(json.loads(text) | change)
        assert restarted(house, db=Broken()).post("/mcp", LIST, key).status == status

    @pytest.mark.parametrize(("characters", "status"), [(1_000_000, 200), (1_000_001, 502)])
    def test_a_record_is_a_million_characters_long_at_most(
        self, house: InProcess, characters: int, status: int
    ) -> None:
        key = house.account()["projects"][0]["rk"]
        house.kv.entries = {name: text.ljust(characters) for name, text in house.kv.entries.items()}
        assert restarted(house, db=Broken()).post("/mcp", LIST, key).status == status

    @pytest.mark.parametrize(
        ("expires_ms", "until_s"),
        [(None, None), (1_000_000_000_000, 1_000_086_400), (900_000_000_000, 1_000_000_119)],
    )
    def test_kv_keeps_a_key_a_day_after_its_end_and_two_minutes_from_now(
        self, expires_ms: int | None, until_s: int | None
    ) -> None:
        key = KeyRecord("key_1", "rk", "live", "acc_1", "prj_1", bytes(32), 1, "active", expires_ms, 1)
        assert expiration_s(key, 999_999_999_999) == until_s


class TestGate:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "missing_bearer_token"),
            ("Bearer", "missing_bearer_token"),
            ("Basic x", "missing_bearer_token"),
            ("Bearer x", "malformed_api_key"),
            ("Bearer rk_live_0011aabb_x y", "malformed_api_key"),
            ("Bearerrk_live_0011aabb_x", "malformed_api_key"),
        ],
    )
    def test_a_header_without_a_key(self, header: str | None, code: str) -> None:
        with pytest.raises(Refusal) as refused:
            claimed_kind(header)
        assert (refused.value.status, refused.value.code) == (401, code)

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ("Bearer x", "malformed_api_key"),
            ("Bearer rk_live_0011aabb_x", "invalid_api_key"),
            (None, "missing_bearer_token"),
        ],
    )
    def test_what_is_no_key_of_ours_is_refused_without_a_look_up(
        self, house: InProcess, header: str | None, code: str
    ) -> None:
        with pytest.raises(Refusal) as refused:
            asyncio.run(house.wiring().gate.admit(header, 0))
        assert (refused.value.status, refused.value.code) == (401, code)
        assert house.faults.d1_calls == 0

    def test_a_miss_is_compared_over_as_many_bytes_as_a_hit(self) -> None:
        assert len(_NOBODY) == len(digest(mint_token("rk", "live", secrets.choice), bytes(32)))

    def test_a_key_hashed_with_a_pepper_that_is_gone_is_invalid(self, house: InProcess) -> None:
        key = house.account()["projects"][0]["rk"]
        keys = house.wiring().gate._keys

        def admit(peppers: dict[int, bytes]) -> Any:
            return asyncio.run(Gate(keys, peppers).admit(f"Bearer {key}", 0))

        assert admit({1: bytes.fromhex(PEPPER)}).kind == "rk"
        assert admit({1: bytes.fromhex(PEPPER), 2: bytes(32)}).kind == "rk"
        for peppers in ({2: bytes.fromhex(PEPPER)}, {1: bytes(32)}):
            with pytest.raises(Refusal, match="invalid_api_key"):
                admit(peppers)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE accounts SET status = 'suspended'",
            "UPDATE projects SET status = 'deleted'",
            "UPDATE api_keys SET status = 'revoked'",
            "UPDATE api_keys SET expires_at = 1",
        ],
    )
    def test_what_the_database_withdraws_ends_a_key(self, house: InProcess, change: str) -> None:
        key = house.account()["projects"][0]["rk"]
        house.db.connection.execute(change)
        house.kv.entries.clear()
        assert house.post("/mcp", LIST, key).json == {"error": "invalid_api_key"}

    def test_an_unavailable_store_is_an_error_of_its_own(self, house: InProcess) -> None:
        other = restarted(house, kv=Down(), db=Broken())
        token = mint_token("rk", "live", secrets.choice)
        with pytest.raises(AccessUnavailableError, match="keys can be checked neither in KV nor in D1"):
            asyncio.run(other.wiring().gate.admit(f"Bearer {token.text}", 0))
