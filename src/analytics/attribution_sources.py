"""What attribution knows by name: click ids, `utm_source` families, hosts. Data; no rules.

To add a site, add its registrable domain to one row below: sub-domains follow by themselves. A sub-domain in
a row of its own leaves its parent (`mail.google.com` is web mail, `google.com` a search engine): the longest
listed name wins. `com.google.android.gm` is an Android package, sent as `android-app://com.google.android.gm/`.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["social", "search", "email", "ai"]


class KnownSite(NamedTuple):
    """What one host belongs to: `name` is the `source` that is stored."""

    kind: Kind
    name: str


# Contract §5, rules 1–4, then ours. In lower case, as parameter names are compared.
CLICK_ID_SOURCES: Final[Mapping[str, str]] = {
    "gclid": "google",
    "msclkid": "bing",
    "ttclid": "tiktok",
    "li_fat_id": "linkedin",
    "gbraid": "google",
    "wbraid": "google",
    "dclid": "google",
    "twclid": "twitter",
    "rdt_cid": "reddit",
    "sccid": "snapchat",
    "epik": "pinterest",
}

# Contract §5: the values of `utm_medium` that mean somebody paid for the click.
PAID_MEDIUMS: Final = frozenset(("cpc", "ppc", "paid", "paid_social", "paidsocial", "cpm", "display"))

# Contract §5, rule 5: where Facebook sends a click on an advertisement through.
FACEBOOK_REDIRECT_HOSTS: Final = frozenset(("l.facebook.com", "lm.facebook.com"))

# Contract §5, rules 6–8: spellings of two advertisers. Meta is Facebook unless it says Instagram.
UTM_SOURCE_FAMILIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "facebook", "facebook.com", "www.facebook.com", "m.facebook.com", "l.facebook.com",
            "lm.facebook.com", "facebook_ads", "facebook-ads", "facebook ads", "facebookads", "facebook_ad",
            "facebook-ad", "fb", "fb.com", "fb_ads", "fb-ads", "fb ads", "fbads", "fb_ad", "fb-ad",
            "meta", "meta.com", "meta_ads", "meta-ads", "meta ads", "metaads", "meta_ad", "meta-ad",
        ),
        "facebook",
    ),
    **dict.fromkeys(
        (
            "instagram", "instagram.com", "www.instagram.com", "l.instagram.com",
            "instagram_ads", "instagram-ads", "instagram ads", "instagramads", "instagram_ad",
            "instagram-ad", "ig", "ig_ads", "ig-ads", "ig ads", "igads", "ig_ad", "ig-ad", "insta",
        ),
        "instagram",
    ),
}  # fmt: skip

_GOOGLE_DOMAINS: Final = """
    com ad ae al am as at az ba be bf bg bi bj bs bt by ca cat cd cf cg ch ci cl cm cn cv cz de dj dk dm
    dz ee es fi fm fr ga ge gg gl gm gr gy hn hr ht hu ie im iq is it je jo kg ki kz la li lk lt lu lv md
    me mg mk ml mn mu mv mw ne nl no nr nu pl pn ps pt ro rs ru rw sc se sh si sk sm sn so sr st td tg tl
    tm tn to tt vu ws co.ao co.bw co.ck co.cr co.id co.il co.in co.jp co.ke co.kr co.ls co.ma co.mz co.nz
    co.th co.tz co.ug co.uk co.uz co.ve co.vi co.za co.zm co.zw com.af com.ag com.ar com.au com.bd com.bh
    com.bn com.bo com.br com.bz com.cn com.co com.cu com.cy com.do com.ec com.eg com.et com.fj com.gh
    com.gi com.gt com.hk com.jm com.kh com.kw com.lb com.ly com.mm com.mt com.mx com.my com.na com.ng
    com.ni com.np com.om com.pa com.pe com.pg com.ph com.pk com.pr com.py com.qa com.sa com.sb com.sg
    com.sl com.sv com.tj com.tr com.tw com.ua com.uy com.vc com.vn
