"""The roll-ups at a glance: which table keeps what, and how far its uniques reach.

question                                                   table          tier
totals, series by day and longer, one column, sources      daily          1
one column and sources over eight whole days and more      eight_days     1
counts by path                                             path_counts    1
any combination of the columns but event name and path     visitor_days   2
the newest events, while 128 suffice                       latest_events  3
hours, event lists, funnels, properties, everything else   events         3
"""

from __future__ import annotations

from typing import Final

from storage.dictionary import KINDS

#: t0 … t91: uniques of any whole days that lie within so many of each other are one sum.
TAILS: Final = 92
#: `eight_days` holds so many days in a row, and t0 … t84: what reaches 92 days from the first of eight.
OCTET_DAYS: Final = 8
OCTET_TAILS: Final = TAILS - OCTET_DAYS + 1
#: The gap of a visitor who was not seen before; longer than any tail.
FOREVER: Final = 999

TOTAL_KIND: Final = 0
NAME_KIND: Final = KINDS["event_name"]
SOURCE_MEDIUM_KIND: Final = 20

#: The kinds of `daily`, and the columns whose values `a` and `b` are. Stored numbers: never renumber, only add.
KIND_COLUMNS: Final[dict[int, tuple[str, ...]]] = {
    TOTAL_KIND: (),
    NAME_KIND: ("name",),
    KINDS["source"]: ("source",),
    KINDS["medium"]: ("medium",),
    KINDS["campaign"]: ("campaign",),
    KINDS["country"]: ("country",),
    KINDS["device_type"]: ("device_type",),
    KINDS["browser"]: ("browser",),
    KINDS["os"]: ("os",),
    SOURCE_MEDIUM_KIND: ("source", "medium"),
}
#: All of them, as SQL lists them.
ALL_KINDS: Final = ", ".join(map(str, KIND_COLUMNS))
