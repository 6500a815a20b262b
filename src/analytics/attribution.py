"""Where a visit came from, by its address and referrer: contract §5 as one ordered table; no I/O, no clock.

Rules 1–20 answer as the contract says. Our additions stand between 18 and 19, where upstream has nothing left
but the catch-all of rule 20: a `gbraid` from google.com stays rule 16, one from nowhere becomes `gbraid`.

What the contract leaves open, and what is done here:
- `fbclid` is *alone* (11) when there is no `utm_source`, whatever the referrer; with one, rule 12 answers.
- Hosts are compared without port, without a final dot and, in 18 as in 20, without `www.`.
- A host belongs to its longest listed name: mail.google.com is web mail, gemini.google.com an assistant.
- A referrer without a readable host (`about:blank`, `http://[::1]`) is no referrer.
- No referrer, but parameters no rule reads (`?page=2`), is `direct`: rule 20 would have no host to name.
- Parameter names are case-insensitive; of a repeated one the first non-empty value counts; `#…` is not read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from analytics.attribution_sources import (
    CLICK_ID_SOURCES,
    FACEBOOK_REDIRECT_HOSTS,
    KNOWN_SITES,
    PAID_MEDIUMS,
    UTM_SOURCE_FAMILIES,
    Kind,
    KnownSite,
)

Confidence = Literal["high", "medium", "low"]

MAX_VALUE_CHARS: Final = 128  # of a stored source, medium or campaign; the rest is cut
_MAX_ADDRESS_CHARS: Final = 8192  # read of an address: the contract's 2048 with room, whoever calls
_MAX_HOST_CHARS: Final = 253  # RFC 1035 §2.3.4, as text
_HOST_PUNCTUATION: Final = frozenset("-._")  # `_` is no letter of a host name but occurs in real ones

_READ_PARAMETERS: Final = frozenset((*CLICK_ID_SOURCES, "fbclid", "utm_source", "utm_medium", "utm_campaign"))


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where one visit came from and which rule said so; every text is lower-cased, trimmed and visible."""

    source: str
    medium: str
    campaign: str | None
    confidence: Confidence
    rule_id: str


@dataclass(frozen=True, slots=True)
class _Visit:
    """The facts the rules look at: cleaned values, "" for what is absent."""

    parameters: frozenset[str]  # the names of those present
    fbclid: bool
    utm_source: str
    utm_medium: str
    utm_campaign: str
    family: str  # `facebook`, `instagram` or "" for any other `utm_source`
    paid: bool  # by its `utm_medium`
    host: str
    referrer_host: str
    through_facebook: bool  # as a click on an advertisement there
    kind: Kind | None  # what sort of site the referrer is, and its name, when it is listed
    site: str


