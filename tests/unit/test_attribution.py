"""The attribution classifier: every row of contract §5, their order, the tables, hostile input."""

from itertools import chain, combinations, product
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics import attribution_sources
from analytics.attribution import RULE_IDS, Attribution, classify
from analytics.attribution_sources import KNOWN_SITES

SHOP = "https://shop.example/landing"


def attributed(query: str = "", referrer: str | None = None) -> Attribution:
    return classify(f"{SHOP}?{query}", referrer)


# --- the rows -------------------------------------------------------------------------------------

ROWS = [
    # query, referrer, source, medium, confidence, rule_id
    ("gclid=Cj0K", None, "google", "paid", "high", "gclid"),
    ("gclid=Cj0K", "https://www.google.com/", "google", "paid", "high", "gclid"),
    ("msclkid=a1", None, "bing", "paid", "high", "msclkid"),
    ("ttclid=E.C.P", None, "tiktok", "paid", "high", "ttclid"),
    ("li_fat_id=9f", None, "linkedin", "paid", "high", "li_fat_id"),
    ("fbclid=abc", "https://l.facebook.com/", "facebook", "paid", "high", "fb_ad_redirect"),
    ("fbclid=abc", "http://lm.facebook.com/l.php?u=x", "facebook", "paid", "high", "fb_ad_redirect"),
    ("fbclid=abc&utm_source=facebook", None, "facebook", "paid", "high", "fbclid_utm"),
    ("fbclid=abc&utm_source=meta", None, "facebook", "paid", "high", "fbclid_utm"),
    ("fbclid=abc&utm_source=ig", None, "instagram", "paid", "high", "fbclid_utm"),
    ("fbclid=abc&utm_source=fb&utm_medium=social", None, "facebook", "paid", "high", "fbclid_utm"),
    ("utm_source=facebook&utm_medium=cpc", None, "facebook", "paid", "high", "paid_utm_facebook"),
    ("utm_source=Meta-Ads&utm_medium=paid", None, "facebook", "paid", "high", "paid_utm_facebook"),
    ("utm_source=instagram&utm_medium=ppc", None, "instagram", "paid", "high", "paid_utm_instagram"),
    ("utm_source=IG&utm_medium=paid_social", None, "instagram", "paid", "high", "paid_utm_instagram"),
    ("utm_source=taboola&utm_medium=cpm", None, "taboola", "paid", "high", "paid_utm"),
    ("utm_source=google&utm_medium=display", "https://www.google.com/", "google", "paid", "high", "paid_utm"),
    ("utm_medium=cpc", None, "unknown", "paid", "medium", "paid_utm_no_source"),
    ("utm_medium=paidsocial", "https://www.google.com/", "unknown", "paid", "medium", "paid_utm_no_source"),
    ("fbclid=abc", None, "facebook", "paid", "medium", "fbclid"),
    ("fbclid=abc", "https://m.facebook.com/", "facebook", "paid", "medium", "fbclid"),
    ("fbclid=abc&utm_medium=social", None, "facebook", "paid", "medium", "fbclid"),
    ("utm_source=newsletter&utm_medium=email", None, "newsletter", "email", "high", "utm"),
    ("utm_source=newsletter", None, "newsletter", "unknown", "high", "utm"),
    ("utm_source=newsletter&fbclid=abc", None, "newsletter", "unknown", "high", "utm"),
    ("utm_source=chatgpt.com", "https://chatgpt.com/", "chatgpt.com", "unknown", "high", "utm"),
    ("utm_source=fb&utm_medium=social", "https://www.facebook.com/", "fb", "social", "high", "utm"),
    ("", "https://www.facebook.com/somebody", "facebook", "social", "medium", "ref_facebook"),
    ("", "https://l.facebook.com/", "facebook", "social", "medium", "ref_facebook"),
    ("", "https://l.instagram.com/", "instagram", "social", "medium", "ref_instagram"),
    ("", "https://t.co/abc", "twitter", "social", "medium", "ref_social"),
    ("", "https://www.google.com/", "google", "organic", "medium", "ref_search"),
    ("utm_medium=email", "https://www.google.com/", "google", "organic", "medium", "ref_search"),
    ("", "https://mail.google.com/", "email", "email", "medium", "ref_email"),
    ("", "https://shop.example/cart", "internal", "direct", "high", "internal"),
    ("", None, "direct", "direct", "high", "direct"),
    ("page=2", None, "direct", "direct", "high", "direct"),
    ("utm_medium=email", None, "direct", "direct", "high", "direct"),
    ("", "https://www.blog.example/post", "blog.example", "referral", "low", "referral"),
    # ours
    ("gbraid=0AAA", None, "google", "paid", "high", "gbraid"),
    ("wbraid=Cj4K", None, "google", "paid", "high", "wbraid"),
    ("dclid=CMv", None, "google", "paid", "high", "dclid"),
    ("twclid=2-4", None, "twitter", "paid", "high", "twclid"),
    ("rdt_cid=46", None, "reddit", "paid", "high", "rdt_cid"),
    ("ScCid=b1", None, "snapchat", "paid", "high", "sccid"),
    ("epik=dj0y", None, "pinterest", "paid", "high", "epik"),
    ("gbraid=0AAA", "https://blog.example/", "google", "paid", "high", "gbraid"),
    ("", "https://chatgpt.com/", "chatgpt", "ai", "medium", "ref_ai"),
    ("", "https://www.perplexity.ai/search/x", "perplexity", "ai", "medium", "ref_ai"),
]


