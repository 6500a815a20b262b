"""What an event's row leaves out comes back: ids, URLs and referrers, through SQL, to the last character."""

from __future__ import annotations

import random
import sqlite3
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.addresses import referrer_of, shorten, split_url, url_of
from storage.event_sample import FRACTION, SAMPLED_BELOW
from storage.ids import key_of, split, text_of
from tests.scale import scale

UUIDS = st.builds(lambda number: str(uuid.UUID(int=number, version=4)), st.integers(0, 2**128 - 1))
PIECES = [
    "https://", "http://", "https://www.", "site.example", "www.google.com", "t.co", "/", "/a", "/ä b", "?", "&", "#", "=",
    "utm_source=", "&utm_medium=", "&utm_campaign=cpc", "gclid=", "fbclid=", "'", "%C3%A4", "x",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


def answered(database: sqlite3.Connection, sql: str, **columns: Any) -> Any:
    """What an expression gives for a row `e` with these columns."""
    row = ", ".join(f":{column} AS {column}" for column in columns)
    (found,) = database.execute(
        f"WITH dictionary AS (SELECT 1 AS id, :site_text AS value) SELECT {sql} FROM (SELECT 1 AS site, {row}) AS e",
        {"site_text": None} | columns,
    ).fetchone()
    return found


@given(
    st.one_of(
        UUIDS,
        UUIDS.map(str.upper),
        st.text(min_size=1).filter(lambda text: "\0" not in text),
        st.uuids().map(str),
    )
)
@settings(max_examples=scale(200, 5000), deadline=None)
def test_an_id_comes_back(database: sqlite3.Connection, text: str) -> None:
    key, kept = split(text)
    assert 0 <= key < 2**63
    assert answered(database, text_of("e.key", "e.kept"), key=key, kept=kept) == text


def test_a_random_uuid_takes_two_integers_and_any_other_text_its_own_place() -> None:
    assert isinstance(split("5f0c3b1e-9a1d-4c77-8e21-d0f1a2b3c4d5")[1], int)
    for text in (
        "5F0C3B1E-9a1d-4c77-8e21-d0f1a2b3c4d5", "5f0c3b1e-9a1d-1c77-8e21-d0f1a2b3c4d5",
        "5f0c3b1e-9a1d-4c77-ce21-d0f1a2b3c4d5", "5f0c3b1e-9a1d-4c77-8e21-d0f1a2b3c4d5\n",
        "5f0c3b1e9a1d4c778e21d0f1a2b3c4d5", "anon_5f0c3b1e", "12", "",
    ):  # fmt: skip
        assert split(text)[1] == text


def test_ids_that_differ_little_have_different_keys_spread_evenly() -> None:
    """Written by hand, counted up, random: a key stands for a visitor, and its first bits choose the sample."""
    digits = [f"{d * 8}-{d * 4}-4{d * 3}-8{d * 3}-{d * 12}" for d in "0123456789abcdef"]
    counted = [f"{n:08x}-0000-4000-8000-{m:012x}" for n in range(40) for m in range(40)]
    chance = random.Random(7)
    drawn = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(20_000)]
    texts = {*digits, *counted, *drawn}
    assert len({key_of(text) for text in texts}) == len(texts)
    sampled = sum(key_of(text) < SAMPLED_BELOW for text in drawn)
    assert sampled == pytest.approx(len(drawn) * FRACTION, rel=0.1)


@given(site=TEXTS, rest=TEXTS, path=st.one_of(st.none(), st.sampled_from(["/", "/a", "", "/ä b", "/x"])))
@settings(max_examples=scale(300, 5000), deadline=None)
def test_a_url_comes_back(database: sqlite3.Connection, site: str, rest: str, path: str | None) -> None:
    url = f"https://{site}{rest}"
    found, tail = split_url(url, path)
    assert (
        answered(database, url_of("e", ":site_text", "e.path"), site_text=found, tail=tail, path=path) == url
    )


@given(
    st.one_of(st.none(), TEXTS), st.sampled_from(["https://site.example", "https://www.site.example", None])
)
@settings(max_examples=scale(300, 5000), deadline=None)
def test_a_referrer_comes_back(database: sqlite3.Connection, referrer: str | None, site: str | None) -> None:
    kept = shorten(referrer, site)
    assert answered(database, referrer_of("e"), site_text=site, referrer=kept) == referrer


def test_what_repeats_is_left_out() -> None:
    assert split_url("https://site.example/a?utm_source=x#y", "/a") == ("https://site.example", "?\x01x#y")
    assert split_url("https://site.example", "/") == ("https://site.example", "\x1f")
    assert split_url("https://site.example/a", "/other") == ("https://site.example", "\x1f/a")
    assert split_url(None, "/a") == (None, None)
    assert shorten("https://www.google.com/", None) == "\x01"
    assert shorten("https://site.example/a", "https://site.example") == "\x1f/a"
