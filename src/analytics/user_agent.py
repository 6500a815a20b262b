"""The device, browser and system a user-agent string claims: contract §4's closed sets, by substring; no I/O.

A table and not a parser package: 3 device types, 5 browsers and 5 systems do not need the thousands of
expressions of the public ones, and substring search is linear in what a stranger sends.

A row fires when all its words occur; the first row wins. Case counts ("Microsoft" holds "cros"). Choices:
- A browser is an engine with a name: Samsung Internet, Yandex, Vivaldi, Brave, in-app browsers on Android are
  `chrome`, in-app browsers on an iPhone or iPad `safari`. Only Edge and Opera have names of their own.
- Safari exists on Apple's systems and, until 2012, on Windows. Other WebKit browsers (old Android, Tizen,
  BlackBerry, Kindle, PlayStation) say "Safari/" too and are "". So are Internet Explorer, tools, programs.
- ChromeOS, Tizen and webOS televisions are `linux`. Windows Phone is `windows`; watchOS and tvOS are `ios`.
- An iPad that asks for desktop pages says it is a Mac, an Android tablet that it is Linux: both are believed.
- Televisions, consoles, programs and the empty string are `desktop`: the contract has only three types.
- Crawlers are not recognised: they are what they claim to be.
"""

from dataclasses import dataclass
from typing import Final, Literal

DeviceType = Literal["mobile", "tablet", "desktop"]
Browser = Literal["chrome", "firefox", "safari", "edge", "opera", ""]
Os = Literal["windows", "macos", "android", "ios", "linux", ""]

_MAX_READ_CHARS: Final = 1024  # real ones stay below 600; a header may be far longer


@dataclass(frozen=True, slots=True)
class Device:
    """What is stored instead of the user-agent string, in the words of contract §4."""

    device_type: DeviceType
    browser: Browser
    os: Os


_DEVICE_TYPES: Final[tuple[tuple[tuple[str, ...], DeviceType], ...]] = (
    # Televisions and consoles that speak like a tablet or a phone; the others are desktop anyway.
    (("Smart TV",), "desktop"),
    (("Android TV",), "desktop"),
    (("BRAVIA",), "desktop"),
    (("; AFT",), "desktop"),  # Amazon's Fire TV models: AFTS, AFTMM, AFTKA…
    (("; MIBOX",), "desktop"),
    (("; MiTV",), "desktop"),
    (("Chromecast",), "desktop"),
    (("Xbox",), "desktop"),
    (("PlayStation",), "desktop"),
    (("Nintendo",), "desktop"),
    (("Tablet PC",), "desktop"),  # Internet Explorer on any Windows that takes a pen
    (("iPad",), "tablet"),
    (("Tablet",), "tablet"),
    (("Kindle/",), "tablet"),
    (("Silk/",), "tablet"),  # Fire tablets say Mobile when they ask for phone pages
    (("Mobi",), "mobile"),  # Mobile, IEMobile, Opera Mobi: also Windows Phone, BlackBerry, Firefox OS
    (("iPhone",), "mobile"),
    (("Opera Mini",), "mobile"),
    (("MIDP",), "mobile"),  # phones before smartphones
    (("Android", "AppleWebKit"), "tablet"),  # the documented sign of an Android tablet: no Mobile
    (("Android",), "mobile"),  # not a browser: an app's own requests, which say neither
)

_BROWSERS: Final[tuple[tuple[tuple[str, ...], Browser], ...]] = (
    # Those that also name the browser they descend from come before it.
    (("Edg/",), "edge"),
    (("EdgA/",), "edge"),
    (("EdgiOS/",), "edge"),
    (("Edge/",), "edge"),
    (("OPR/",), "opera"),
    (("OPiOS/",), "opera"),
    (("OPT/",), "opera"),
    (("OPX/",), "opera"),
    (("Opera",), "opera"),  # Opera/9.80, Opera Mini, "… Opera 9.50"
    (("Firefox/",), "firefox"),
    (("FxiOS/",), "firefox"),
    (("like Mac OS X", "Focus/"), "firefox"),
    (("CriOS/",), "chrome"),
    (("Chrome/",), "chrome"),  # also HeadlessChrome/
    (("like Mac OS X", "AppleWebKit"), "safari"),  # iPhone, iPad, iPod; in apps without "Safari/"
    (("Macintosh", "Safari/"), "safari"),
    (("Windows NT", "Version/", "Safari/"), "safari"),
)

_SYSTEMS: Final[tuple[tuple[tuple[str, ...], Os], ...]] = (
    (("Nintendo",), ""),  # "New Nintendo 3DS like iPhone"
    (("Windows",), "windows"),  # before Android and iPhone, which Windows Phone claims to be
    (("Android",), "android"),  # before Linux, which it is
    (("iPhone",), "ios"),
    (("iPad",), "ios"),
    (("like Mac OS X",), "ios"),  # iPod, Apple TV; the two above also without it
    (("Macintosh",), "macos"),
    (("CrOS",), "linux"),
    (("Linux",), "linux"),
    (("LINUX",), "linux"),  # Samsung televisions
)


def parse_user_agent(ua: str | None) -> Device:
    """Read a user-agent string as what it claims to be.

    Shape: any text is answered; what no row names is ("desktop", "", "").
    """
    read = (ua or "")[:_MAX_READ_CHARS]
    return Device(
        next((value for words, value in _DEVICE_TYPES if _all_in(words, read)), "desktop"),
        next((value for words, value in _BROWSERS if _all_in(words, read)), ""),
        next((value for words, value in _SYSTEMS if _all_in(words, read)), ""),
    )


def _all_in(words: tuple[str, ...], text: str) -> bool:
    return all(word in text for word in words)
