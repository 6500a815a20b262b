"""demo-shop: a shop for coffee gear. What its visitors do, from landing to purchase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dev.demo_audience import Channel, Landing
from dev.demo_browser import Browser, Rhythm, new_id

SLUG: Final = "demo-shop"
ORIGIN: Final = "https://demo-shop.example"
VISITORS: Final = 5400
MEMBERS: Final = 110
OUTAGE_DAY: Final = 51  # nine days before now, the payment provider is down all day

RHYTHM: Final = Rhythm(
    weekdays=(1.0, 0.97, 0.95, 1.0, 1.0, 1.1, 1.25),
    hours=(2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 8, 9, 9, 8, 8, 8, 9, 11, 13, 15, 14, 9, 5),
    growth=0.2,
    spike_day=36,
    spike=2.6,
)


@dataclass(frozen=True)
class Product:
    slug: str
    category: str
    price_cents: int

    @property
    def path(self) -> str:
        return f"/product/{self.slug}"


PRODUCTS: Final = (
    Product("house-espresso-1kg", "beans", 2490),
    Product("ethiopia-guji-250g", "beans", 1190),
    Product("decaf-colombia-500g", "beans", 1690),
    Product("paper-filters-100", "accessories", 590),
    Product("milk-jug-350ml", "accessories", 1990),
    Product("scale-0-1g", "accessories", 3900),
    Product("pour-over-set", "filter", 4490),
    Product("aeropress-go", "filter", 3990),
    Product("hand-grinder-c3", "grinders", 7900),
    Product("electric-grinder-e1", "grinders", 24900),
    Product("kettle-gooseneck", "filter", 8900),
    Product("espresso-machine-mini", "espresso", 54900),
)
_POPULARITY: Final = (16, 13, 8, 10, 7, 7, 9, 8, 9, 4, 5, 4)
_ARTICLES: Final = (
    "/journal/how-to-dial-in-espresso",
    "/journal/best-hand-grinders",
    "/journal/water-for-coffee",
)
_SEARCHES: Final = ("grinder", "decaf", "filter", "gift", "espresso+machine", "descaler")

_PRODUCT_PATHS: Final = tuple(product.path for product in PRODUCTS)
_CATEGORY_PATHS: Final = tuple(f"/category/{name}" for name in ("beans", "grinders", "filter", "espresso"))

_GOOGLE: Final = ("https://www.google.com/", "https://www.google.com/", "https://www.google.de/")
_NEWSLETTER: Final = Channel(
    8,
    ("", "", "https://mail.google.com/"),
    "utm_source=newsletter&utm_medium=email&utm_campaign={campaign}",
    ("weekly", "new_arrivals", "win_back"),
    ("/", *_CATEGORY_PATHS),
    intent=2.0,
)
_DIRECT: Final = Channel(17, paths=("/", "/", "/", *_CATEGORY_PATHS), intent=1.3)
_GOOGLE_ORGANIC: Final = Channel(16, _GOOGLE, paths=("/", *_PRODUCT_PATHS, *_ARTICLES))

CHANNELS: Final = (
    _DIRECT,
    _GOOGLE_ORGANIC,
    _NEWSLETTER,
    Channel(2, ("https://duckduckgo.com/",), paths=("/", *_ARTICLES)),
    Channel(2, ("https://www.bing.com/",), paths=("/", *_PRODUCT_PATHS)),
    Channel(
        3, ("https://chatgpt.com/", "https://chatgpt.com/", "https://www.perplexity.ai/"), paths=_ARTICLES
    ),
    Channel(
        12,
        _GOOGLE[:2],
        "utm_source=google&utm_medium=cpc&utm_campaign={campaign}&gclid=Cj0KCQ{id}",
        ("brand", "shopping_grinders", "shopping_beans"),
        _PRODUCT_PATHS,
        intent=1.6,
        source="google",
        cents_per_click=42,
    ),
    Channel(
        2,
        ("https://www.bing.com/",),
        "utm_source=bing&utm_medium=cpc&utm_campaign={campaign}&msclkid={id}",
        ("shopping_all",),
        _PRODUCT_PATHS,
        intent=1.4,
        source="bing",
        cents_per_click=31,
    ),
    Channel(
        4,
        ("https://www.tiktok.com/", ""),
        "utm_source=tiktok&utm_medium=paid_social&utm_campaign={campaign}&ttclid=E.C.P.{id}",
        ("latte_art",),
        _PRODUCT_PATHS[5:9],
        intent=0.5,
        source="tiktok",
        cents_per_click=18,
    ),
    Channel(
        8,
        ("https://l.facebook.com/", "https://l.facebook.com/", "https://lm.facebook.com/", ""),
        "utm_source=facebook&utm_medium=cpc&utm_campaign={campaign}&fbclid=IwAR{id}",
        ("prospecting", "retargeting"),
        ("/", *_PRODUCT_PATHS[4:]),
        source="facebook",
        cents_per_click=36,
    ),
    Channel(4, ("https://www.facebook.com/", "https://m.facebook.com/"), paths=("/", *_ARTICLES), intent=0.6),
    Channel(
        5,
        ("https://l.instagram.com/", ""),
        "utm_source=instagram&utm_medium=paid_social&utm_campaign={campaign}&fbclid=PAAa{id}",
        ("reels_brew", "stories_beans"),
        ("/", *_PRODUCT_PATHS[:8]),
        intent=0.8,
        source="instagram",
        cents_per_click=33,
    ),
    Channel(
        4,
        ("https://www.instagram.com/", "https://l.instagram.com/"),
        paths=("/", *_PRODUCT_PATHS),
        intent=0.7,
    ),
    Channel(
        3, ("https://www.reddit.com/", "https://www.youtube.com/", "https://www.pinterest.com/"), intent=0.6
    ),
    Channel(
        6,
        ("https://www.homegrounds.co/", "https://www.trustpilot.com/", "https://www.idealo.de/"),
        intent=1.1,
    ),
)
SPIKE_CHANNELS: Final = (
    Channel(
        3,
        ("https://www.tiktok.com/", ""),
        "utm_source=tiktok&utm_medium=paid_social&utm_campaign={campaign}&ttclid=E.C.P.{id}",
        ("summer_drop",),
        ("/sale/summer-drop",),
        intent=0.7,
        source="tiktok",
        cents_per_click=18,
    ),
    Channel(
        2,
        ("https://l.instagram.com/", ""),
        "utm_source=instagram&utm_medium=paid_social&utm_campaign={campaign}&fbclid=PAAa{id}",
        ("summer_drop",),
        ("/sale/summer-drop",),
        intent=0.9,
        source="instagram",
        cents_per_click=33,
    ),
)
_RETURNING: Final = (
    Channel(50, paths=("/", "/", *_CATEGORY_PATHS), intent=1.6),
    _NEWSLETTER,
    _GOOGLE_ORGANIC,
    CHANNELS[9],
)


def live(browser: Browser, start_ms: int, landing: Landing, member_id: str | None = None) -> None:
    """A visitor's sessions, the given one first; a member has an account already and logs in."""
    browser.land(start_ms, landing)
    if member_id:
        browser.open("/account")
        browser.track("login", method="password")
        browser.identify(member_id, newsletter=True)
    _shop(browser)
    while browser.chance(0.55 if browser.user_id else 0.27) and browser.come_back(_RETURNING, mean_gap=6):
        _shop(browser)