@pytest.mark.parametrize(("query", "referrer", "source", "medium", "confidence", "rule_id"), ROWS)
def test_each_row_gives_its_whole_answer(query, referrer, source, medium, confidence, rule_id):
    assert attributed(query, referrer) == Attribution(source, medium, None, confidence, rule_id)


def test_every_rule_has_a_row_above():
    assert {row[5] for row in ROWS} == set(RULE_IDS)


def test_the_contracts_worked_example():
    url = "https://shop.example/?utm_source=facebook&utm_medium=cpc&fbclid=abc"
    assert classify(url, "https://l.facebook.com/") == Attribution(
        "facebook", "paid", None, "high", "fb_ad_redirect"
    )
    assert classify(url, None) == Attribution("facebook", "paid", None, "high", "fbclid_utm")


@pytest.mark.parametrize("medium", ["cpc", "ppc", "paid", "paid_social", "paidsocial", "cpm", "display"])
def test_each_paid_medium_is_paid(medium):
    assert attributed(f"utm_source=x&utm_medium={medium}") == Attribution(
        "x", "paid", None, "high", "paid_utm"
    )


@pytest.mark.parametrize("medium", ["cpa", "paid-social", "banner", "affiliate", "cpcx", "organic"])
def test_any_other_medium_is_kept_as_it_is(medium):
    assert attributed(f"utm_source=x&utm_medium={medium}") == Attribution("x", medium, None, "high", "utm")


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("facebook", "facebook"), ("facebook.com", "facebook"), ("m.facebook.com", "facebook"),
        ("fb", "facebook"), ("facebook_ads", "facebook"), ("facebookads", "facebook"), ("fb_ads", "facebook"),
        ("fb-ads", "facebook"),
        ("Facebook+Ads", "facebook"), ("meta", "facebook"), ("meta_ads", "facebook"), ("META", "facebook"),
        ("instagram", "instagram"), ("instagram.com", "instagram"), ("ig", "instagram"),
        ("igads", "instagram"),
    ],
)  # fmt: skip
def test_a_paid_click_is_filed_under_its_family(source, network):
    assert attributed(f"utm_source={source}&utm_medium=cpc") == Attribution(
        network, "paid", None, "high", f"paid_utm_{network}"
    )


@pytest.mark.parametrize("source", ["facebooks", "notfacebook", "metabase", "bigfb", "igloo", "face book"])
def test_a_source_that_only_resembles_a_family_keeps_its_name(source):
    assert attributed(f"utm_source={source}&utm_medium=cpc") == Attribution(
        source, "paid", None, "high", "paid_utm"
    )


# --- our additions never change a documented answer -----------------------------------------------

OUR_CLICK_IDS = ["gbraid", "wbraid", "dclid", "twclid", "rdt_cid", "ScCid", "epik"]
OUR_RULES = {"gbraid", "wbraid", "dclid", "twclid", "rdt_cid", "sccid", "epik", "ref_ai"}
DOCUMENTED_ROWS = [row for row in ROWS if row[5] not in OUR_RULES | {"direct", "referral"}]


