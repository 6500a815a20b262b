"""The benchmark's events: seeded, streamed in time order, cut into the batches that the ingest path takes.

A batch has one country and one User-Agent, because that is what a request has; so every country is given one device.
Each event also knows what the service must make of it (source, medium …): that is what the other engines are loaded with.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, Final

SEED: Final = 20260520
PROJECTS: Final = 20
DAYS: Final = 90
SOURCES: Final = 64
COUNTRIES: Final = 60
PATHS: Final = 2_000
BATCH_EVENTS: Final = 1_000
EVENTS_PER_SESSION: Final = 6
SESSIONS_PER_VISITOR: Final = 2.33
#: Of all events, this part belongs to the first project; the others share the rest alike.
FIRST_PROJECT_PART: Final = 0.5

FUNNEL: Final = ("page_view", "search", "add_to_cart", "checkout", "purchase")
_FUNNEL_WEIGHTS: Final = (0.62, 0.08, 0.03, 0.012, 0.006)
NAMES: Final = (*FUNNEL, *(f"action_{n:02d}" for n in range(1, 26)))
_DAY_MS: Final = 86_400_000

_AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session comes from: what its events carry, and what the service makes of it."""

    source: str
    medium: str
    campaign: str | None
    query: str
    referrer: str | None


def _origins() -> list[Origin]:
    found = [
        Origin("direct", "direct", None, "", None),
        Origin("google", "organic", None, "", "https://www.google.com/"),
        Origin("google", "paid", None, "?gclid=Cj0KCQ", None),
        Origin("facebook", "social", None, "", "https://www.facebook.com/"),
        Origin("bing", "organic", None, "", "https://www.bing.com/"),
        Origin("news.example", "referral", None, "", "https://news.example/"),
    ]
    media = (("email", "email"), ("affiliate", "affiliate"), ("cpc", "paid"))
    for place in range(SOURCES - len(found)):
        source, (utm, medium) = f"partner{place // 3 + 1:02d}", media[place % 3]
        campaign = f"spring{place % 7}" if medium == "paid" else None
        named = f"&utm_campaign={campaign}" if campaign else ""
        query = f"?utm_source={source}&utm_medium={utm}{named}"
        found.append(Origin(source, medium, campaign, query, None))
    return found


ORIGINS: Final = _origins()
COUNTRY_CODES: Final = tuple(f"{a}{b}" for a in "ABCDEF" for b in "KLMNOPQRST")
_PLACES: Final = {code: place for place, code in enumerate(COUNTRY_CODES)}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what a client sends of it, and the columns it must end up in. `place` is its project's, from 0."""

    place: int
    ts: int
    name: str
    event_id: str
    anonymous_id: str
    user_id: str | None
    origin: Origin
    country: str
    path: str
    value: int

    def sent(self) -> dict[str, Any]:
        """The event as POST /v1/batch takes it."""
        body: dict[str, Any] = {
            "event": self.name,
            "event_id": self.event_id,
            "timestamp": instant(self.ts),
            "anonymous_id": self.anonymous_id,
            "url": f"https://{slug(self.place)}.example{self.path}{self.origin.query}",
            "properties": {"value": self.value},
        }
        if self.user_id is not None:
            body["user_id"] = self.user_id
        if self.origin.referrer is not None:
            body["referrer"] = self.origin.referrer
        return body

    def row(self) -> str:
        """A line of tab-separated values in the order of COLUMNS."""
        origin = self.origin
        return "\t".join(
            (
                slug(self.place), str(self.ts), self.name, self.event_id, self.anonymous_id, self.user_id or "",
                origin.source, origin.medium, origin.campaign or "", self.country, self.path,
                f"https://{slug(self.place)}.example{self.path}{origin.query}", origin.referrer or "",
                f'{{"value":{self.value}}}',
            )
        )  # fmt: skip


