"""Numbers as the report shows them: medians, ratios, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

#: One question in every engine, as stored: engine → {"ms": […], "cpu_ms": […], "rows_read", "differences", "error"}.
ByEngine = dict[str, dict[str, Any]]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median, most."""
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def median(values: Sequence[float]) -> float:
    return spread(values)[1]


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time(measured: dict[str, Any] | None) -> str:
    if not measured or not measured["ms"]:
        return "–"
    least, middle, most = map(short, spread(measured["ms"]))
    return f"{middle} ({least}–{most})"


def ratio(
    by: ByEngine, engine: str, key: str = "ms", of: Callable[[Sequence[float]], float] = median
) -> float | None:
    """How many times as long as ours an engine takes; the raw scan runs in D1, and is compared with ours there."""
    mine, theirs = by["ours" if engine == "raw" else "sqlite"], by.get(engine)
    if not theirs or not theirs[key] or not of(mine[key]):
        return None
    return of(theirs[key]) / of(mine[key])


def times(by: ByEngine, engine: str, key: str = "ms") -> str:
    found = ratio(by, engine, key)
    if found is None:
        return "–"
    return f"{short(found)}×" if found >= 1 else f"**{short(found)}×**"


def per_event(written: dict[str, Any], key: str) -> float:
    return float(written[key] / max(1, written["events"]))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def put_between(begin: str, text: str, end: str, page: Path) -> None:
    """Replaces what a page holds between two lines of its own."""
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}")
