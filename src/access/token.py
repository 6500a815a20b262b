"""The text of a key: its shape, its checksum, its keyed digest. No I/O; randomness is handed in."""

from __future__ import annotations

import hmac
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

Kind = Literal["pk", "sk", "rk", "ak"]
Env = Literal["live", "test"]

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6

#: `{kind}_{env}_{prefix}_{secret}{check}`. Source: contract.md §1, security.md §3.1.
_TOKEN: Final = re.compile(
    rf"(pk|sk|rk|ak)_(live|test)_([0-9a-f]{{8}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})",
    re.ASCII,
)
#: The contract's own shape, wider than what we mint: enough to tell a key's kind, and a wrong key from no key.
_SHAPE: Final = re.compile(r"(pk|sk|rk|ak)_(live|test)_[0-9a-f]{8}_[0-9A-Za-z_-]{1,200}", re.ASCII)
#: A key in the middle of any text, whatever stands around it.
_SECRET: Final = re.compile(r"((?:pk|sk|rk|ak)_(?:live|test)_[0-9a-f]{8})_[0-9A-Za-z_-]{20,}", re.ASCII)

_DOMAIN: Final = b"mm-key-v1\0"


@dataclass(frozen=True, slots=True)
class Token:
    """A key as its holder sends it. `text` is secret; `prefix` is safe to show and to log."""

    text: str
    kind: Kind
    env: Env
    prefix: str

    def __repr__(self) -> str:
        return f"Token({self.kind}_{self.env}_{self.prefix}_[REDACTED])"


def parse_token(text: str) -> Token | None:
    """The token that `text` is, or None when its shape or its checksum is wrong."""
    match = _TOKEN.fullmatch(text)
    if match is None or _checksum(text[:-_CHECK_LENGTH]) != match[5]:
        return None
    return Token(text, cast(Kind, match[1]), cast(Env, match[2]), match[3])


def kind_of(text: str) -> Kind | None:
    """The kind a key's text claims, whether or not there is such a key; None when it has not the shape of a key."""
    match = _SHAPE.fullmatch(text)
    return cast(Kind, match[1]) if match else None


def mint_token(kind: Kind, env: Env, choose: Callable[[str], str]) -> Token:
    """A new token; `choose` draws one character of a text, e.g. `secrets.choice`."""
    prefix = "".join(choose("0123456789abcdef") for _ in range(8))
    secret = "".join(choose(_BASE62) for _ in range(_SECRET_LENGTH))
    body = f"{kind}_{env}_{prefix}_{secret}"
    return Token(body + _checksum(body), kind, env, prefix)


def digest(token: Token, pepper: bytes) -> bytes:
    """What is kept of a token: HMAC-SHA-256 under a pepper that no store holds. Source: security.md §3.2."""
    return hmac.digest(pepper, _DOMAIN + token.text.encode(), "sha256")


def redacted(text: str) -> str:
    """A text for the log: of every key in it, only what is safe to show. Source: security.md, T-LOG-1."""
    return _SECRET.sub(r"\1_[REDACTED]", text)


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    while number:
        number, place = divmod(number, 62)
        text = _BASE62[place] + text
    return text.rjust(_CHECK_LENGTH, "0")
