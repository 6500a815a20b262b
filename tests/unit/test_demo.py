"""The demo data keeps to the contract, repeats itself, and looks like two real sites."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from dev import demo
from dev.demo import generate

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_777_900_000_000  # 2026-05-04T13:06:40Z, a Monday
MINUTE_MS, DAY_MS = 60_000, 86_400_000
BODY_LIMIT = 512 * 1024

LINES = list(generate(NOW))


class Sent(NamedTuple):
    slug: str
    country: str
    user_agent: str
    event: dict[str, Any]


def sent(lines: list[dict[str, Any]], slug: str | None = None) -> Iterator[Sent]:
    for line in lines:
        if slug in (None, line["project_slug"]):
            for event in line["events"]:
                yield Sent(line["project_slug"], line["country"], line["user_agent"], event)


def at_ms(event: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)


def visitors(slug: str, event_name: str | None = None) -> set[str]:
    return {
        item.event["anonymous_id"] for item in sent(LINES, slug) if event_name in (None, item.event["event"])
    }


def histories(slug: str) -> dict[str, list[dict[str, Any]]]:
    """Every visitor's events by time, the importer of ad spend left out."""
    result = defaultdict(list)
    for item in sent(LINES, slug):
        if item.event["event"] != "$ad_spend":
            result[item.event["anonymous_id"]].append(item.event)
    return {visitor: sorted(events, key=at_ms) for visitor, events in result.items()}


def landings(slug: str) -> Counter[tuple[str, str, str]]:
    """(utm_source, utm_medium, referrer host) of page views that came from outside."""
    result: Counter[tuple[str, str, str]] = Counter()
    for item in sent(LINES, slug):
        url = urlsplit(item.event.get("url", ""))
        referrer = urlsplit(item.event.get("referrer", "")).hostname or ""
        if item.event["event"] == "$pageview" and referrer != url.hostname:
            query = parse_qs(url.query)
            result[query.get("utm_source", [""])[0], query.get("utm_medium", [""])[0], referrer] += 1
    return result


