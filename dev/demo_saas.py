"""demo-saas: a project planner sold by subscription. What its visitors and its users do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dev.demo_audience import Channel, Landing
from dev.demo_browser import Browser, Rhythm, new_id

SLUG: Final = "demo-saas"
ORIGIN: Final = "https://demo-saas.example"
VISITORS: Final = 5300
MEMBERS: Final = 120
SILENT_DAY: Final = 55  # five days before now, a release sends no `feature_used` all day

RHYTHM: Final = Rhythm(
    weekdays=(1.2, 1.25, 1.25, 1.2, 1.0, 0.45, 0.4),
    hours=(1, 1, 1, 1, 1, 2, 4, 8, 13, 16, 16, 14, 11, 14, 15, 14, 12, 9, 6, 5, 5, 4, 3, 2),
    growth=0.25,
    spike_day=22,
    spike=3.2,
)

_PLANS: Final = (("starter", 1900), ("team", 4900), ("business", 14900))
_PLAN_SHARES: Final = (50, 38, 12)
_FEATURES: Final = ("board", "timeline", "automation", "report", "comment", "export", "integration")
_ARTICLES: Final = ("/blog/planning-poker-guide", "/blog/gantt-vs-kanban", "/blog/weekly-review-template")
_DOCS: Final = ("/docs/quickstart", "/docs/import", "/docs/api", "/docs/automations")
_PRODUCT_PATHS: Final = ("/features/timeline", "/features/automations", "/features/reports", "/templates")
_MARKETING: Final = (
    "/pricing",
    "/pricing",
    "/pricing",
    "/",
    "/customers",
    *_PRODUCT_PATHS,
    *_DOCS,
    *_ARTICLES,
)
_APP: Final = ("/app/boards", "/app/boards", "/app/timeline", "/app/reports", "/app/inbox", "/app/settings")

_GOOGLE: Final = ("https://www.google.com/", "https://www.google.com/", "https://www.google.de/")
_DIRECT: Final = Channel(20, paths=("/", "/", "/pricing"), intent=1.3)
_ORGANIC: Final = Channel(
    24, _GOOGLE, paths=("/", *_ARTICLES, *_ARTICLES, *_DOCS, *_PRODUCT_PATHS), intent=0.8
)
_NEWSLETTER: Final = Channel(
    6,
    ("", "", "https://outlook.live.com/"),
    "utm_source=newsletter&utm_medium=email&utm_campaign={campaign}",
    ("product_update", "planning_course"),
    (*_ARTICLES, "/features/reports"),
    intent=1.6,
)

CHANNELS: Final = (
    _DIRECT,
    _ORGANIC,
    _NEWSLETTER,
    Channel(3, ("https://duckduckgo.com/",), paths=("/", *_ARTICLES, *_DOCS)),
    Channel(3, ("https://www.bing.com/",), paths=("/", *_ARTICLES)),
    Channel(
        6,
        ("https://chatgpt.com/", "https://chatgpt.com/", "https://claude.ai/"),
        paths=("/", "/pricing"),
        intent=1.7,
    ),
    Channel(
        11,
        _GOOGLE[:2],
        "utm_source=google&utm_medium=cpc&utm_campaign={campaign}&gclid=Cj0KCQ{id}",
        ("brand", "competitors", "gantt_software"),
        ("/", "/pricing", *_PRODUCT_PATHS),
        intent=1.5,
        source="google",
        cents_per_click=290,
    ),
    Channel(
        2,
        ("https://www.bing.com/",),
        "utm_source=bing&utm_medium=cpc&utm_campaign={campaign}&msclkid={id}",
        ("gantt_software",),
        ("/", *_PRODUCT_PATHS),
        intent=1.3,
        source="bing",
        cents_per_click=210,
    ),
    Channel(
        7,
        ("https://www.linkedin.com/", ""),
        "utm_source=linkedin&utm_medium=paid_social&utm_campaign={campaign}&li_fat_id={id}",
        ("heads_of_ops", "agencies"),
        ("/", "/customers", *_PRODUCT_PATHS),
        intent=1.1,
        source="linkedin",
        cents_per_click=480,
    ),
    Channel(
        4,
        ("https://l.facebook.com/", "https://lm.facebook.com/", ""),
        "utm_source=facebook&utm_medium=cpc&utm_campaign={campaign}&fbclid=IwAR{id}",
        ("small_teams", "retargeting"),
        ("/", "/templates"),
        intent=0.7,
        source="facebook",
        cents_per_click=95,
    ),
    Channel(2, ("https://www.facebook.com/", "https://m.facebook.com/"), paths=("/", *_ARTICLES), intent=0.5),
    Channel(
        2,
        ("https://l.instagram.com/", ""),
        "utm_source=instagram&utm_medium=paid_social&utm_campaign={campaign}&fbclid=PAAa{id}",
        ("small_teams",),
        ("/", "/templates"),
        intent=0.5,
        source="instagram",
        cents_per_click=80,
    ),
    Channel(1, ("https://www.instagram.com/",), intent=0.5),
    Channel(4, ("https://www.linkedin.com/", "https://www.reddit.com/", "https://news.ycombinator.com/")),
    Channel(6, ("https://www.g2.com/", "https://www.capterra.com/", "https://github.com/"), intent=1.4),
)
SPIKE_CHANNELS: Final = (Channel(1, ("https://www.producthunt.com/",), "ref=producthunt", intent=0.9),)
_RETURNING: Final = (
    Channel(40, paths=("/", "/pricing", "/pricing"), intent=1.8),
    _NEWSLETTER,
    _ORGANIC,
    CHANNELS[9],
)
_BACK_TO_WORK: Final = (
    Channel(90, paths=("/app", "/app/boards")),
    Channel(10, ("https://mail.google.com/",), paths=("/app/inbox",)),
)


@dataclass
class Subscription:
    """Where an account stands: on trial since a day, then paying, then perhaps gone."""

    trial_day: int
    plan: str
    properties: dict[str, Any] | None = None
    started_day: int = 0
    cancelled: bool = False


def live(browser: Browser, start_ms: int, landing: Landing, member_id: str | None = None) -> None:
    """A visitor's sessions, the given one first; a member has an account already and logs in."""
    subscription = None
    browser.land(start_ms, Landing("/login") if member_id else landing)
    if member_id:
        browser.track("login", method="password")
        browser.identify(member_id, plan="team")
        _work(browser)
    else:
        subscription = _look_around(browser)
    while _comes_back(browser, subscription):
        if browser.user_id is None:
            subscription = _look_around(browser)
        else:
            _work(browser)
            if subscription:
                _decide(browser, subscription)


