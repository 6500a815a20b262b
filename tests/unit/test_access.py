"""Keys from their text to a principal: minting, parsing, digests, the gate, the cache, and the store behind it."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.cache import ABSENT_MS, FOUND_MS, MAX_RECORDS, RecordCache
from access.gate import Gate, Refusal, claimed_kind
from access.records import AccessUnavailableError
from access.token import digest, kind_of, mint_token, parse_token
from storage.database import Result, Statement
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
        assert token.text not in repr(token)
        assert token.prefix in repr(token)

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
        assert cache.get("a", 1000 + FOUND_MS - 1) == (True, "found")
        assert cache.get("a", 1000 + FOUND_MS) == (False, None)
        assert cache.get("b", 1000 + ABSENT_MS - 1) == (True, None)
        assert cache.get("b", 1000 + ABSENT_MS) == (False, None)
        assert cache.get("c", 1000) == (False, None)

    def test_the_least_used_makes_room(self) -> None:
        cache: RecordCache[int] = RecordCache()
        for number in range(MAX_RECORDS):
            cache.put(str(number), number, 0)
        assert cache.get("0", 1) == (True, 0)
        cache.put("one more", 1, 1)
        assert cache.get("0", 1) == (True, 0)
        assert cache.get("1", 1) == (False, None)

    def test_a_forgotten_record_is_gone(self) -> None:
        cache: RecordCache[int] = RecordCache()
        cache.put("a", 1, 0)
        cache.forget("a")
        cache.forget("never there")
        assert cache.get("a", 0) == (False, None)


class Down(Namespace):
    """A KV namespace in an outage."""

    async def get(self, name: str) -> str | None:
        raise RuntimeError("KV GET failed: 503")


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
        house.db.connection.execute("PRAGMA foreign_keys = OFF")
        house.db.connection.execute("DELETE FROM api_keys")
        assert house.post("/mcp", LIST, key).status == 200
        assert house.get("/v1/stats?from=2026-05-01&to=2026-05-02", key).status == 401, (
            "data is guarded by D1"
        )


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
        with pytest.raises(AccessUnavailableError):
            asyncio.run(other.wiring().gate.admit(f"Bearer {token.text}", 0))
