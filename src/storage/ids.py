"""Ids that clients choose, as events keep them: a 63-bit key that every table uses, and what brings the text back.

A version-4 UUID in lower case, which is what browsers and this service make, has 122 bits that tell anything: the key takes
63 of them and the other 59 are kept beside it as one integer. Of any other text the key is a hash, and the text is kept.
"""

from __future__ import annotations

import re
from typing import Final

from storage.dictionary import hash63

_UUID4: Final = re.compile("([0-9a-f]{8})-([0-9a-f]{4})-4([0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})")
_BITS_62: Final = 2**62 - 1

#: The kept bits, spread over the key so that ids alike in their other bits do not share one: the halves times two primes.
#: Below 2^63, and different for different bits: the primes exceed the halves.
_HALF: Final = 30
_HALF_MASK: Final = 2**_HALF - 1
_PRIMES: Final = (2_654_435_761, 3_266_489_917)


def split(text: str) -> tuple[int, int | str]:
    """The key of an id, and what has to be kept beside it."""
    match = _UUID4.fullmatch(text)
    if match is None:
        return hash63(text), text
    high = int(match[1] + match[2] + match[3], 16)
    low = int(match[4] + match[5], 16) & _BITS_62
    kept = high >> 1
    return (low << 1 | high & 1) ^ _spread(kept), kept


def key_of(text: str) -> int:
    """The key of an id; as a number it does not survive the way to D1 (workers-platform.md §2.3)."""
    return split(text)[0]


def _spread(kept: int) -> int:
    return (kept >> _HALF) * _PRIMES[0] + (kept & _HALF_MASK) * _PRIMES[1]


def text_of(key: str, kept: str) -> str:
    """SQL: the text of an id, from two columns. NULL stays NULL."""
    spread = f"({kept} >> {_HALF}) * {_PRIMES[0]} + ({kept} & {_HALF_MASK}) * {_PRIMES[1]}"
    return f"""CASE typeof({kept}) WHEN 'integer' THEN (
         SELECT printf('%08x-%04x-4%03x-%04x-%012x', {kept} >> 27, ({kept} >> 11) & 65535,
                       (({kept} << 1) | (low & 1)) & 4095, 32768 | (low >> 49), (low >> 1) & {2**48 - 1})
           FROM (SELECT ({key} | spread) - ({key} & spread) AS low FROM (SELECT {spread} AS spread)))
       ELSE {kept} END"""