_Text = str | Callable[[_Visit], str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of contract §5: when it fires, and the answer it gives, fixed or read from the visit."""

    rule_id: str
    fires: Callable[[_Visit], object]  # by its truth
    source: _Text
    medium: _Text
    confidence: Confidence


def classify(url: str | None, referrer: str | None) -> Attribution:
    """Name the origin of a visit by the first rule that fires.

    Shape: any text is answered, readable or not. Source: contract §5.
    """
    visit = _visit(url or "", referrer or "")
    rule = next(rule for rule in _RULES if rule.fires(visit))
    return Attribution(
        source=_text(rule.source, visit),
        medium=_text(rule.medium, visit),
        campaign=visit.utm_campaign or None,
        confidence=rule.confidence,
        rule_id=rule.rule_id,
    )


def _text(text: _Text, visit: _Visit) -> str:
    return text if isinstance(text, str) else text(visit)[:MAX_VALUE_CHARS]


# --- the table ------------------------------------------------------------------------------------


def _click_id(name: str) -> _Rule:
    return _Rule(name, lambda v: name in v.parameters, CLICK_ID_SOURCES[name], "paid", "high")


def _paid_family(name: str) -> _Rule:
    return _Rule(f"paid_utm_{name}", lambda v: v.paid and v.family == name, name, "paid", "high")


def _utm_source(visit: _Visit) -> str:
    return visit.utm_source


def _utm_medium(visit: _Visit) -> str:
    return visit.utm_medium or "unknown"


# rule_id, fires when, source, medium, confidence. The first match wins, so a row may count on those above it.
_RULES: Final[tuple[_Rule, ...]] = (
    _click_id("gclid"),  # 1
    _click_id("msclkid"),  # 2
    _click_id("ttclid"),  # 3
    _click_id("li_fat_id"),  # 4
    _Rule("fb_ad_redirect", lambda v: v.fbclid and v.through_facebook, "facebook", "paid", "high"),  # 5
    _Rule("fbclid_utm", lambda v: v.fbclid and v.family, lambda v: v.family, "paid", "high"),  # 6
    _paid_family("facebook"),  # 7
    _paid_family("instagram"),  # 8
    _Rule("paid_utm", lambda v: v.paid and v.utm_source, _utm_source, "paid", "high"),  # 9
    _Rule("paid_utm_no_source", lambda v: v.paid, "unknown", "paid", "medium"),  # 10
    _Rule("fbclid", lambda v: v.fbclid and not v.utm_source, "facebook", "paid", "medium"),  # 11
    _Rule("utm", lambda v: v.utm_source, _utm_source, _utm_medium, "high"),  # 12
    _Rule("ref_facebook", lambda v: v.site == "facebook", "facebook", "social", "medium"),  # 13
    _Rule("ref_instagram", lambda v: v.site == "instagram", "instagram", "social", "medium"),  # 14
    _Rule("ref_social", lambda v: v.kind == "social", lambda v: v.site, "social", "medium"),  # 15
    _Rule("ref_search", lambda v: v.kind == "search", lambda v: v.site, "organic", "medium"),  # 16
    _Rule("ref_email", lambda v: v.kind == "email", "email", "email", "medium"),  # 17
    _Rule("internal", lambda v: v.referrer_host and _same_site(v), "internal", "direct", "high"),  # 18
    # Ours: clicks and assistants upstream does not know. They may only refine rule 20.
    _click_id("gbraid"),  # Google Ads, from the web to an app
    _click_id("wbraid"),  # Google Ads, from an app to the web
    _click_id("dclid"),  # Google, display
    _click_id("twclid"),
    _click_id("rdt_cid"),
    _click_id("sccid"),
    _click_id("epik"),
    _Rule("ref_ai", lambda v: v.kind == "ai", lambda v: v.site, "ai", "medium"),
    _Rule("direct", lambda v: not v.referrer_host, "direct", "direct", "high"),  # 19
    _Rule("referral", lambda _: True, lambda v: _without_www(v.referrer_host), "referral", "low"),  # 20
)

RULE_IDS: Final = tuple(rule.rule_id for rule in _RULES)

SOURCES_DEFINITION: Final = (
    "Each event counts under the source of its own url and referrer: internal came from a page of the same site, direct "
    "from nowhere that is known. uniques: distinct anonymous_id, of rows they do not add up. paid_share: events of medium "
    "paid / events, 0 to 1."
)


# --- reading addresses ----------------------------------------------------------------------------


def _visit(url: str, referrer: str) -> _Visit:
    parameters = _parameters(url)
    referrer_host = _host(referrer)
    known = _known_site(referrer_host)
    utm_source, utm_medium = parameters.get("utm_source", ""), parameters.get("utm_medium", "")
    return _Visit(
        parameters=frozenset(parameters),
        fbclid="fbclid" in parameters,
        utm_source=utm_source,
        utm_medium=utm_medium,
        utm_campaign=parameters.get("utm_campaign", ""),
        family=UTM_SOURCE_FAMILIES.get(utm_source, ""),
        paid=utm_medium in PAID_MEDIUMS,
        host=_host(url),
        referrer_host=referrer_host,
        through_facebook=referrer_host in FACEBOOK_REDIRECT_HOSTS,
        kind=known.kind if known else None,
        site=known.name if known else "",
    )


def _parameters(url: str) -> dict[str, str]:
    query = url[:_MAX_ADDRESS_CHARS].partition("#")[0].partition("?")[2]
    found: dict[str, str] = {}
    for name, raw in parse_qsl(query):
        key = name.lower()
        if key in _READ_PARAMETERS and key not in found and (value := _clean(raw)):
            found[key] = value
    return found


def _clean(value: str) -> str:
    """Lower-cased, trimmed, cut; white space becomes a blank and what cannot be seen is dropped."""
    # "Not printable" is exactly Cc, Cf, Co, Cs, Cn and every separator but the blank. A stranger writes these
    # values and an agent reads them: nothing may hide in them.
    visible = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in value)
    return visible.lower().strip()[:MAX_VALUE_CHARS].rstrip()


def _host(address: str) -> str:
    try:
        parts = urlsplit(address[:_MAX_ADDRESS_CHARS].strip())
    except ValueError:  # unbalanced brackets, a bad IPv6 address, characters that turn into `/` or `@`
        return ""
    if "[" in parts.netloc:  # Python 3.11 and 3.14 disagree on what may surround an IPv6 address
        return ""
    host = (parts.hostname or "").rstrip(".")
    return host if len(host) <= _MAX_HOST_CHARS and all(map(_may_be_in_host, host)) else ""


def _may_be_in_host(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _HOST_PUNCTUATION
    return character.isprintable()


def _same_site(visit: _Visit) -> bool:
    return _without_www(visit.referrer_host) == _without_www(visit.host)


def _without_www(host: str) -> str:
    rest = host.removeprefix("www.")
    return rest if "." in rest else host  # www.com is a name of its own


def _known_site(host: str) -> KnownSite | None:
    while host:
        if site := KNOWN_SITES.get(host):
            return site
        host = host.partition(".")[2]
    return None