@pytest.mark.parametrize("click_id", OUR_CLICK_IDS)
def test_a_click_id_of_ours_leaves_rules_1_to_18_as_they_are(click_id):
    for query, referrer, source, medium, confidence, rule_id in DOCUMENTED_ROWS:
        answer = attributed(f"{click_id}=x&{query}", referrer)
        assert answer == Attribution(source, medium, None, confidence, rule_id)


def test_an_assistant_as_referrer_leaves_rules_1_to_12_as_they_are():
    for query, _, source, medium, confidence, rule_id in [row for row in DOCUMENTED_ROWS if row[1] is None]:
        answer = attributed(query, "https://claude.ai/chat/1")
        assert answer == Attribution(source, medium, None, confidence, rule_id)


# --- the order of the rows ------------------------------------------------------------------------

CONTRACT_ORDER = (
    "gclid", "msclkid", "ttclid", "li_fat_id", "fb_ad_redirect", "fbclid_utm", "paid_utm_facebook",
    "paid_utm_instagram", "paid_utm", "paid_utm_no_source", "fbclid", "utm", "ref_facebook", "ref_instagram",
    "ref_social", "ref_search", "ref_email", "internal",
    "gbraid", "wbraid", "dclid", "twclid", "rdt_cid", "sccid", "epik", "ref_ai",
    "direct", "referral",
)  # fmt: skip

CLICK_IDS = ["gclid", "msclkid", "ttclid", "li_fat_id", "fbclid", *OUR_CLICK_IDS]
UTM_SOURCES = ["", "facebook", "instagram", "partner"]
UTM_MEDIUMS = ["", "cpc", "email"]
REFERRERS = {
    "": "",
    "l.facebook.com": "facebook",
    "www.facebook.com": "facebook",
    "www.instagram.com": "instagram",
    "www.linkedin.com": "social",
    "duckduckgo.com": "search",
    "outlook.live.com": "email",
    "claude.ai": "ai",
    "shop.example": "same",
    "blog.example": "other",
}
NETWORKS = {
    "gclid": "google", "msclkid": "bing", "ttclid": "tiktok", "li_fat_id": "linkedin", "gbraid": "google",
    "wbraid": "google", "dclid": "google", "twclid": "twitter", "rdt_cid": "reddit", "sccid": "snapchat",
    "epik": "pinterest",
}  # fmt: skip
SITE_NAMES = {"www.linkedin.com": "linkedin", "duckduckgo.com": "duckduckgo", "claude.ai": "claude"}


def reference(
    clicks: tuple[str, ...], utm_source: str, utm_medium: str, host: str
) -> dict[str, tuple[str, str, str]]:
    """Every rule that could fire, by itself: contract §5 spelt out on the parts of an address."""
    kind = REFERRERS[host]
    family = utm_source in ("facebook", "instagram")
    paid = utm_medium == "cpc"
    fires: dict[str, tuple[str, str, str]] = {}
    for click in clicks:
        if click != "fbclid":
            fires[click.lower()] = (NETWORKS[click.lower()], "paid", "high")
    if "fbclid" in clicks and host == "l.facebook.com":
        fires["fb_ad_redirect"] = ("facebook", "paid", "high")
    if "fbclid" in clicks and family:
        fires["fbclid_utm"] = (utm_source, "paid", "high")
    if paid and family:
        fires[f"paid_utm_{utm_source}"] = (utm_source, "paid", "high")
    if paid and utm_source:
        fires["paid_utm"] = (utm_source, "paid", "high")
    if paid and not utm_source:
        fires["paid_utm_no_source"] = ("unknown", "paid", "medium")
    if "fbclid" in clicks and not utm_source:
        fires["fbclid"] = ("facebook", "paid", "medium")
    if utm_source:
        fires["utm"] = (utm_source, utm_medium or "unknown", "high")
    if kind in ("facebook", "instagram"):
        fires[f"ref_{kind}"] = (kind, "social", "medium")
    if kind == "social":
        fires["ref_social"] = (SITE_NAMES[host], "social", "medium")
    if kind == "search":
        fires["ref_search"] = (SITE_NAMES[host], "organic", "medium")
    if kind == "email":
        fires["ref_email"] = ("email", "email", "medium")
    if kind == "same":
        fires["internal"] = ("internal", "direct", "high")
    if kind == "ai":
        fires["ref_ai"] = (SITE_NAMES[host], "ai", "medium")
    if not host:
        fires["direct"] = ("direct", "direct", "high")
    if host:
        fires["referral"] = (host.removeprefix("www."), "referral", "low")
    return fires