def _comes_back(browser: Browser, subscription: Subscription | None) -> bool:
    if browser.user_id is None:
        return browser.chance(0.3) and browser.come_back(_RETURNING, mean_gap=5)
    if subscription and subscription.cancelled:
        return False
    return browser.chance(0.91) and browser.come_back(_BACK_TO_WORK, mean_gap=2)


def _look_around(browser: Browser) -> Subscription | None:
    """A session on the marketing pages; a subscription on trial when it ends in a signup."""
    if browser.chance(0.42):
        return None
    while browser.chance(0.6):
        browser.open(browser.rng.choice(_MARKETING))
        if browser.url.endswith("/pricing") and browser.chance(0.25):
            browser.track("pricing_toggled", interval="year")
    return _sign_up(browser) if browser.chance(0.045 * browser.landing.intent) else None


def _sign_up(browser: Browser) -> Subscription | None:
    browser.open("/signup", converting=True)
    browser.track("signup", method=browser.rng.choice(("google", "email", "email")))
    plan = browser.rng.choices(_PLANS, _PLAN_SHARES)[0][0]
    size = browser.rng.choice(("1", "2-10", "2-10", "11-50", "51-200"))
    browser.identify(new_id(browser.rng, "u"), plan="trial", company_size=size)
    on_trial = browser.chance(0.8)
    if on_trial:
        browser.track("trial_started", plan=plan)
    browser.open("/app")
    _work(browser)
    return Subscription(browser.day, plan) if on_trial else None


def _work(browser: Browser) -> None:
    for _ in range(browser.rng.randint(1, 3)):
        browser.track("feature_used", feature=browser.rng.choice(_FEATURES))
        if browser.day == SILENT_DAY:
            browser.lose_last()
        if browser.chance(0.5):
            browser.open(browser.rng.choice(_APP))
    if browser.chance(0.06):
        browser.track("invite_sent", role=browser.rng.choice(("member", "member", "guest", "admin")))


def _decide(browser: Browser, subscription: Subscription) -> None:
    """Trials are paid for after a week or two, or never; some subscribers leave again."""
    if subscription.properties is None:
        if browser.day - subscription.trial_day >= 7 and browser.chance(0.3):
            subscription.properties = _offer(browser, subscription.plan)
            subscription.started_day = browser.day
            browser.open("/app/billing")
            browser.track("subscription_started", **subscription.properties)
            browser.identify(str(browser.user_id), plan=subscription.plan)
    elif browser.day - subscription.started_day >= 5 and browser.chance(0.05):
        browser.open("/app/billing")
        reason = browser.rng.choice(("too_expensive", "missing_feature", "project_ended"))
        browser.track("subscription_cancelled", **subscription.properties, reason=reason)
        subscription.cancelled = True


def _offer(browser: Browser, plan: str) -> dict[str, Any]:
    interval = "year" if browser.chance(0.25) else "month"
    return {
        "subscription_id": new_id(browser.rng, "sub"),
        "plan": plan,
        "amount_cents": dict(_PLANS)[plan] * (10 if interval == "year" else 1),
        "currency": browser.currency,
        "interval": interval,
    }
