"""Who visits the demo sites: countries, devices, channels that bring them. Tables and weighted draws."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WINDOWS: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC: Final = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"

# User agents with their share, ordered so that the first few alone are a believable mix.
_USER_AGENTS: Final = (
    (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 26),
    (f"{_WINDOWS}) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36", 22),
    (f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36", 27),
    (f"{_MAC} {_SAFARI} Safari/605.1.15", 8),
    (f"{_WINDOWS}) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0", 6),
    (f"{_MAC} {_WEBKIT} Chrome/138.0.0.0 Safari/537.36", 5),
    (f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 3),
    (f"{_WINDOWS}; rv:140.0) Gecko/20100101 Firefox/140.0", 4),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 2),
    ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", 2),
    (f"{_WINDOWS}) {_WEBKIT} Chrome/137.0.0.0 Safari/537.36 OPR/121.0.0.0", 1),
)


@dataclass(frozen=True)
class Country:
    """`user_agents` is how many of the list occur there: few in small countries, to keep the groups few."""

    code: str
    share: int
    utc_offset_h: int
    currency: str
    user_agents: int


COUNTRIES: Final = (
    Country("DE", 34, 2, "EUR", 8),
    Country("US", 17, -5, "USD", 6),
    Country("GB", 11, 1, "GBP", 5),
    Country("FR", 9, 2, "EUR", 4),
    Country("NL", 8, 2, "EUR", 4),
    Country("AT", 6, 2, "EUR", 3),
    Country("CH", 5, 2, "EUR", 3),
    Country("ES", 4, 2, "EUR", 2),
    Country("PL", 4, 2, "EUR", 2),
    Country("SE", 2, 2, "EUR", 1),
)


@dataclass(frozen=True)
class Device:
    country: Country
    user_agent: str


@dataclass(frozen=True)
class Channel:
    """One way to arrive: `query` may hold a `{campaign}` and a click `{id}`; tuples are drawn from evenly.

    `intent` scales how likely its visitors convert; the cost of a click is booked under `source`.
    """

    share: float
    referrers: tuple[str, ...] = ("",)
    query: str = ""
    campaigns: tuple[str, ...] = ("",)
    paths: tuple[str, ...] = ("/",)
    intent: float = 1.0
    source: str = ""
    cents_per_click: int = 0


@dataclass(frozen=True)
class Landing:
    """The first page of a session: its path, the parameters on it, and where the browser came from."""

    path: str
    query: str = ""
    referrer: str = ""
    intent: float = 1.0
    source: str = ""
    campaign: str = ""
    cents_per_click: int = 0


def draw_device(rng: random.Random, country: Country | None = None) -> Device:
    country = country or rng.choices(COUNTRIES, [c.share for c in COUNTRIES])[0]
    known = _USER_AGENTS[: country.user_agents]
    return Device(country, rng.choices([ua for ua, _ in known], [share for _, share in known])[0])


def draw_landing(rng: random.Random, channels: tuple[Channel, ...]) -> Landing:
    channel = rng.choices(channels, [c.share for c in channels])[0]
    campaign = rng.choice(channel.campaigns)
    return Landing(
        path=rng.choice(channel.paths),
        query=channel.query.format(campaign=campaign, id=f"{rng.getrandbits(80):020x}"),
        referrer=rng.choice(channel.referrers),
        intent=channel.intent,
        source=channel.source,
        campaign=campaign,
        cents_per_click=channel.cents_per_click,
    )
