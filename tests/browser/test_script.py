"""The browser script in real pages on another origin; what they send is read back over MCP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import Chromium, Page
from tests.browser.conftest import Embedded
from tests.browser.site import LOST

pytestmark = pytest.mark.worker

PAID = "?utm_source=facebook&utm_medium=cpc&fbclid=abc"


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["event_name"] for row in rows]


def test_a_page_view_arrives_by_itself(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(f"{site.url}/news?page=2#top", "https://blog.example/post")
    page.run("mm.flush()")
    (view,) = site.arrived(1)
    shown = ("event_name", "url", "path", "referrer", "source", "medium", "user_id")
    assert {name: view[name] for name in shown} == {
        "event_name": "$pageview", "url": f"{site.url}/news?page=2", "path": "/news", "user_id": None,
        "referrer": "https://blog.example/post", "source": "blog.example", "medium": "referral",
    }  # fmt: skip
    assert view["anonymous_id"] == page.run("mm.getAnonymousId()")
    assert page.exceptions == []


def test_a_paid_and_a_social_visitor_from_facebook_are_told_apart(browser: Chromium, site: Embedded) -> None:
    for path, referrer in ((PAID, ""), ("", "https://www.facebook.com/")):
        browser.visitor().open(f"{site.url}/{path}", referrer).run("mm.flush()")
    site.arrived(2)
    assert site.ask("top_sources") == [
        {"source": "facebook", "medium": "paid", "events": 1, "uniques": 1, "paid_share": 1},
        {"source": "facebook", "medium": "social", "events": 1, "uniques": 1, "paid_share": 0},
    ]


def test_a_visitor_is_the_same_on_the_next_page_and_another_person_is_another(
    browser: Chromium, site: Embedded
) -> None:
    someone, other = browser.visitor(), browser.visitor()
    someone.open(f"{site.url}/a").open(f"{site.url}/b").run("mm.flush()")
    other.open(f"{site.url}/a").run("mm.flush()")
    visitors = Counter(row["anonymous_id"] for row in site.arrived(3))
    assert sorted(visitors.values()) == [1, 2]


def test_one_random_id_is_all_that_is_stored(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(site.url)
    page.run("mm.identify('u-1')")
    site_id = page.run("mm.getAnonymousId()")
    assert page.run("Object.entries(localStorage)") == [["mm_anonymous_id", site_id]]
    assert page.run("sessionStorage.length") == 0
    assert page.call("Network.getCookies", urls=[site.url, site.worker.url])["cookies"] == []


def test_each_view_of_a_single_page_application_counts_with_the_one_before_as_referrer(
    browser: Chromium, site: Embedded
) -> None:
    page = browser.visitor().open(f"{site.url}/?a=1")
    for move in (
        "history.pushState({}, '', '/prices?plan=pro#top')",
        "location.hash = 'bottom'",
        "history.replaceState({}, '', '/prices?plan=pro#other')",
        "history.replaceState({}, '', '/checkout')",
        "history.pushState({}, '', '/done')",
        "new Promise(done => { onpopstate = () => done(); history.back() })",
    ):
        page.run(move)
    page.run("mm.flush()")
    start, prices, checkout, done = (
        site.url + path for path in ("/?a=1", "/prices?plan=pro", "/checkout", "/done")
    )
    assert Counter((row["url"], row["referrer"]) for row in site.arrived(5)) == Counter(
        [(start, None), (prices, start), (checkout, prices), (done, checkout), (checkout, done)]
    )
    assert {row["event_name"] for row in site.arrived(5)} == {"$pageview"}


def test_a_page_that_is_gone_back_to_counts_again(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(f"{site.url}/first")
    page.run("window.mark = 'kept'")
    page.open(f"{site.url}/second").run("mm.flush()")
    browser.happened.clear()
    page.run("history.back()")
    browser.wait(lambda event: event["method"] == "Page.frameNavigated")
    assert page.run("window.mark") == "kept"  # the page itself came back, from the back/forward cache
    page.run("mm.flush()")
    assert [row["path"] for row in site.arrived(3)] == ["/first", "/second", "/first"]


def test_a_page_rendered_in_advance_counts_when_it_is_shown(browser: Chromium, site: Embedded) -> None:
    # Stands in for Chromium's own flag, which only a page opened from a speculation rule has.
    advance = "Object.defineProperty(document, 'prerendering', {get: () => !window.shown})"
    page = browser.visitor(advance).open(site.url)
    page.run("mm.flush(true)")
    assert page.batches == []
    page.run("window.shown = true; document.dispatchEvent(new Event('prerenderingchange')); mm.flush()")
    assert names(site.arrived(1)) == ["$pageview"]


def test_events_go_in_batches_of_twenty_and_the_rest_by_itself(browser: Chromium, site: Embedded) -> None:
    clicks = "".join(f"mm.push(['track', 'click', {{n: {n}}}]);" for n in range(24))
    site.embed(f"<script>window.mm = []; {clicks}</script>")
    page = browser.visitor().open(site.url)
    rows = [row for row in site.arrived(25) if row["event_name"] == "click"]
    assert sorted(json.loads(row["properties"])["n"] for row in rows) == list(range(24))
    assert [len(batch) for batch in page.batches] == [20, 5]


def test_no_request_needs_the_leave_of_the_server_first(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(site.url)
    page.run("mm.flush()")
    assert len(page.batches) == 1
    sent = page.events("Network.requestWillBeSent")
    assert {
        (event["type"], event["request"]["method"]) for event in sent if "/v1/" in event["request"]["url"]
    } == {
        ("Script", "GET"),
        ("Fetch", "POST"),
    }


def test_events_outlive_the_page_that_is_left_for_another(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(f"{site.url}/left")
    page.run("mm.track('last words')")
    page.call("Page.navigate", url="about:blank")
    assert sorted(names(site.arrived(2))) == ["$pageview", "last words"]


def test_what_a_page_sends_when_it_goes_away_is_a_beacon(browser: Chromium, site: Embedded) -> None:
    site.embed(data_host=f"{site.url}/troubled")
    page = browser.visitor("window.setTimeout = () => 0").open(
        site.url
    )  # nothing goes because time has passed
    page.run("mm.flush()")
    site.arrived(1)
    page.run("mm.track('last words')")
    page.close()
    site.arrived(2)
    assert site.site.modes == ["cors", "no-cors"]  # a fetch, a beacon


def test_events_outlive_the_page_that_is_closed(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(f"{site.url}/closed")
    page.run("mm.track('last words')")
    page.close()
    assert sorted(names(site.arrived(2))) == ["$pageview", "last words"]


def test_a_page_put_into_the_background_sends_at_once(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(site.url)
    page.run(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden'});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert names(site.arrived(1)) == ["$pageview"]


def silent(page: Page) -> None:
    """Sees that the script in this page sends nothing and stores nothing, whatever it is told."""
    page.run("mm.track('x'); mm.identify('u'); mm.page(); mm.setAnonymousId('me'); mm.flush()")
    page.run("history.pushState({}, '', '/elsewhere')")
    assert page.run("mm.getAnonymousId()") == "me"
    assert page.run("fetch('/done').then(answer => answer.status)") == 200  # sent after anything of the above
    assert page.batches == []
    assert page.run("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.exceptions == []


def test_do_not_track_is_respected(launch: Callable[..., Chromium], site: Embedded) -> None:
    page = launch(enable_do_not_track=True).page().open(site.url)
    assert page.run("navigator.doNotTrack") == "1"
    silent(page)
    assert site.ask("query_events") == []


def test_global_privacy_control_is_respected(browser: Chromium, site: Embedded) -> None:
    # Set the way a privacy extension does: Chromium has no setting of its own for it.
    signal = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
    silent(browser.visitor(signal).open(site.url))
    assert site.ask("query_events") == []


def test_blocked_storage_leaves_an_id_for_the_life_of_the_page(
    launch: Callable[..., Chromium], site: Embedded
) -> None:
    page = launch(profile={"default_content_setting_values": {"cookies": 2}}).page().open(site.url)
    assert (
        page.run("(() => { try { return typeof localStorage } catch (error) { return error.name } })()")
        == "SecurityError"
    )
    page.run("mm.track('signup'); mm.flush()")
    first, second = site.arrived(2)
    assert first["anonymous_id"] == second["anonymous_id"] == page.run("mm.getAnonymousId()")
    assert page.exceptions == []


def test_a_page_on_an_origin_that_is_not_allowed_is_refused_and_unharmed(
    browser: Chromium, site: Embedded
) -> None:
    page = browser.visitor().open(site.site.url("thief.example"))
    page.run("mm.flush()")
    (request,) = (one for one in page.events("Network.requestWillBeSent") if one["type"] == "Fetch")
    refusal = browser.wait(
        lambda event: (
            event["method"] == "Network.responseReceivedExtraInfo"
            and event["params"]["requestId"] == request["requestId"]
        )
    )
    assert refusal["params"]["statusCode"] == 403
    assert page.run("mm.track('more'); document.querySelector('p').textContent") == "Hello"
    assert page.exceptions == []
    assert site.ask("query_events") == []


def test_identify_names_the_person_from_then_on(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(site.url)
    page.run("mm.identify('u-1', {plan: 'pro'}); mm.track('signup')")
    page.run("mm.identify(null); mm.track('signed out'); mm.flush()")
    rows = {row["event_name"]: row for row in site.arrived(4)}
    assert {name: row["user_id"] for name, row in rows.items()} == {
        "$pageview": None, "$identify": "u-1", "signup": "u-1", "signed out": None,
    }  # fmt: skip
    assert rows["$identify"]["properties"] == '{"plan":"pro"}'
    assert len({row["anonymous_id"] for row in rows.values()}) == 1


def test_calls_made_before_the_script_arrives_are_kept(browser: Chromium, site: Embedded) -> None:
    site.embed(
        "<script>window.mm = window.mm || [];"
        "mm.push(['track', 'early', {n: 1}]); mm.push(['setAnonymousId', 'visitor-7']);"
        "mm.push(['no such method']); mm.push(null)</script>"
    )
    page = browser.visitor().open(site.url)
    page.run("mm.push(['track', 'late']); mm.push(['flush'])")
    rows = site.arrived(3)
    assert sorted((row["event_name"], row["anonymous_id"]) for row in rows) == [
        ("$pageview", "visitor-7"), ("early", "visitor-7"), ("late", "visitor-7"),
    ]  # fmt: skip
    assert page.exceptions == []


def test_a_server_that_asks_for_patience_gets_it_and_every_event_once(
    browser: Chromium, site: Embedded
) -> None:
    site.embed(data_host=f"{site.url}/troubled/")
    site.site.troubles = [(429, {"retry-after": "3"}), LOST]
    page = browser.visitor().open(site.url)
    page.run("mm.flush()")

    def answered(event: dict[str, Any]) -> bool:
        return event["method"] == "Network.responseReceived" and event["params"]["response"]["status"] == 202

    browser.wait(lambda event: answered(event) and event["sessionId"] == page.session)
    first, second, third = page.batches
    assert first == second == third
    (view,) = site.arrived(1)
    assert (view["event_name"], len(first)) == ("$pageview", 1)
    sent = [
        event["timestamp"] for event in page.events("Network.requestWillBeSent") if event["type"] == "Fetch"
    ]
    assert sent[1] - sent[0] >= 3


def test_a_refused_event_takes_no_other_with_it(browser: Chromium, site: Embedded) -> None:
    site.embed(data_host=f"{site.url}/troubled")
    page = browser.visitor().open(site.url)
    page.run("mm.track('huge', {text: 'x'.repeat(9000)}); mm.track('fine'); mm.flush(); mm.track('fine too')")
    assert sorted(names(site.arrived(3))) == ["$pageview", "fine", "fine too"]


def test_what_waits_is_bounded(browser: Chromium, site: Embedded) -> None:
    site.embed(data_host=f"{site.url}/troubled")
    site.site.troubles = [(503, {})]
    page = browser.visitor().open(site.url)
    page.run("for (let n = 1; n < 300; n++) mm.track('click')")
    site.arrived(200)
    page.run("mm.track('after'); mm.flush()")
    assert Counter(names(site.arrived(201))) == {"$pageview": 1, "click": 199, "after": 1}


def test_nothing_the_page_passes_throws_into_it(browser: Chromium, site: Embedded) -> None:
    site.embed(data_host=f"{site.url}/troubled")
    page = browser.visitor().open(site.url)
    page.run("const ring = {}; ring.ring = ring; mm.track('ring', ring); mm.track('big', {n: 1n})")
    page.run("mm.track(); mm.track(Symbol('s')); mm.identify(); mm.push(); mm.page(); mm.flush()")
    page.run("mm.setAnonymousId(Object.create(null)); mm.track('list', ['not an object']); mm.track('fine')")
    assert sorted(names(site.arrived(4))) == ["$pageview", "$pageview", "Symbol(s)", "fine"]
    assert page.exceptions == []


def test_a_page_without_https_gets_a_random_id_too(browser: Chromium, site: Embedded) -> None:
    page = browser.visitor().open(site.site.url("shop.example"))
    assert page.run("typeof crypto.randomUUID") == "undefined"
    page.run("mm.flush()")
    (view,) = site.arrived(1)
    assert len(view["anonymous_id"]) == 32


def test_a_tag_without_a_key_does_nothing(browser: Chromium, site: Embedded) -> None:
    site.embed(data_key="")
    silent(browser.visitor().open(site.url))


def test_a_tag_embedded_twice_counts_once(browser: Chromium, site: Embedded) -> None:
    site.embed(site.site.head)
    page = browser.visitor().open(site.url)
    page.run("mm.track('after'); mm.flush()")
    assert sorted(names(site.arrived(2))) == ["$pageview", "after"]