class TestRepetition:
    def test_the_same_seed_and_now_give_the_same_bytes(self):
        assert json.dumps(list(generate(NOW, scale=0.05))) == json.dumps(list(generate(NOW, scale=0.05)))

    def test_another_seed_gives_other_events(self):
        first, second = (
            {item.event["event_id"] for item in sent(list(generate(NOW, seed=seed, scale=0.05)))}
            for seed in (1, 2)
        )
        assert first.isdisjoint(second)

    def test_a_week_later_everything_happens_a_week_later(self):
        now, later = (
            {item.event["event_id"]: at_ms(item.event) for item in sent(list(generate(start, scale=0.05)))}
            for start in (NOW, NOW + 7 * DAY_MS)
        )
        assert later == {event_id: ms + 7 * DAY_MS for event_id, ms in now.items()}

    @pytest.mark.parametrize("hash_seed", ["0", "1"])
    def test_the_command_prints_what_generate_yields(self, hash_seed):
        printed = subprocess.run(
            [sys.executable, "dev/demo.py", "--now", str(NOW), "--seed", "3", "--scale", "0.05"],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert [json.loads(line) for line in printed.splitlines()] == list(generate(NOW, seed=3, scale=0.05))


class TestRequests:
    def test_both_projects_are_filled_in_few_requests(self):
        per_project = Counter(item.slug for item in sent(LINES))
        assert set(per_project) == {"demo-shop", "demo-saas"}
        assert all(20_000 <= count <= 30_000 for count in per_project.values())
        assert len(LINES) <= 150

    def test_scale_multiplies_the_visitors(self):
        small = Counter(item.slug for item in sent(list(generate(NOW, scale=0.1))))
        assert all(1_500 <= small[site.SLUG] <= 3_500 for site in demo.SITES)

    def test_every_batch_fits_into_one_request(self):
        for line in LINES:
            assert list(line) == ["project_slug", "country", "user_agent", "events"]
            assert 1 <= len(line["events"]) <= 1000
            assert len(json.dumps({"events": line["events"]})) <= BODY_LIMIT

    def test_every_event_is_a_valid_payload(self):
        allowed = {
            "event",
            "event_id",
            "timestamp",
            "anonymous_id",
            "user_id",
            "url",
            "referrer",
            "properties",
        }
        for _, _, _, event in sent(LINES):
            assert set(event) <= allowed
            assert 1 <= len(event["event"]) <= 128
            assert 1 <= len(event["event_id"]) <= 128
            assert 1 <= len(event["anonymous_id"]) <= 128
            assert 1 <= len(event.get("user_id", "u")) <= 256
            assert len(event.get("url", "")) <= 2048
            assert len(event.get("referrer", "")) <= 2048
            assert len(json.dumps(event.get("properties", {}))) <= 8192

    def test_urls_and_referrers_are_whole_addresses(self):
        for _, _, _, event in sent(LINES):
            for address in (event[name] for name in ("url", "referrer") if name in event):
                parts = urlsplit(address)
                assert parts.scheme == "https"
                assert parts.hostname
                assert parts.path.startswith("/")
                assert " " not in address

    def test_event_ids_are_unique(self):
        assert max(Counter(item.event["event_id"] for item in sent(LINES)).values()) == 1

    def test_a_visitor_has_one_country_and_one_user_agent(self):
        seen = defaultdict(set)
        for item in sent(LINES):
            seen[item.slug, item.event["anonymous_id"]].add((item.country, item.user_agent))
        assert max(len(pairs) for pairs in seen.values()) == 1


class TestTime:
    @pytest.mark.parametrize("now", [NOW, NOW + 10 * 3_600_000, NOW - NOW % DAY_MS, NOW - NOW % DAY_MS - 1])
    def test_everything_lies_in_the_60_days_before_now(self, now):
        moments = [at_ms(item.event) for item in sent(list(generate(now, scale=0.2)))]
        assert now - 60 * DAY_MS <= min(moments) < now - 58 * DAY_MS
        assert now - MINUTE_MS <= max(moments) < now

    @pytest.mark.parametrize("site", demo.SITES)
    def test_somebody_is_on_each_site_as_the_demo_starts(self, site):
        midnight = NOW - NOW % DAY_MS
        present = {
            item.event["anonymous_id"]
            for item in sent(list(generate(midnight, scale=0.01)), site.SLUG)
            if item.event["event"] != "$ad_spend" and at_ms(item.event) >= midnight - 5 * MINUTE_MS
        }
        assert len(present) >= 4

    def test_timestamps_are_utc_with_milliseconds(self):
        for _, _, _, event in sent(LINES):
            moment = datetime.fromtimestamp(at_ms(event) / 1000, UTC)
            assert event["timestamp"] == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @pytest.mark.parametrize("site", demo.SITES)
    def test_sessions_begin_with_a_page_view_more_than_half_an_hour_after_the_last(self, site):
        for events in histories(site.SLUG).values():
            assert events[0]["event"] == "$pageview"
            for before, after in pairwise(events):
                gap_ms = at_ms(after) - at_ms(before)
                if gap_ms > 30 * MINUTE_MS:
                    assert after["event"] == "$pageview"
                else:
                    assert gap_ms <= 15 * MINUTE_MS

    def test_visitors_come_back_on_other_days(self):
        for site in demo.SITES:
            days = [
                len({event["timestamp"][:10] for event in events}) for events in histories(site.SLUG).values()
            ]
            assert 0.1 < sum(count > 1 for count in days) / len(days) < 0.5

    def test_the_shop_is_busier_at_weekends_and_the_tool_on_workdays(self):
        def weekend_share(slug: str) -> float:
            moments = [datetime.fromisoformat(item.event["timestamp"]) for item in sent(LINES, slug)]
            return sum(moment.weekday() >= 5 for moment in moments) / len(moments)

        assert weekend_share("demo-shop") > 2 / 7 > 0.2 > weekend_share("demo-saas")


class TestPeople:
    @pytest.mark.parametrize("site", demo.SITES)
    def test_a_user_id_appears_with_its_identify_event(self, site):
        for events in histories(site.SLUG).values():
            known = [event for event in events if "user_id" in event]
            assert [e["event"] for e in known[:1]] in ([], ["$identify"])
            assert len({event["user_id"] for event in known}) <= 1
            assert all("user_id" in event for event in events[len(events) - len(known) :])

    @pytest.mark.parametrize("site", demo.SITES)
    def test_some_people_use_two_devices_in_one_country(self, site):
        devices, countries = defaultdict(set), defaultdict(set)
        for item in sent(LINES, site.SLUG):
            if "user_id" in item.event:
                devices[item.event["user_id"]].add(item.event["anonymous_id"])
                countries[item.event["user_id"]].add(item.country)
        assert sum(len(ids) == 2 for ids in devices.values()) >= 5
        assert max(len(ids) for ids in devices.values()) == 2
        assert max(len(codes) for codes in countries.values()) == 1

    @pytest.mark.parametrize("site", demo.SITES)
    def test_countries_and_devices_have_believable_shares(self, site):
        people = {item.event["anonymous_id"]: item for item in sent(LINES, site.SLUG)}.values()
        countries = Counter(item.country for item in people)
        assert [code for code, _ in countries.most_common(2)] == ["DE", "US"]
        assert {"GB", "FR", "NL"} <= set(countries)
        phones = sum("Mobi" in item.user_agent and "iPad" not in item.user_agent for item in people)
        assert 0.5 < phones / len(people) < 0.65


class TestSources:
    @pytest.mark.parametrize("site", demo.SITES)
    def test_facebook_brings_paid_visitors_and_unpaid_ones(self, site):
        arrivals = landings(site.SLUG)
        assert arrivals["facebook", "cpc", "l.facebook.com"] > 20
        assert arrivals["facebook", "cpc", ""] > 10
        assert arrivals["", "", "www.facebook.com"] > 10

    @pytest.mark.parametrize("site", demo.SITES)
    def test_people_arrive_in_many_ways(self, site):
        arrivals = landings(site.SLUG)
        for expected in [
            ("google", "cpc", "www.google.com"),
            ("bing", "cpc", "www.bing.com"),
            ("newsletter", "email", ""),
            ("instagram", "paid_social", "l.instagram.com"),
            ("", "", "www.instagram.com"),
            ("", "", "www.google.com"),
            ("", "", "duckduckgo.com"),
            ("", "", "chatgpt.com"),
            ("", "", ""),
        ]:
            assert arrivals[expected] > 5, expected

    def test_click_ids_of_every_network_occur_and_are_used_by_one_visitor_each(self):
        clicks = defaultdict(set)
        for item in sent(LINES):
            query = parse_qs(urlsplit(item.event.get("url", "")).query)
            for name in ("gclid", "msclkid", "ttclid", "li_fat_id", "fbclid"):
                for value in query.get(name, ()):
                    clicks[name, value].add(item.event["anonymous_id"])
        assert {name for name, _ in clicks} == {"gclid", "msclkid", "ttclid", "li_fat_id", "fbclid"}
        assert all(len(people) == 1 for people in clicks.values())

    @pytest.mark.parametrize(("slug", "event_name"), [("demo-shop", "purchase"), ("demo-saas", "signup")])
    def test_many_conversions_still_carry_their_campaign(self, slug, event_name):
        urls = [item.event["url"] for item in sent(LINES, slug) if item.event["event"] == event_name]
        assert 0.2 < sum("utm_source=" in url for url in urls) / len(urls) < 0.7


class TestPlausibility:
    def test_the_shop_sells_to_a_few_in_a_hundred(self):
        viewed, in_cart = visitors("demo-shop", "product_viewed"), visitors("demo-shop", "add_to_cart")
        bought = visitors("demo-shop", "purchase")
        assert 0.08 <= len(in_cart) / len(viewed) <= 0.12
        assert 0.02 <= len(bought) / len(visitors("demo-shop")) <= 0.04
        assert bought <= visitors("demo-shop", "checkout_started") <= in_cart <= viewed

    def test_the_tool_wins_users_and_some_of_them_pay(self):
        signed_up, on_trial = visitors("demo-saas", "signup"), visitors("demo-saas", "trial_started")
        paying, cancelled = (
            visitors("demo-saas", f"subscription_{what}") for what in ("started", "cancelled")
        )
        assert 0.03 <= len(signed_up) / len(visitors("demo-saas")) <= 0.06
        assert 0.2 <= len(paying) / len(signed_up) <= 0.6
        assert cancelled < paying < on_trial < signed_up
        assert cancelled

    def test_money_is_whole_cents_in_three_currencies(self):
        currencies = defaultdict(set)
        for item in sent(LINES):
            if item.event["event"] in ("purchase", "subscription_started", "$ad_spend"):
                assert type(item.event["properties"]["amount_cents"]) is int
                assert item.event["properties"]["amount_cents"] > 0
                currencies[item.event["event"]].add(item.event["properties"]["currency"])
        assert currencies == {
            "purchase": {"EUR", "GBP", "USD"},
            "subscription_started": {"EUR", "GBP", "USD"},
            "$ad_spend": {"EUR"},
        }

    def test_a_cancelled_subscription_is_one_that_was_started(self):
        by_event = defaultdict(set)
        for item in sent(LINES, "demo-saas"):
            properties = item.event.get("properties", {})
            if "subscription_id" in properties:
                by_event[item.event["event"]].add((item.event["user_id"], properties["subscription_id"]))
        assert by_event["subscription_cancelled"] < by_event["subscription_started"]

    def test_ad_spend_is_booked_for_campaigns_that_brought_visitors(self):
        for site in demo.SITES:
            spent, arrived = set(), set()
            for item in sent(LINES, site.SLUG):
                if item.event["event"] == "$ad_spend":
                    spent.add((item.event["properties"]["source"], item.event["properties"]["campaign"]))
                query = parse_qs(urlsplit(item.event.get("url", "")).query)
                if "utm_campaign" in query:
                    arrived.add((query["utm_source"][0], query["utm_campaign"][0]))
            assert spent
            assert spent <= arrived


@pytest.fixture(scope="module", params=(0, 2, 5), ids=lambda days: f"now+{days}d")
def per_day(request) -> dict[tuple[str, str], list[int]]:
    """Counts of each (project, event name or campaign) on the 61 UTC days, oldest first."""
    now = NOW + request.param * DAY_MS
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 61)
    for item in sent(list(generate(now))):
        day = 60 - (now // DAY_MS - at_ms(item.event) // DAY_MS)
        counts[item.slug, item.event["event"]][day] += 1
        if item.event["event"] == "$pageview" and "summer_drop" in item.event["url"]:
            counts[item.slug, "summer_drop"][day] += 1
    return counts


class TestOddDays:
    """What anomaly detection is to find, whichever day the demo is started on."""

    def test_on_the_day_of_the_outage_nobody_can_pay(self, per_day):
        errors = per_day["demo-shop", "checkout_error"]
        assert errors[51] >= 5
        assert errors[51] > 2 * max(errors[:51] + errors[52:])
        assert per_day["demo-shop", "checkout_started"][51] >= 1
        assert per_day["demo-shop", "purchase"][51] == 0

    def test_a_campaign_doubles_the_traffic_of_one_day(self, per_day):
        views = per_day["demo-shop", "$pageview"]
        assert max(views) == views[36] > 1.4 * (views[29] + views[43]) / 2
        assert per_day["demo-shop", "summer_drop"][36] > 50

    def test_a_launch_brings_a_busy_day_to_the_tool(self, per_day):
        views = per_day["demo-saas", "$pageview"]
        assert views[22] > 1.3 * (views[15] + views[29]) / 2

    def test_the_shop_grows_slowly(self, per_day):
        views = per_day["demo-shop", "$pageview"]
        assert 1.02 < sum(views[32:60]) / sum(views[1:29]) < 1.6
