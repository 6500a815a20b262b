"""Writes src/analytics/zone_table.py from a tz database: `python dev/zones.py <folder of compiled zones>`.

The folder is the `zoneinfo` of PyPI's `tzdata` or a system's own; the table keeps the years 2020 to 2037, which is what
a question about stored events can reach.
"""

from __future__ import annotations

import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

FIRST: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
LAST: Final = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
QUARTER: Final = 900
TABLE: Final = Path(__file__).resolve().parent.parent / "src" / "analytics" / "zone_table.py"
HEAD: Final = '''"""Offsets of every IANA time zone, 2020 to 2037. Written by dev/zones.py from tzdata {version}.

Workers have no tz database, and the `tzdata` package is twenty times this size.
"""

from __future__ import annotations

from typing import Final

#: For each shape: the offset on 2020-01-01 UTC, then the minute of each change and the offset from then on.
#: Units: minutes since the epoch, after the first as distances from the one before; offsets in quarters of an hour.
SHAPES: Final[tuple[str, ...]] = (
'''


def changes(zone: ZoneInfo) -> str:
    """A zone's shape: walks the days and notes where the offset is another than before."""
    at, parts = FIRST // 60, [str(offset(zone, FIRST // 60))]
    known, noted = offset(zone, at), 0
    while at < LAST // 60:
        at += 24 * 60
        if offset(zone, at) == known:
            continue
        at = next(minute for minute in range(at - 24 * 60 + 1, at + 1) if offset(zone, minute) != known)
        known = offset(zone, at)
        parts.append(f"{at - noted}:{known}")
        noted = at
    return " ".join(parts)


def offset(zone: ZoneInfo, minute: int) -> int:
    seconds = datetime.fromtimestamp(minute * 60, zone).utcoffset().total_seconds()  # type: ignore[union-attr]
    if seconds % QUARTER:
        raise SystemExit(f"{zone.key} is off by {seconds} s: the table cannot hold it")
    return int(seconds // QUARTER)


def check_minutes(path: Path) -> None:
    """Every change from 2020 on must fall on a whole minute, as the table takes for granted."""
    data = path.read_bytes()
    counts = struct.unpack(">6l", data[20:44])
    start = 44 + counts[3] * 5 + counts[4] * 6 + counts[5] + counts[2] * 8 + counts[1] + counts[0]
    (times,) = struct.unpack(">l", data[start + 32 : start + 36])
    instants = struct.unpack(f">{times}q", data[start + 44 : start + 44 + 8 * times])
    odd = [instant for instant in instants if FIRST <= instant < LAST and instant % 60]
    if odd:
        raise SystemExit(f"{path.name} changes off the minute: {odd[:3]}")


def main() -> None:
    folder = Path(sys.argv[1])
    names = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.read_bytes()[:4] == b"TZif"
    }
    names -= {name for name in names if name.startswith(("posix/", "right/"))} | {"localtime", "Factory"}
    shapes: dict[str, list[str]] = {}
    for name in sorted(names):
        check_minutes(folder / name)
        with (folder / name).open("rb") as file:
            shapes.setdefault(changes(ZoneInfo.from_file(file, key=name)), []).append(name)
    version = (folder / "tzdata.zi").open().readline().split()[-1]
    lines = [HEAD.format(version=version)]
    lines += [f"    {shape!r},\n".replace("'", '"') for shape in shapes]
    lines.append(")\n\n#: The names of each shape.\nNAMES: Final[tuple[str, ...]] = (\n")
    lines += [f'    "{" ".join(members)}",\n' for members in shapes.values()]
    lines.append(")\n")
    TABLE.write_text("".join(lines))


if __name__ == "__main__":
    main()