"""
_YAHOO_DOMAINS: Final = (
    "com ca co.id co.in co.jp co.uk com.ar com.au com.br com.hk com.mx com.sg com.tw de es fr ie it"
)
_YANDEX_DOMAINS: Final = "ru com az by co.il com.am com.ge com.tr com.ua ee eu fr kz lt lv md tj tm ua uz"
_PINTEREST_DOMAINS: Final = """
    com at be ca ch cl co.kr co.nz co.uk com.au com.bo com.mx com.pe com.uy de dk es fr ie in info it jp
    nl nz ph pt ru se uk
"""


def _under(name: str, domains: str) -> str:
    return " ".join(f"{name}.{domain}" for domain in domains.split())


# Rules 13–15. `facebook` and `instagram` have rules of their own; every other name is rule 15's `<network>`.
_SOCIAL: Final[Mapping[str, str]] = {
    "facebook": "facebook.com fb.com fb.me fb.watch m.me messenger.com com.facebook.katana com.facebook.lite",
    "instagram": "instagram.com instagr.am ig.me com.instagram.android",
    "twitter": "twitter.com x.com t.co com.twitter.android",
    "linkedin": "linkedin.com lnkd.in com.linkedin.android",
    "reddit": "reddit.com redd.it com.reddit.frontpage",
    "pinterest": _under("pinterest", _PINTEREST_DOMAINS) + " pin.it com.pinterest",
    "tiktok": "tiktok.com com.zhiliaoapp.musically",
    "youtube": "youtube.com youtu.be com.google.android.youtube",
    "snapchat": "snapchat.com com.snapchat.android",
    "threads": "threads.net threads.com",
    "bluesky": "bsky.app",
    "mastodon": "mastodon.social mastodon.online mastodon.world mstdn.social fosstodon.org hachyderm.io",
    "whatsapp": "whatsapp.com wa.me com.whatsapp",
    "telegram": "telegram.org telegram.me t.me org.telegram.messenger",
    "discord": "discord.com discordapp.com discord.gg com.discord",
    "hackernews": "news.ycombinator.com",
    "quora": "quora.com",
    "tumblr": "tumblr.com",
    "twitch": "twitch.tv",
    "nextdoor": "nextdoor.com nextdoor.co.uk",
    "meetup": "meetup.com",
    "flickr": "flickr.com",
    "lemmy": "lemmy.world lemmy.ml",
    "farcaster": "farcaster.xyz warpcast.com",
    "truthsocial": "truthsocial.com",
    "gab": "gab.com",
    "googleplus": "plus.google.com",
    "xing": "xing.com",
    "vk": "vk.com vk.ru vk.cc vkontakte.ru com.vkontakte.android",
    "odnoklassniki": "ok.ru odnoklassniki.ru",
    "dzen": "dzen.ru zen.yandex.ru zen.yandex.com",
    "moimir": "my.mail.ru",
    "livejournal": "livejournal.com",
    "weibo": "weibo.com weibo.cn t.cn",
    "wechat": "weixin.qq.com wechat.com",
    "qzone": "qzone.qq.com",
    "xiaohongshu": "xiaohongshu.com xhslink.com",
    "douyin": "douyin.com",
    "zhihu": "zhihu.com",
    "douban": "douban.com",
    "line": "line.me",
    "kakaotalk": "story.kakao.com talk.kakao.com",
    "band": "band.us",
    "hatena": "b.hatena.ne.jp",
    "mixi": "mixi.jp",
}

# Rule 16.
_SEARCH: Final[Mapping[str, str]] = {
    "google": _under("google", _GOOGLE_DOMAINS) + " com.google.android.googlequicksearchbox",
    "bing": "bing.com",
    "yahoo": _under("yahoo", _YAHOO_DOMAINS),
    "duckduckgo": "duckduckgo.com com.duckduckgo.mobile.android",
    "yandex": _under("yandex", _YANDEX_DOMAINS) + " ya.ru",
    "baidu": "baidu.com",
    "ecosia": "ecosia.org",
    "brave": "search.brave.com",
    "qwant": "qwant.com",
    "startpage": "startpage.com",
    "kagi": "kagi.com",
    "mojeek": "mojeek.com mojeek.co.uk",
    "swisscows": "swisscows.com swisscows.ch",
    "metager": "metager.org metager.de",
    "presearch": "presearch.com presearch.org",
    "yep": "yep.com",
    "lilo": "lilo.org",
    "aol": "search.aol.com search.aol.co.uk",
    "ask": "ask.com",
    "lycos": "lycos.com",
    "dogpile": "dogpile.com",
    "naver": "naver.com",
    "daum": "daum.net",
    "nate": "search.nate.com",
    "sogou": "sogou.com",
    "360": "so.com",
    "shenma": "sm.cn",
    "toutiao": "so.toutiao.com",
    "petal": "petalsearch.com",
    "seznam": "seznam.cz",
    "mailru": "go.mail.ru",
    "rambler": "rambler.ru",
    "coccoc": "coccoc.com",
    "goo": "search.goo.ne.jp",
}

# Rule 17; the stored source is always `email`.
_EMAIL_HOSTS: Final = f"""
    mail.google.com inbox.google.com com.google.android.gm
    outlook.com outlook.live.com mail.live.com hotmail.com outlook.office.com outlook.office365.com
    outlook.cloud.microsoft com.microsoft.office.outlook
    {_under("mail.yahoo", _YAHOO_DOMAINS)} com.yahoo.mobile.client.android.mail
    {_under("mail.yandex", _YANDEX_DOMAINS)} mail.ya.ru
    mail.proton.me mail.protonmail.com icloud.com mail.aol.com mail.zoho.com mail.zoho.eu mail.zoho.in
    fastmail.com app.hey.com app.tuta.com mail.tutanota.com mail.com gmx.net gmx.com gmx.de gmx.at gmx.ch
    gmx.co.uk web.de deref-gmx.net deref-gmx.com deref-mail.com deref-web.de deref-web-02.de
    email.t-online.de e.mail.ru mail.rambler.ru email.seznam.cz poczta.onet.pl poczta.wp.pl poczta.o2.pl
    poczta.interia.pl mail.libero.it mail.orange.fr messagerie.orange.fr webmail.laposte.net
    webmail.free.fr mail.uol.com.br email.bol.uol.com.br connect.xfinity.com mail.naver.com mail.daum.net
    mail.qq.com mail.163.com mail.126.com mail.sina.com.cn mail.rediff.com superhuman.com
    mail.superhuman.com