def address(clicks: tuple[str, ...], utm_source: str, utm_medium: str) -> str:
    utm = {"utm_source": utm_source, "utm_medium": utm_medium}
    return f"{SHOP}?{urlencode({**utm, **dict.fromkeys(clicks, 'x')})}"


def test_the_rules_stand_in_the_contracts_order():
    assert RULE_IDS == CONTRACT_ORDER


def test_of_two_rules_that_both_fire_the_earlier_one_answers_for_every_pair_that_can_meet():
    decided = set()
    click_sets = list(chain([()], combinations(CLICK_IDS, 1), combinations(CLICK_IDS, 2)))
    for clicks, utm_source, utm_medium, host in product(click_sets, UTM_SOURCES, UTM_MEDIUMS, REFERRERS):
        firing = reference(clicks, utm_source, utm_medium, host)
        first, *others = sorted(firing, key=CONTRACT_ORDER.index)
        source, medium, confidence = firing[first]
        url = address(clicks, utm_source, utm_medium)
        expected = Attribution(source, medium, None, confidence, first)
        assert classify(url, f"https://{host}/" if host else None) == expected, (url, host)
        decided |= {(first, other) for other in others}
    # Where two rules can meet, there was an address on which only they were left to decide.
    can_meet = {
        pair
        for parts in product(click_sets, UTM_SOURCES, UTM_MEDIUMS, REFERRERS)
        for pair in combinations(sorted(reference(*parts), key=CONTRACT_ORDER.index), 2)
    }
    assert decided == can_meet
    assert (
        len(decided) == 331
    )  # of 378; the other 47 exclude each other (no referrer and a referrer, two referrers…)


@given(
    clicks=st.lists(st.sampled_from(CLICK_IDS), unique=True).map(tuple),
    utm_source=st.sampled_from(UTM_SOURCES),
    utm_medium=st.sampled_from(UTM_MEDIUMS),
    host=st.sampled_from(sorted(REFERRERS)),
    campaign=st.sampled_from([None, "spring"]),
)
def test_any_mixture_of_signals_is_answered_as_the_slow_reference_answers(
    clicks, utm_source, utm_medium, host, campaign
):
    firing = reference(clicks, utm_source, utm_medium, host)
    first = min(firing, key=CONTRACT_ORDER.index)
    source, medium, confidence = firing[first]
    url = address(clicks, utm_source, utm_medium) + (f"&utm_campaign={campaign}" if campaign else "")
    expected = Attribution(source, medium, campaign, confidence, first)
    assert classify(url, f"https://{host}/" if host else None) == expected


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "source", "medium", "campaign"),
    [
        ("utm_source=News&utm_medium=EMAIL&utm_campaign=Spring%20Sale", "news", "email", "spring sale"),
        ("utm_source=+news+&utm_medium=%20email%0A&utm_campaign=%09a%20%20b%09", "news", "email", "a  b"),
        ("UTM_Source=news&Utm_Medium=email&UTM_CAMPAIGN=x", "news", "email", "x"),
        ("utm_source=&utm_source=%20&utm_source=first&utm_source=second", "first", "unknown", None),
        ("utm_source=news&utm_medium=&utm_campaign=", "news", "unknown", None),
        ("utm%5Fsource=news", "news", "unknown", None),
        ("utm_source=%C3%9Cber%20Caf%C3%A9", "über café", "unknown", None),
        ("utm_source=a%00b%1B%E2%80%8Bc%E2%80%AEd%EE%80%80e%F3%A0%81%81f", "abcdef", "unknown", None),
        ("utm_source=a%0D%0Ab%C2%A0c%E2%80%A8d", "a  b c d", "unknown", None),
        ("utm_source=%ff%zz%", "\ufffd%zz%", "unknown", None),
        ("utm_source=" + "a" * 500, "a" * 128, "unknown", None),
        ("utm_source=" + "a" * 127 + "%20b", "a" * 127, "unknown", None),
        ("utm_source=a;gclid=b", "a;gclid=b", "unknown", None),
    ],
)
def test_values_are_stored_lower_cased_trimmed_visible_and_short(query, source, medium, campaign):
    assert attributed(query) == Attribution(source, medium, campaign, "high", "utm")


