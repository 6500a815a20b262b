"""The user-agent table: hundreds of strings that browsers, apps and programs send, and text none does."""

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.user_agent import Browser, Device, DeviceType, Os, parse_user_agent

ROWS: list[list[str]] = json.loads(
    (Path(__file__).parent / "data" / "user_agents.json").read_text(encoding="utf-8")
)

WINDOWS_CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) {}"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) {}"


def test_every_string_of_the_collection_is_read_as_listed():
    wrong = [
        (ua, parse_user_agent(ua)) for ua, *expected in ROWS if parse_user_agent(ua) != Device(*expected)
    ]
    assert wrong == []


def test_the_collection_is_large_has_no_string_twice_and_uses_every_word_of_the_contract():
    assert len(ROWS) >= 300
    assert len({ua for ua, *_ in ROWS}) == len(ROWS)
    assert {row[1] for row in ROWS} == {"mobile", "tablet", "desktop"}
    assert {row[2] for row in ROWS} == {"chrome", "firefox", "safari", "edge", "opera", ""}
    assert {row[3] for row in ROWS} == {"windows", "macos", "android", "ios", "linux", ""}


@pytest.mark.parametrize(
    ("ua", "device_type", "browser", "os"),
    [
        (WINDOWS_CHROME.format("131.0.0.0 Safari/537.36"), "desktop", "chrome", "windows"),
        (WINDOWS_CHROME.format("131.0.0.0 Safari/537.36 Edg/131.0.0.0"), "desktop", "edge", "windows"),
        (WINDOWS_CHROME.format("130.0.0.0 Safari/537.36 OPR/115.0.0.0"), "desktop", "opera", "windows"),
        (IPHONE.format("Version/17.4 Mobile/15E148 Safari/604.1"), "mobile", "safari", "ios"),
        (IPHONE.format("CriOS/123.0.6312.52 Mobile/15E148 Safari/604.1"), "mobile", "chrome", "ios"),
        (IPHONE.format("FxiOS/124.0 Mobile/15E148 Safari/605.1.15"), "mobile", "firefox", "ios"),
        (
            IPHONE.format("Version/17.0 EdgiOS/122.0.2365.99 Mobile/15E148 Safari/604.1"),
            "mobile",
            "edge",
            "ios",
        ),
        (IPHONE.format("Mobile/15E148 [FBAN/FBIOS;FBAV/456.0.0.38.109]"), "mobile", "safari", "ios"),
        (ANDROID.format("Chrome/131.0.0.0 Mobile Safari/537.36"), "mobile", "chrome", "android"),
        (ANDROID.format("Chrome/131.0.0.0 Safari/537.36"), "tablet", "chrome", "android"),
        (
            ANDROID.format("SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36"),
            "mobile",
            "chrome",
            "android",
        ),
    ],
)
def test_a_browser_that_names_its_ancestors_is_read_as_itself(ua, device_type, browser, os):
    assert parse_user_agent(ua) == Device(device_type, browser, os)


@pytest.mark.parametrize(
    "ua", [None, "", " ", "curl/8.5.0", "something else", "chrome/1 android", "\x00\ud800"]
)
def test_what_no_row_names_is_a_desktop_without_browser_and_system(ua):
    assert parse_user_agent(ua) == Device("desktop", "", "")


def test_microsoft_is_not_chrome_os():
    assert parse_user_agent("Microsoft Office/16.0 (Microsoft Outlook 16.0)") == Device("desktop", "", "")


def test_only_the_beginning_of_an_endless_string_is_read():
    assert parse_user_agent("x" * 1024 + "iPhone") == Device("desktop", "", "")
    assert parse_user_agent("iPhone" + "x" * 2_000_000) == Device("mobile", "", "ios")


WORDS = sorted({word for ua, *_ in ROWS for word in ua.split()})


@given(ua=st.text(max_size=200) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_string_is_answered_in_the_contracts_words(ua):
    device = parse_user_agent(ua)
    assert device == parse_user_agent(ua)
    assert device.device_type in get_args(DeviceType)
    assert device.browser in get_args(Browser)
    assert device.os in get_args(Os)
