"""The URL and the referrer of an event, as they are kept: without what the event's row says already.

A URL is its site (scheme and host, a text of the dictionary), its path (another) and its tail. What repeats in the tails
and referrers of all the web is one character, of those that no text of a client contains (analytics/text.py).
"""

from __future__ import annotations

from typing import Final

#: In place of a path that does not continue the site: the rest of the URL follows as it is.
_WHOLE: Final = "\x1f"
#: In place of the event's own site, at the beginning of a referrer.
_OWN_SITE: Final = "\x1f"

#: Pieces of tails. Stored numbers: never renumber, only add. Below 31, and none of the white space.
_PIECES: Final[dict[int, str]] = {
    1: "utm_source=",
    2: "&utm_medium=",
    3: "&utm_campaign=",
    4: "&utm_content=",
    5: "&utm_term=",
    6: "gclid=",
    7: "fbclid=",
    8: "msclkid=",
}

#: How referrers begin. Stored numbers: never renumber, only add. A longer one comes before what it begins with.
_BEGINNINGS: Final[dict[int, str]] = {
    1: "https://www.google.com/",
    2: "https://www.bing.com/",
    3: "https://duckduckgo.com/",
    4: "https://search.yahoo.com/",
    5: "https://www.facebook.com/",
    6: "https://l.facebook.com/",
    7: "https://lm.facebook.com/",
    8: "https://www.instagram.com/",
    14: "https://l.instagram.com/",
    15: "https://www.linkedin.com/",
    16: "https://www.youtube.com/",
    17: "https://www.reddit.com/",
    18: "https://t.co/",
    19: "https://news.ycombinator.com/",
    20: "https://github.com/",
    21: "https://www.",
    22: "https://",
    23: "http://",
}


def split_url(url: str | None, path: str | None) -> tuple[str | None, str | None]:
    """The site and the tail of a URL whose event has this path."""
    if url is None:
        return None, None
    begin = url.find("://") + 3
    ends = [place for place in (url.find(mark, begin) for mark in "/?#") if place >= 0] if begin > 2 else [0]
    end = min(ends, default=len(url))
    rest = url[end:]
    tail = rest.removeprefix(path) if path is not None and rest.startswith(path) else _WHOLE + rest
    for code, piece in _PIECES.items():
        tail = tail.replace(piece, chr(code))
    return url[:end], tail


def shorten(referrer: str | None, site: str | None) -> str | None:
    """A referrer of an event that was seen on this site."""
    if referrer is None:
        return None
    if site and referrer.startswith(site):
        return _OWN_SITE + referrer[len(site) :]
    for code, beginning in _BEGINNINGS.items():
        if referrer.startswith(beginning):
            return chr(code) + referrer[len(beginning) :]
    return referrer


def url_of(event: str, site: str, path: str) -> str:
    """SQL: the URL of the event of this alias, from the texts of its site and its path. NULL where it has none."""
    tail = f"{event}.tail"
    for code, piece in _PIECES.items():
        tail = f"replace({tail}, char({code}), '{piece}')"
    return f"""{site} || CASE WHEN unicode({event}.tail) = {ord(_WHOLE)} THEN substr({tail}, 2)
                ELSE {path} || {tail} END"""


def referrer_of(event: str) -> str:
    """SQL: the referrer of the event of this alias. NULL where it has none."""
    arms = " ".join(f"WHEN {code} THEN '{beginning}'" for code, beginning in _BEGINNINGS.items())
    site = f"(SELECT value FROM dictionary WHERE id = {event}.site)"
    return f"""CASE WHEN unicode({event}.referrer) < 32
            THEN CASE unicode({event}.referrer) {arms} ELSE {site} END || substr({event}.referrer, 2)
            ELSE {event}.referrer END"""
