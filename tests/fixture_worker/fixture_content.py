"""The smallest contents the suite recognizes, and results that are given as they stand."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

#: One red pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
#: A sound of no samples.
WAV = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\0\0\0"
).decode()


@dataclass(frozen=True)
class Exactly:
    """A result as it stands."""

    value: dict[str, Any]

    def result(self) -> dict[str, Any]:
        return self.value


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def image() -> dict[str, Any]:
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def embedded(uri: str, value: str, mime_type: str = "text/plain") -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": value}}


def content(*blocks: dict[str, Any], is_error: bool = False) -> Exactly:
    return Exactly({"content": list(blocks)} | ({"isError": True} if is_error else {}))
