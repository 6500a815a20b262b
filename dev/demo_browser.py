"""A demo visitor's browser, with the analytics script on every page, and the calendar it is used by."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from dev.demo_audience import Channel, Country, Device, Landing, draw_landing

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
DAYS: Final = 60

Event = dict[str, Any]


@dataclass(frozen=True)
class Rhythm:
    """When a site is visited. `growth` is how much busier the last day is than the first."""

    weekdays: Sequence[float]  # Monday first
    hours: Sequence[float]  # local time, 24 of them
    growth: float
    spike_day: int
    spike: float


@dataclass(frozen=True)
class Calendar:
    """The 60 days that end at `now_ms`, in a site's rhythm. Day 0 holds their start, day 60 holds now."""

    now_ms: int
    rhythm: Rhythm

    @property
    def start_ms(self) -> int:
        return self.now_ms - DAYS * DAY_MS

    def day_start(self, day: int) -> int:
        return self.now_ms - self.now_ms % DAY_MS - (DAYS - day) * DAY_MS

    def day_of(self, at_ms: int) -> int:
        return (at_ms - self.day_start(0)) // DAY_MS

    def draw_first_day(self, rng: random.Random) -> int:
        days = range(DAYS + 1)
        return rng.choices(days, [self._weight(day) for day in days])[0]

    def draw_start(self, rng: random.Random, day: int, country: Country) -> int:
        """An instant of that day, by the country's clock; one before the 60 days comes a day later."""
        hour = rng.choices(range(24), self.rhythm.hours)[0] - country.utc_offset_h
        start = self.day_start(day) + hour * HOUR_MS + rng.randrange(HOUR_MS)
        return start if start >= self.start_ms else start + DAY_MS

    def draw_later_day(self, rng: random.Random, day: int, mean_gap: float) -> int:
        """People come back on the site's usual weekdays."""
        day += 1 + int(rng.expovariate(1 / mean_gap))
        while rng.random() > self._weekday(day) / max(self.rhythm.weekdays):
            day += 1
        return day

    def _weight(self, day: int) -> float:
        within = 1 - (self.now_ms % DAY_MS) / DAY_MS if day == 0 else 1.0
        busy = self.rhythm.spike if day == self.rhythm.spike_day else 1.0
        return within * busy * self._weekday(day) * (1 + self.rhythm.growth * day / DAYS)

    def _weekday(self, day: int) -> float:
        return self.rhythm.weekdays[(self.day_start(day) // DAY_MS + 3) % 7]  # the epoch began on a Thursday


@dataclass
class Browser:
    """One `anonymous_id`: what it does before now goes to `events`, in the shape of POST /v1/track."""

    rng: random.Random
    origin: str
    calendar: Calendar
    device: Device
    user_id: str | None = field(default=None, init=False)
    events: list[Event] = field(default_factory=list, init=False)
    landings: list[tuple[int, Landing]] = field(default_factory=list, init=False)
    at_ms: int = field(default=0, init=False)
    landing: Landing = field(init=False)
    url: str = field(init=False)
    referrer: str = field(init=False)
    keeps_parameters: bool = field(init=False)

    def __post_init__(self) -> None:
        self.anonymous_id = new_id(self.rng, "a")

    @property
    def day(self) -> int:
        return self.calendar.day_of(self.at_ms)

    @property
    def currency(self) -> str:
        return self.device.country.currency

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def land(self, start_ms: int, landing: Landing) -> None:
        """Begin a session, more than half an hour after whatever this browser did before."""
        self.at_ms = max(start_ms, self.at_ms + 31 * MINUTE_MS + self.rng.randrange(HOUR_MS))
        self.landing = landing
        self.landings.append((self.at_ms, landing))
        self.keeps_parameters = self.chance(0.85)
        self._show(_with_query(self.origin + landing.path, landing.query), landing.referrer)

    def open(self, path: str, *, converting: bool = False) -> None:
        """Follow a link. Many sites carry the landing's campaign parameters on to the pages that convert."""
        self._wait(self.rng.lognormvariate(3.2, 0.9))
        query = self.landing.query if converting and self.keeps_parameters else ""
        self._show(_with_query(self.origin + path, query), self.url)

    def track(self, event: str, **properties: Any) -> None:
        """Something done on the page that is open."""
        self._wait(self.rng.lognormvariate(1.8, 0.8))
        self._record(event, properties)

    def lose_last(self) -> None:
        """What was tracked last never arrives."""
        self.events.pop()

    def identify(self, user_id: str, **traits: Any) -> None:
        """Say who this is, on the heels of a signup or login; every later event carries the id."""
        self.user_id = user_id
        self._wait(self.rng.uniform(0.8, 1.5))
        self._record("$identify", traits)

    def come_back(self, channels: tuple[Channel, ...], mean_gap: float) -> bool:
        """Begin a session on a later day, unless that day is still to come."""
        day = self.calendar.draw_later_day(self.rng, self.day, mean_gap)
        start_ms = self.calendar.draw_start(self.rng, day, self.device.country)
        if start_ms >= self.calendar.now_ms:
            return False
        self.land(start_ms, draw_landing(self.rng, channels))
        return True

    def _show(self, url: str, referrer: str) -> None:
        self.url, self.referrer = url, referrer
        self._record("$pageview", {})

    def _wait(self, seconds: float) -> None:
        self.at_ms += int(1000 * min(max(seconds, 0.8), 900))

    def _record(self, event: str, properties: dict[str, Any]) -> None:
        event_id = new_id(self.rng, "e")
        if self.at_ms >= self.calendar.now_ms:
            return
        always = {
            "event": event,
            "event_id": event_id,
            "timestamp": iso(self.at_ms),
            "anonymous_id": self.anonymous_id,
        }
        known = {
            "user_id": self.user_id,
            "url": self.url,
            "referrer": self.referrer,
            "properties": properties,
        }
        self.events.append(always | {name: value for name, value in known.items() if value})


def new_id(rng: random.Random, prefix: str) -> str:
    return f"{prefix}_{rng.getrandbits(64):016x}"


def iso(at_ms: int) -> str:
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def _with_query(url: str, query: str) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"