def _shop(browser: Browser) -> None:
    bounces = 0.45 if browser.landing.intent < 1 else 0.33
    cart = _look_at_page(browser, browser.landing.path)
    if browser.chance(bounces):
        return
    while browser.chance(0.62):
        path = _next_path(browser)
        browser.open(path)
        cart += _look_at_page(browser, path)
    if cart:
        browser.open("/cart")
        if browser.chance(0.76):
            _check_out(browser, cart)


def _next_path(browser: Browser) -> str:
    draw = browser.rng.random()
    if draw < 0.52:
        return browser.rng.choices(PRODUCTS, _POPULARITY)[0].path
    if draw < 0.84:
        return browser.rng.choice(_CATEGORY_PATHS)
    if draw < 0.92:
        return f"/search?q={browser.rng.choice(_SEARCHES)}"
    return browser.rng.choice((*_ARTICLES, "/shipping", "/about"))


def _look_at_page(browser: Browser, path: str) -> list[Product]:
    """What the page makes the visitor do there; what they put into the cart."""
    if path.startswith("/search"):
        browser.track("search_performed", query=path.partition("=")[2].replace("+", " "))
    product = next((product for product in PRODUCTS if product.path == path), None)
    if product is None:
        return []
    facts = {"product": product.slug, "category": product.category, "price_cents": product.price_cents}
    browser.track("product_viewed", **facts, currency=browser.currency)
    if not browser.chance(0.052 * browser.landing.intent):
        return []
    browser.track("add_to_cart", **facts, currency=browser.currency, quantity=1)
    return [product]


def _check_out(browser: Browser, cart: list[Product]) -> None:
    order = {
        "amount_cents": sum(product.price_cents for product in cart),
        "currency": browser.currency,
        "items": len(cart),
    }
    browser.open("/checkout", converting=True)
    browser.track("checkout_started", **order)
    if browser.day == OUTAGE_DAY:
        for _ in range(browser.rng.randint(2, 4)):
            browser.track("checkout_error", code="payment_provider_timeout")
        return
    if browser.chance(0.05):
        browser.track("checkout_error", code="card_declined")
    if not browser.chance(0.72):
        return
    if browser.user_id is None and browser.chance(0.5):
        browser.track("signup", method="checkout")
        browser.identify(new_id(browser.rng, "u"), newsletter=browser.chance(0.6))
    browser.track("purchase", order_id=new_id(browser.rng, "o"), product=cart[0].slug, **order)
    browser.open("/order/complete")