@pytest.mark.parametrize(
    "query", ["gclid=", "gclid=%20", "gclid", "gclid=%E2%80%8B", "xgclid=1", "gclid2=1", "#?gclid=1"]
)
def test_an_empty_or_misnamed_parameter_is_absent(query):
    assert attributed(query) == Attribution("direct", "direct", None, "high", "direct")


def test_what_follows_the_hash_is_not_read():
    answer = classify("https://shop.example/#/?utm_source=a&gclid=b", None)
    assert answer == Attribution("direct", "direct", None, "high", "direct")


@pytest.mark.parametrize(
    "query", ["gclid=1", "fbclid=1", "utm_medium=cpc", "utm_source=a", "page=2", "twclid=1"]
)
def test_the_campaign_is_kept_whichever_rule_answers(query):
    assert attributed(f"{query}&utm_campaign=Launch").campaign == "launch"


@pytest.mark.parametrize("nothing", [None, "", "/path", "not an address"])
def test_nothing_known_of_either_side_is_direct_and_not_internal(nothing):
    assert classify(nothing, nothing) == Attribution("direct", "direct", None, "high", "direct")


def test_what_stands_beyond_eight_thousand_characters_is_not_read():
    assert attributed(f"pad={'a' * 8192}&gclid=1") == Attribution("direct", "direct", None, "high", "direct")


def test_an_address_that_is_only_a_path_still_has_its_parameters():
    assert classify("/pricing?gclid=1", None) == Attribution("google", "paid", None, "high", "gclid")


# --- hosts ----------------------------------------------------------------------------------------


def test_no_host_stands_in_two_rows():
    sources = attribution_sources
    rows = [*sources._SOCIAL.values(), *sources._SEARCH.values(), *sources._AI.values(), sources._EMAIL_HOSTS]
    assert sorted(" ".join(rows).split()) == sorted(KNOWN_SITES)


MEDIUM_OF_KIND = {"social": "social", "search": "organic", "email": "email", "ai": "ai"}
RULE_OF_KIND = {"social": "ref_social", "search": "ref_search", "email": "ref_email", "ai": "ref_ai"}


@pytest.mark.parametrize("host", sorted(KNOWN_SITES))
def test_every_listed_host_and_its_subdomains_are_recognised_and_no_name_that_only_contains_it(host):
    kind, name = KNOWN_SITES[host]
    rule_id = f"ref_{name}" if name in ("facebook", "instagram") else RULE_OF_KIND[kind]
    expected = Attribution(name, MEDIUM_OF_KIND[kind], None, "medium", rule_id)
    for referrer in (
        f"https://{host}/",
        f"http://www.{host}",
        f"https://{host.upper()}:8443/a?b=c#d",
        f"https://any.thing.{host}./path",
        f"android-app://{host}/",
        f"https://user:secret@{host}/",
    ):
        assert attributed("", referrer) == expected
    for referrer in (
        f"https://{host}.evil.example/",
        f"https://evil.example/{host}",
        f"https://{host}@evil.example/",
    ):
        assert attributed("", referrer).medium == "referral"


