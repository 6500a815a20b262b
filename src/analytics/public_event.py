"""What an event may look like that came with a browser key, which is public: anybody may have written it. Pure.

An agent reads event names first, so those are kept free of markup; what is wrong is refused and named. Long texts in
properties are cut, visibly. A secret key may send all that contract.md allows, whose length of a name holds here, too:
clients depend on it. Source: security.md, toxic flow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from analytics.event import TrackedEvent

MAX_PROPERTIES: Final = 50
MAX_LEVELS: Final = 3
MAX_TEXT: Final = 512
CUT: Final = "…"

#: Letters and digits of any script, spaces, everyday punctuation: no brackets but round ones, no quotes, backslashes, bars.
_NAME: Final = re.compile(r"[\w .,:;!?$%&@#*+/()'=-]+")
_NAME_SAID: Final = (
    "from a browser key only letters, digits, spaces and . , : ; ! ? $ % & @ # * + / ( ) ' = - _"
)


def problems_of_public(event: TrackedEvent, place: str = "") -> Iterator[dict[str, Any]]:
    """What a browser key may not send of an event, as `field` and `reason`; `place` goes before the field's name."""
    if not _shaped(event.event):
        yield {"field": f"{place}event", "reason": _NAME_SAID}
    yield from problems_of_public_properties(event.properties, f"{place}properties")


def problems_of_public_properties(properties: Mapping[str, Any], field: str) -> Iterator[dict[str, Any]]:
    if len(properties) > MAX_PROPERTIES:
        yield {"field": field, "reason": f"from a browser key at most {MAX_PROPERTIES} properties"}
    if _levels(properties) > MAX_LEVELS:
        yield {"field": field, "reason": f"from a browser key at most {MAX_LEVELS} levels"}


def public(event: TrackedEvent) -> TrackedEvent:
    """The event as it is kept: of longer texts in its properties the beginning."""
    return event.model_copy(update={"properties": shortened(event.properties)})


def shortened(value: Any) -> Any:
    """A JSON value whose texts, names included, have at most MAX_TEXT characters; nested at most MAX_LEVELS deep."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + CUT
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, dict):
        return {shortened(name): shortened(member) for name, member in value.items()}
    return value


def _shaped(name: str) -> bool:
    """Whether only such characters stand in a name, combining marks aside: many scripts need them within words."""
    return _NAME.fullmatch("".join(one for one in name if not _is_mark(one))) is not None


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc")


def _levels(value: Any) -> int:
    """How many objects and arrays stand within each other. Nesting is bounded by analytics.intake."""
    if isinstance(value, dict):
        return 1 + max(map(_levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_levels, value), default=0)
    return 0
