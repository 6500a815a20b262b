"""Keys that nobody was given: planted records, mutated texts, keys in the wrong place (security.md T-KEY-1, 2, 7, 10)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from access.token import digest, mint_token, parse_token
from storage.key_store import key_name
from tests.house import InProcess
from tests.scale import scale

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_nothing_stored_gives_a_key_back(house: InProcess) -> None:
    """T-KEY-1: neither the secret, nor its base64, nor its plain hash."""
    texts: list[str] = []
    for _ in range(scale(20, 250)):
        account = house.account()
        texts += [account["account"]["ak"], *(account["projects"][0][kind] for kind in ("pk", "sk", "rk"))]
    stored = house.everything_stored()
    for text in texts:
        secret = text.split("_", 3)[3]
        for form in (
            secret,
            base64.b64encode(text.encode()).decode(),
            hashlib.sha256(text.encode()).hexdigest(),
        ):
            assert form not in stored


@pytest.mark.parametrize("planted", ["plain hash", "wrong pepper", "empty", "zeros"])
def test_a_record_planted_in_kv_opens_nothing(house: InProcess, planted: str) -> None:
    """T-KEY-2: who can write to KV still lacks the pepper."""
    real = house.account()["projects"][0]["rk"]
    record = json.loads(house.kv.entries[key_name("rk", "live", real.split("_")[2])])
    token = mint_token("rk", "live", lambda alphabet: alphabet[4])
    made = {
        "plain hash": hashlib.sha256(token.text.encode()).hexdigest(),
        "wrong pepper": digest(token, bytes(32)).hex(),
        "empty": "",
        "zeros": "0" * 64,
    }[planted]
    house.kv.entries[key_name("rk", "live", token.prefix)] = json.dumps(record | {"d": made})
    answer = house.post("/mcp", LIST, token.text)
    assert (answer.status, answer.json) == (401, {"error": "invalid_api_key"})
    house.kv.entries[key_name("rk", "live", token.prefix)] = json.dumps(record | {"d": made, "pv": 99})
    house.forget_records()
    assert house.post("/mcp", LIST, token.text).status == 401


def test_no_text_one_character_away_is_a_key_or_costs_a_look_up(house: InProcess) -> None:
    """T-KEY-10: 66 places × 61 characters."""
    text = house.account()["projects"][0]["rk"]
    near = {
        text[:place] + other + text[place + 1 :]
        for place in range(66)
        for other in ALPHABET
        if other != text[place]
    }
    assert len(near) >= 66 * 61
    assert [one for one in near if parse_token(one) is not None] == []
    house.faults.reset()
    for one in sorted(near)[:: scale(40, 1)]:
        assert house.post("/mcp", LIST, one).status in (401, 403)
    assert (house.faults.kv_calls, house.faults.d1_asked) == (0, 0)
    assert house.faults.d1_calls <= 8, "a burst is written down, at its 10th, 100th, 1000th request"


@pytest.mark.parametrize("place", ["query", "cookie", "x-api-key", "body", "twice"])
def test_a_key_anywhere_but_in_its_header_is_no_key(house: InProcess, place: str) -> None:
    """T-KEY-7."""
    key = house.account()["projects"][0]["rk"]
    path = f"/mcp?key={key}&api_key={key}" if place == "query" else "/mcp"
    headers: dict[str, str] = {"cookie": {"cookie": f"key={key}"}, "x-api-key": {"x-api-key": key}}.get(
        place, {}
    )  # type: ignore[assignment]
    if place == "twice":
        headers = {"authorization": f"Bearer {key}, Bearer {key}"}
    body: dict[str, Any] = LIST | ({"key": key, "authorization": key} if place == "body" else {})
    answer = house.post(path, body, None, **headers)
    assert answer.status == 401