@pytest.mark.parametrize(
    ("referrer", "source", "medium", "rule_id"),
    [
        ("https://www.google.co.uk/", "google", "organic", "ref_search"),
        ("https://google.de/search?q=a", "google", "organic", "ref_search"),
        ("https://www.google.com.br/", "google", "organic", "ref_search"),
        ("https://news.google.com/", "google", "organic", "ref_search"),
        ("android-app://com.google.android.googlequicksearchbox/", "google", "organic", "ref_search"),
        ("https://www.bing.com/", "bing", "organic", "ref_search"),
        ("https://uk.search.yahoo.com/", "yahoo", "organic", "ref_search"),
        ("https://search.yahoo.co.jp/", "yahoo", "organic", "ref_search"),
        ("https://yandex.com.tr/", "yandex", "organic", "ref_search"),
        ("https://ya.ru/", "yandex", "organic", "ref_search"),
        ("https://m.baidu.com/", "baidu", "organic", "ref_search"),
        ("https://search.brave.com/", "brave", "organic", "ref_search"),
        ("https://mail.google.com/mail/u/0/", "email", "email", "ref_email"),
        ("android-app://com.google.android.gm/", "email", "email", "ref_email"),
        ("https://us-mg5.mail.yahoo.com/", "email", "email", "ref_email"),
        ("https://mail.yandex.ru/", "email", "email", "ref_email"),
        ("https://outlook.office365.com/", "email", "email", "ref_email"),
        ("https://eur01.safelinks.protection.outlook.com/", "email", "email", "ref_email"),
        ("https://facebook.com/", "facebook", "social", "ref_facebook"),
        ("https://m.facebook.com/", "facebook", "social", "ref_facebook"),
        ("https://lm.facebook.com/", "facebook", "social", "ref_facebook"),
        ("https://fb.me/x", "facebook", "social", "ref_facebook"),
        ("https://instagram.com/", "instagram", "social", "ref_instagram"),
        ("https://x.com/", "twitter", "social", "ref_social"),
        ("https://mobile.twitter.com/", "twitter", "social", "ref_social"),
        ("https://out.reddit.com/", "reddit", "social", "ref_social"),
        ("https://lnkd.in/x", "linkedin", "social", "ref_social"),
        ("https://www.pinterest.co.uk/", "pinterest", "social", "ref_social"),
        ("https://youtu.be/x", "youtube", "social", "ref_social"),
        ("https://web.telegram.org/", "telegram", "social", "ref_social"),
        ("https://news.ycombinator.com/item", "hackernews", "social", "ref_social"),
        ("https://somebody.tumblr.com/", "tumblr", "social", "ref_social"),
        ("https://chat.openai.com/", "chatgpt", "ai", "ref_ai"),
        ("https://claude.ai/", "claude", "ai", "ref_ai"),
        ("https://gemini.google.com/app", "gemini", "ai", "ref_ai"),
        ("https://copilot.microsoft.com/", "copilot", "ai", "ref_ai"),
    ],
)
def test_a_host_is_filed_under_the_longest_name_that_is_listed(referrer, source, medium, rule_id):
    assert attributed("", referrer) == Attribution(source, medium, None, "medium", rule_id)


@pytest.mark.parametrize(
    ("referrer", "source"),
    [
        ("https://notgoogle.com/", "notgoogle.com"),
        ("https://google.com.evil.example/", "google.com.evil.example"),
        ("https://facebook.com.evil.io/", "facebook.com.evil.io"),
        ("https://netflix.com/", "netflix.com"),
        ("https://google.example/", "google.example"),
        ("https://evil.example/google.com", "evil.example"),
        ("https://evil.example?https://google.com/", "evil.example"),
        ("https://google.com@evil.example/", "evil.example"),
        ("https://l.facebook.com.evil.io/?fbclid=1", "l.facebook.com.evil.io"),
        ("https://g\u043e\u043egle.com/", "g\u043e\u043egle.com"),
        ("https://openai.com/", "openai.com"),
        ("https://github.com/a/b", "github.com"),
        ("https://WWW.Blog.Example:8080/", "blog.example"),
        ("https://www.com/", "www.com"),
        ("https://münchen.example/", "münchen.example"),
        ("https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example"),
        ("https://हिन्दी.example/", "हिन्दी.example"),
        ("https://192.0.2.7:8080/", "192.0.2.7"),
        ("https://blog.example:99999/", "blog.example"),
        ("https://blog.example:port/", "blog.example"),
        ("//blog.example/", "blog.example"),
        ("  https://blog.example  ", "blog.example"),
        ("https://" + "a" * 200 + ".example/", "a" * 128),
    ],
)
def test_any_other_host_is_a_referral_named_after_it(referrer, source):
    assert attributed("", referrer) == Attribution(source, "referral", None, "low", "referral")


