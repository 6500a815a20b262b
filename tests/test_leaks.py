"""The watch over every response and every line of the log sees what it is there to see."""

from __future__ import annotations

import pytest

from access.token import mint_token, redacted
from tests.house import PEPPER, InProcess
from tests.leaks import logged, scanned

KEY = mint_token("rk", "live", lambda alphabet: alphabet[7]).text


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last)", 'File "app', "src/web/app.py", "D1_ERROR: x", "no such table: x at offset 3",
        "SQLITE_ERROR", f"key {KEY}", PEPPER, "SELECT 1 FROM events", "input_value='x'", "KV GET failed: 503",
        "D1_TYPE_ERROR: x", "at wasm-function[12]",
    ],
)  # fmt: skip
def test_a_response_that_gives_something_away_fails(text: str) -> None:
    with pytest.raises(AssertionError):
        scanned(500, {}, f'{{"error":"{text}"}}')
    with pytest.raises(AssertionError):
        scanned(500, {"x-debug": text}, "")


def test_what_visitors_write_is_no_leak() -> None:
    scanned(200, {}, '{"rows":[{"event_name":"DELETE FROM events"}]}')


def test_a_request_of_the_suite_is_watched(house: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.app.json_response", lambda *_: (_ for _ in ()).throw(RuntimeError("x")))
    monkeypatch.setattr(
        "web.app.error_response", lambda *_, **__: __import__("web.messages").messages.Response(500, KEY)
    )
    with pytest.raises(AssertionError, match="gives away"):
        house.get("/healthz")


def test_the_log_shows_of_a_key_only_what_is_public() -> None:
    for text in (KEY, f'"{KEY}"', f"Bearer%20{KEY}", f"a{KEY}", f"{KEY}{KEY}", KEY + "-_x"):
        assert logged([redacted(text)]) == []
        assert f"rk_live_{KEY.split('_')[2]}_[REDACTED]" in redacted(text)
    assert logged([f"x {KEY}"]) == [f"x {KEY}"]