"""

# The rule of ours that upstream lacks: `ref_ai`.
_AI: Final[Mapping[str, str]] = {
    "chatgpt": "chatgpt.com chat.openai.com com.openai.chatgpt",
    "claude": "claude.ai com.anthropic.claude",
    "perplexity": "perplexity.ai ai.perplexity.app.android",
    "gemini": "gemini.google.com bard.google.com com.google.android.apps.bard",
    "notebooklm": "notebooklm.google.com",
    "copilot": "copilot.microsoft.com copilot.cloud.microsoft copilot.com com.microsoft.copilot",
    "deepseek": "deepseek.com",
    "grok": "grok.com",
    "metaai": "meta.ai",
    "mistral": "chat.mistral.ai",
    "duckai": "duck.ai",
    "you": "you.com",
    "poe": "poe.com",
    "phind": "phind.com",
    "pi": "pi.ai",
    "characterai": "character.ai",
    "lumo": "lumo.proton.me",
    "kimi": "kimi.com kimi.ai kimi.moonshot.cn",
    "qwen": "qwen.ai tongyi.com tongyi.aliyun.com",
    "doubao": "doubao.com",
    "ernie": "yiyan.baidu.com",
    "alice": "alice.yandex.ru",
}


def _sites(kind: Kind, names: Mapping[str, str]) -> dict[str, KnownSite]:
    return {host: KnownSite(kind, name) for name, hosts in names.items() for host in hosts.split()}


KNOWN_SITES: Final[Mapping[str, KnownSite]] = {
    **_sites("social", _SOCIAL),
    **_sites("search", _SEARCH),
    **_sites("email", {"email": _EMAIL_HOSTS}),
    **_sites("ai", _AI),
}