UNREADABLE = [
    None, "", " ", "about:blank", "blog.example", "not an address", "http://", "https:///path",
    "http://[", "http://[::1",
    "http://[zz]/", "http://[v1.x]/", "http://[::1]:80/", "http://a[::1]b/", "http://][v1.:/",
    "https://a b.example/", "https://a\\b.example/",
    "https://a%2fb.example/", "https://<script>.example/", "https://a\u200bb.example/",
    "https://a\ud800b.example/", "https://a\x00b.example/", "https://a\u2100b.example/",
    "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://./",
    "https://" + "a" * 254 + "/",
]  # fmt: skip


@pytest.mark.parametrize("referrer", UNREADABLE)
def test_a_referrer_without_a_readable_host_is_no_referrer(referrer):
    assert attributed("", referrer) == Attribution("direct", "direct", None, "high", "direct")


@pytest.mark.parametrize(
    ("url", "referrer"),
    [
        ("https://shop.example/a", "https://shop.example/b"),
        ("https://shop.example/", "http://SHOP.example:8080/"),
        ("https://www.shop.example/", "https://shop.example/"),
        ("https://shop.example/", "https://www.shop.example/"),
        ("https://shop.example./", "https://shop.example/"),
        ("http://localhost:3000/", "http://localhost:8787/"),
    ],
)
def test_a_step_within_one_site_is_internal(url, referrer):
    assert classify(url, referrer) == Attribution("internal", "direct", None, "high", "internal")


@pytest.mark.parametrize(
    ("url", "referrer", "source"),
    [
        ("https://shop.example/", "https://blog.shop.example/", "blog.shop.example"),
        ("https://blog.shop.example/", "https://shop.example/", "shop.example"),
        ("https://shop.example.evil.example/", "https://shop.example/", "shop.example"),
        (None, "https://shop.example/", "shop.example"),
        ("not an address", "https://shop.example/", "shop.example"),
    ],
)
def test_another_host_of_the_same_domain_is_a_referral(url, referrer, source):
    assert classify(url, referrer) == Attribution(source, "referral", None, "low", "referral")


# --- whatever arrives -----------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["https://", "//", "[", "]", "@", ":", "?", "&", "=", "#", "%", "%00", "%ff", ".", "www.", "google.com",
     "İ", "ß", "utm_source=", "utm_medium=", "utm_campaign=", "cpc", "gclid=", "fbclid", "l.facebook.com",
     "\ud800", "\u202e"]
)  # fmt: skip
ANYTHING = st.none() | st.text(max_size=60) | st.lists(PIECES | st.text(max_size=4), max_size=20).map("".join)
# `st.text` leaves lone surrogates out.
SURROGATES = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=20).map("".join)


@given(url=ANYTHING | SURROGATES, referrer=ANYTHING | SURROGATES)
@example(url="https://[", referrer="https://[")
@example(url="?utm_source=" + "%C4%B0" * 2000, referrer="https://" + "İ" * 120 + ".example")
def test_any_input_is_answered_in_known_words_and_nothing_hides_in_them(url, referrer):
    answer = classify(url, referrer)
    assert answer == classify(url, referrer)
    assert answer.rule_id in CONTRACT_ORDER
    assert answer.confidence in ("high", "medium", "low")
    for text in (answer.source, answer.medium, answer.campaign or "-"):
        assert 1 <= len(text) <= 128
        assert text.isprintable()
        assert text == text.lower().strip()


@given(value=st.text(max_size=200))
def test_a_stored_value_sent_again_is_stored_unchanged(value):
    once = attributed(urlencode({"utm_source": f"x{value}"}))
    assert attributed(urlencode({"utm_source": once.source})) == once


@pytest.mark.parametrize("unit", ["&", "a=1&", "%", "utm_source=", "[", "é", "\x00", "utm_source=%E2%80%8B&"])
def test_megabytes_are_answered(unit):
    flood = unit * (2_000_000 // len(unit))
    paid = Attribution("google", "paid", None, "high", "gclid")
    assert attributed(f"gclid=1&{flood}", flood) == paid
    assert attributed("", f"https://{flood}") == Attribution("direct", "direct", None, "high", "direct")