COLUMNS: Final = (
    "project", "ts", "event_name", "event_id", "anonymous_id", "user_id",
    "source", "medium", "campaign", "country", "path", "url", "referrer", "properties",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """What one POST /v1/batch brings: events of one project, country and device, in the order of their time."""

    place: int
    country: str
    user_agent: str
    events: list[Event]

    def body(self) -> bytes:
        return json.dumps({"events": [event.sent() for event in self.events]}, separators=(",", ":")).encode()


def slug(place: int) -> str:
    return f"p{place + 1:02d}"


def instant(ts: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts)).isoformat(timespec="milliseconds")[
        :-6
    ] + "Z"


class Picker:
    """Draws a place with the given weights."""

    def __init__(self, weights: Sequence[float]) -> None:
        self._bounds = list(accumulate(weights))

    def pick(self, random: Random) -> int:
        return min(bisect_left(self._bounds, random.random() * self._bounds[-1]), len(self._bounds) - 1)


def zipf(count: int) -> Picker:
    return Picker([1 / place for place in range(1, count + 1)])


def _names() -> Picker:
    rest = [1 / place for place in range(1, len(NAMES) - len(FUNNEL) + 1)]
    share = (1 - sum(_FUNNEL_WEIGHTS)) / sum(rest)
    return Picker([*_FUNNEL_WEIGHTS, *(weight * share for weight in rest)])


@dataclass
class Generator:
    """The events of the 90 whole UTC days before `end_day`."""

    total: int
    end_day: int
    seed: int = SEED
    _names: Picker = field(default_factory=_names)
    _origins: Picker = field(default_factory=lambda: zipf(SOURCES))
    _countries: Picker = field(default_factory=lambda: zipf(COUNTRIES))
    _paths: Picker = field(default_factory=lambda: zipf(PATHS))

    def events(self) -> Iterator[Event]:
        """Every event once: day by day, in each day project by project, there by time."""
        randoms = [Random(f"{self.seed} {place}") for place in range(PROJECTS)]
        visitors = [
            [self._visitor(random) for _ in range(self._visitors(place))]
            for place, random in enumerate(randoms)
        ]
        left = [self.share(place) for place in range(PROJECTS)]
        for day in range(DAYS):
            for place, random in enumerate(randoms):
                today = left[place] // (DAYS - day)
                left[place] -= today
                yield from self._day(random, place, self.end_day - DAYS + day, today, visitors[place])

    def share(self, place: int) -> int:
        first = int(self.total * FIRST_PROJECT_PART)
        rest, over = divmod(self.total - first, PROJECTS - 1)
        return first if place == 0 else rest + (place <= over)

    def _visitors(self, place: int) -> int:
        return max(1, int(self.share(place) / EVENTS_PER_SESSION / SESSIONS_PER_VISITOR))

    def _visitor(self, random: Random) -> tuple[str, str]:
        return _uuid(random), COUNTRY_CODES[self._countries.pick(random)]

    def _day(
        self, random: Random, place: int, day: int, count: int, visitors: list[tuple[str, str]]
    ) -> list[Event]:
        """Sessions of 1 to 11 events, one every minute or so; all of them stay within their day."""
        found: list[Event] = []
        while len(found) < count:
            anonymous_id, country = visitors[int(random.random() * len(visitors))]
            origin = ORIGINS[self._origins.pick(random)]
            user_id = f"user-{anonymous_id[:8]}" if anonymous_id[0] in "01" else None
            length = min(1 + int(random.random() * (2 * EVENTS_PER_SESSION - 1)), count - len(found))
            ts = day * _DAY_MS + int(random.random() * (_DAY_MS - 3_600_000))
            for _ in range(length):
                name, path = NAMES[self._names.pick(random)], self._paths.pick(random)
                value = int(random.random() * 500)
                found.append(
                    Event(
                        place,
                        ts,
                        name,
                        _uuid(random),
                        anonymous_id,
                        user_id,
                        origin,
                        country,
                        _path(path),
                        value,
                    )
                )
                ts += 1_000 + int(random.random() * 120_000)
        found.sort(key=lambda event: event.ts)
        return found


def batch_of(events: list[Event]) -> Batch:
    return Batch(events[0].place, events[0].country, agent_of(events[0].country), events)


def agent_of(country: str) -> str:
    return _AGENTS[_PLACES[country] % len(_AGENTS)]


def _path(place: int) -> str:
    return f"/articles/{place:04d}" if place else "/"


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
