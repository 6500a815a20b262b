"""Prints demo data: 60 days of two imaginary sites, a POST /v1/batch per JSON line. Same seed, same bytes."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

# Run as `python dev/demo.py` this file is in no package: its neighbours are found from the root.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dev import demo_saas, demo_shop
from dev.demo_audience import draw_device, draw_landing
from dev.demo_browser import DAY_MS, DAYS, HOUR_MS, MINUTE_MS, Browser, Calendar, Event, iso, new_id

SITES: Final = (demo_shop, demo_saas)
EVENTS_PER_LINE: Final = 800  # a batch takes 1000, but a request body must stay below 512 KiB
IMPORTER: Final = ("DE", "python-requests/2.32.3")  # the site's own server, which books the cost of the ads


def generate(now_ms: int, seed: int = 7, scale: float = 1.0) -> Iterator[dict[str, Any]]:
    """Lines of `project_slug, country, user_agent, events`; a visitor has one country and one user agent."""
    for site in SITES:
        rng = random.Random(f"{seed}/{site.SLUG}")  # noqa: S311 — repeatable, not secret
        calendar = Calendar(now_ms, site.RHYTHM)
        browsers = list(_browsers(site, calendar, rng, scale))
        groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for browser in browsers:
            groups[browser.device.country.code, browser.device.user_agent] += browser.events
        groups[IMPORTER] += _ad_spend(calendar, rng, browsers)
        for (country, user_agent), events in groups.items():
            events.sort(key=lambda event: (event["timestamp"], event["event_id"]))
            for start in range(0, len(events), EVENTS_PER_LINE):
                yield {
                    "project_slug": site.SLUG,
                    "country": country,
                    "user_agent": user_agent,
                    "events": events[start : start + EVENTS_PER_LINE],
                }


def _browsers(site: ModuleType, calendar: Calendar, rng: random.Random, scale: float) -> Iterator[Browser]:
    for _ in range(round(site.VISITORS * scale)):
        browser = _newcomer(site, calendar, rng)
        yield browser
        if browser.user_id and browser.events and browser.chance(0.15):
            yield _second_device(site, calendar, rng, browser)
    for _ in range(round(site.MEMBERS * scale)):
        yield _member(site, calendar, rng)
    yield from _visitors_of_this_minute(site, calendar, rng)


def _newcomer(site: ModuleType, calendar: Calendar, rng: random.Random) -> Browser:
    day, device = calendar.draw_first_day(rng), draw_device(rng)
    spiking = day == site.RHYTHM.spike_day and rng.random() > 1 / site.RHYTHM.spike
    browser = Browser(rng, site.ORIGIN, calendar, device)
    landing = draw_landing(rng, site.SPIKE_CHANNELS if spiking else site.CHANNELS)
    site.live(browser, calendar.draw_start(rng, day, device.country), landing)
    return browser


def _second_device(site: ModuleType, calendar: Calendar, rng: random.Random, first: Browser) -> Browser:
    """The same person on another device, logging in a few days after they were last seen on the first."""
    browser = Browser(rng, site.ORIGIN, calendar, draw_device(rng, first.device.country))
    start_ms = first.at_ms + rng.randint(1, 6) * DAY_MS + rng.randrange(HOUR_MS)
    site.live(browser, start_ms, draw_landing(rng, site.CHANNELS), member_id=first.user_id)
    return browser


def _member(site: ModuleType, calendar: Calendar, rng: random.Random) -> Browser:
    """Somebody whose account is older than the 60 days."""
    device = draw_device(rng)
    browser = Browser(rng, site.ORIGIN, calendar, device)
    start_ms = calendar.draw_start(rng, rng.randrange(DAYS // 2), device.country)
    site.live(browser, start_ms, draw_landing(rng, site.CHANNELS), member_id=new_id(rng, "u"))
    return browser


def _visitors_of_this_minute(site: ModuleType, calendar: Calendar, rng: random.Random) -> Iterator[Browser]:
    """A handful who are on the site as the demo starts, whatever the hour."""
    for minutes_ago in range(1, 7):
        browser = Browser(rng, site.ORIGIN, calendar, draw_device(rng))
        start_ms = calendar.now_ms - minutes_ago * MINUTE_MS + rng.randrange(MINUTE_MS // 2)
        site.live(browser, start_ms, draw_landing(rng, site.CHANNELS))
        yield browser


def _ad_spend(calendar: Calendar, rng: random.Random, browsers: list[Browser]) -> list[Event]:
    """What each campaign cost, booked once a week from the arrivals it brought."""
    cents: dict[tuple[int, str, str], int] = defaultdict(int)
    for browser in browsers:
        for at_ms, landing in browser.landings:
            if landing.source and at_ms < calendar.now_ms:
                week = (at_ms - calendar.start_ms) // (7 * DAY_MS)
                cents[week, landing.source, landing.campaign] += landing.cents_per_click
    server = new_id(rng, "server")
    return [
        {
            "event": "$ad_spend",
            "event_id": new_id(rng, "e"),
            "timestamp": iso(min(calendar.start_ms + (week + 1) * 7 * DAY_MS, calendar.now_ms) - MINUTE_MS),
            "anonymous_id": server,
            "properties": {"amount_cents": amount, "currency": "EUR", "source": source, "campaign": campaign},
        }
        for (week, source, campaign), amount in sorted(cents.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--now", type=int, required=True, help="the end of the data, epoch milliseconds")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is about 50,000 events")
    options = parser.parse_args()
    for line in generate(options.now, options.seed, options.scale):
        print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
