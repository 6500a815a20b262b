"""The slow, obvious computation every tool's answer is compared with; it must not share code with src/.

Every function takes a list of `Row` and a half-open window `[from_ms, to_ms)` in epoch milliseconds UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

DAY_MS = 86_400_000
Key = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One stored event. `tie` orders events of equal `ts_ms`, as the store under test orders them."""

    project: str
    event_id: str
    event_name: str
    ts_ms: int
    anonymous_id: str
    source: str = "direct"
    medium: str = "direct"
    campaign: str | None = None
    country: str = ""
    device_type: str = "desktop"
    browser: str = ""
    os: str = ""
    path: str | None = None
    url: str | None = None
    referrer: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    tie: int = 0
    user_id: str | None = None

    @property
    def key(self) -> Key:
        return (self.ts_ms, self.tie)

    @property
    def project_id(self) -> str:
        """As answers that span projects name it."""
        return self.project

    @property
    def visitor(self) -> tuple[str, str]:
        """A device is a visitor of one project; the same id in another project is someone else."""
        return (self.project, self.anonymous_id)


# --- counts ---------------------------------------------------------------------------------------


def stats(
    rows: Iterable[Row],
    *,
    from_ms: int,
    to_ms: int,
    metric: str = "count",
    event: str | None = None,
    group_by: Sequence[str] = (),
    interval: str | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Rows of GET /v1/stats. With neither group nor interval there is exactly one row."""
    chosen = [row for row in _within(rows, from_ms, to_ms) if event is None or row.event_name == event]
    if not group_by and interval is None:
        return [{"value": _measure(chosen, metric)}]

    def columns(row: Row) -> dict[str, Any]:
        bucket = {} if interval is None else {"bucket": bucket_start(row.ts_ms, interval)}
        return bucket | {name: getattr(row, name) for name in group_by}

    result = [labels | {"value": _measure(members, metric)} for labels, members in _grouped(chosen, columns)]
    result.sort(
        key=lambda row: (row.get("bucket", ""), -row["value"], [_none_first(row[name]) for name in group_by])
    )
    return result[:limit]


def sources(
    rows: Iterable[Row], *, from_ms: int, to_ms: int, breakdown: str = "source_medium", limit: int = 50
) -> list[dict[str, Any]]:
    """Rows of GET /v1/sources; `paid_share` is left unrounded."""
    names = {"source_medium": ("source", "medium"), "source": ("source",)}[breakdown]
    result = []
    for labels, members in _grouped(
        _within(rows, from_ms, to_ms), lambda row: {n: getattr(row, n) for n in names}
    ):
        events, paid = len(members), sum(row.medium == "paid" for row in members)
        uniques = _measure(members, "uniques")
        result.append(labels | {"events": events, "uniques": uniques, "paid_share": paid / events})
    result.sort(key=lambda row: (-row["events"], [row[name] for name in names]))
    return result[:limit]


def query(
    rows: Iterable[Row], *, from_ms: int, to_ms: int, filters: dict[str, str] | None = None, limit: int = 100
) -> list[Row]:
    """The rows of GET /v1/query, newest first; `filters` are its exact ones (`event`, `source`, …)."""
    wanted = {"event_name" if name == "event" else name: value for name, value in (filters or {}).items()}
    matching = [
        row
        for row in _within(rows, from_ms, to_ms)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return sorted(matching, key=lambda row: row.key, reverse=True)[:limit]


def event_names(rows: Iterable[Row], *, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Distinct event names with their counts, most frequent first, then by name."""
    counts = Counter(row.event_name for row in _within(rows, from_ms, to_ms))
    return [
        {"event_name": name, "count": count}
        for name, count in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
    ]


def bucket_start(ts_ms: int, interval: str) -> str:
    """The UTC start of the hour, day, week (from Monday) or month an instant lies in, as the wire has it."""
    moment = datetime.fromtimestamp(ts_ms // 1000, UTC)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    start = {
        "hour": hour,
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }[interval]
    return start.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _within(rows: Iterable[Row], from_ms: int, to_ms: int) -> list[Row]:
    return [row for row in rows if from_ms <= row.ts_ms < to_ms]


def _measure(rows: Sequence[Row], metric: str) -> int:
    return {"count": len(rows), "uniques": len({row.visitor for row in rows})}[metric]


def _grouped(
    rows: Iterable[Row], columns: Callable[[Row], dict[str, Any]]
) -> list[tuple[dict[str, Any], list[Row]]]:
    """The rows under each distinct set of labels."""
    groups: list[tuple[dict[str, Any], list[Row]]] = []
    places: dict[tuple[Any, ...], int] = {}
    for row in rows:
        labels = columns(row)
        place = places.setdefault(tuple(labels.values()), len(groups))
        if place == len(groups):
            groups.append((labels, []))
        groups[place][1].append(row)
    return groups


def _none_first(value: str | None) -> tuple[bool, str]:
    return (value is not None, value or "")


# --- filters --------------------------------------------------------------------------------------


def value_of(row: Row, name: str) -> Any:
    """A dimension, or `properties.<key>` taken as one flat key; None when missing or JSON null."""
    if name.startswith("properties."):
        return row.properties.get(name.removeprefix("properties."))
    return getattr(row, name)


def satisfies(row: Row, condition: dict[str, Any]) -> bool:
    """One `{"field", "op", "value"}`. neq and not_in are plain negations: a missing value satisfies them."""
    op: str = condition["op"]
    wanted: Any = condition.get("value")
    actual: Any = value_of(row, condition["field"])
    match op:
        case "eq":
            return _same(actual, wanted)
        case "neq":
            return not _same(actual, wanted)
        case "in":
            return any(_same(actual, item) for item in wanted)
        case "not_in":
            return not any(_same(actual, item) for item in wanted)
        case "contains":
            return isinstance(actual, str) and wanted in actual
        case "starts_with":
            return isinstance(actual, str) and actual.startswith(wanted)
        case "gt":
            return _comparable(actual, wanted) and actual > wanted
        case "gte":
            return _comparable(actual, wanted) and actual >= wanted
        case "lt":
            return _comparable(actual, wanted) and actual < wanted
        case "lte":
            return _comparable(actual, wanted) and actual <= wanted
        case "exists":
            there = actual is not None and (condition["field"].startswith("properties.") or actual != "")
            return there == (wanted is not False)
    raise ValueError(f"unknown operator {op!r}")


def _same(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1, and "1" is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _comparable(left: Any, right: Any) -> bool:
    """Numbers compare with numbers, text with text (by code point); nothing else compares."""
    return (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- funnel ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """A visitor's first arrival at one step: after how long, and the step-1 event it is counted under."""

    seconds: float
    entry: Row


def funnel(
    rows: Iterable[Row],
    steps: Sequence[str | dict[str, Any]],
    *,
    from_ms: int,
    to_ms: int,
    window_days: float = 14,
    entry: str = "any",
    order: str = "ordered",
    breakdown: str | None = None,
) -> list[dict[str, Any]]:
    """Funnel rows as metrics.md defines them; with `breakdown` each row starts with that column.

    Groups stand in the order of their step-1 visitors, most first, then by value with None first.
    """
    if entry not in ("any", "first") or order not in ("ordered", "any"):
        raise ValueError("entry is any or first, order is ordered or any")
    if order == "any" and entry == "first":
        raise ValueError("entry 'first' has no meaning without an order")
    wanted = [{"event": step} if isinstance(step, str) else step for step in steps]
    window_ms = round(window_days * DAY_MS)

    groups: dict[str | None, list[list[Arrival]]] = {}
    for history in _histories(rows):
        if order == "ordered":
            arrivals = _ordered_arrivals(history, wanted, from_ms, to_ms, window_ms, entry)
        else:
            arrivals = _any_order_arrivals(history, wanted, from_ms, to_ms, window_ms)
        if arrivals:
            group = value_of(arrivals[-1].entry, breakdown) if breakdown else None
            groups.setdefault(group, []).append(arrivals)

    if breakdown is None:
        return _funnel_rows(wanted, groups.get(None, []))
    ordered_groups = sorted(groups.items(), key=lambda item: (-len(item[1]), _none_first(item[0])))
    return [
        {breakdown: group} | row
        for group, visitors in ordered_groups
        for row in _funnel_rows(wanted, visitors)
    ]


def matches(row: Row, step: dict[str, Any]) -> bool:
    return row.event_name == step["event"] and all(
        satisfies(row, condition) for condition in step.get("filters", ())
    )


def _histories(rows: Iterable[Row]) -> list[list[Row]]:
    """Every visitor's events in their total order."""
    histories: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        histories.setdefault(row.visitor, []).append(row)
    return list(histories.values())


def _ordered_arrivals(
    history: list[Row], steps: list[dict[str, Any]], from_ms: int, to_ms: int, window_ms: int, entry: str
) -> list[Arrival]:
    """The best arrival at each step reached: it completes first, and of those from the latest start."""
    starts = [row for row in history if matches(row, steps[0]) and from_ms <= row.ts_ms < to_ms]
    if entry == "first":
        starts = starts[:1]
    chains = [_earliest_chain(history, start, steps, window_ms) for start in starts]
    arrivals = []
    for k in range(len(steps)):
        reaching = [chain for chain in chains if len(chain) > k]
        if not reaching:
            break
        earliest = min(chain[k].key for chain in reaching)
        latest_start = max(
            (chain[0] for chain in reaching if chain[k].key == earliest), key=lambda row: row.key
        )
        arrivals.append(Arrival((earliest[0] - latest_start.ts_ms) / 1000, latest_start))
    return arrivals


def _earliest_chain(history: list[Row], start: Row, steps: list[dict[str, Any]], window_ms: int) -> list[Row]:
    """From one start, the earliest next event for each step in turn: no other chain from it is sooner."""
    chain = [start]
    for step in steps[1:]:
        later = [
            row
            for row in history
            if row.key > chain[-1].key and row.ts_ms <= start.ts_ms + window_ms and matches(row, step)
        ]
        if not later:
            break
        chain.append(later[0])
    return chain


def _any_order_arrivals(
    history: list[Row], steps: list[dict[str, Any]], from_ms: int, to_ms: int, window_ms: int
) -> list[Arrival]:
    """Step k: some start among steps 1..k, in the window, is followed in time by an event of every step 1..k.

    Counts never increase, so who did not reach step k - 1 does not reach step k: a step-2 event may lie
    in the window while the visitor's only step-1 event lies after it.
    """
    arrivals: list[Arrival] = []
    for k in range(1, len(steps) + 1):
        wanted = steps[:k]
        candidates = []
        for start in history:
            if not (from_ms <= start.ts_ms < to_ms and any(matches(start, step) for step in wanted)):
                continue
            span = [row for row in history if start.ts_ms <= row.ts_ms <= start.ts_ms + window_ms]
            firsts = [[row for row in span if matches(row, step)][:1] for step in wanted]
            if all(firsts):
                done_ms = max(first[0].ts_ms for first in firsts)
                candidates.append((done_ms, start.ts_ms, firsts[0][0]))
        if not candidates:
            break
        done_ms, start_ms, first_step = min(candidates, key=lambda candidate: (candidate[0], -candidate[1]))
        arrivals.append(Arrival((done_ms - start_ms) / 1000, first_step))
    return arrivals


def _funnel_rows(steps: list[dict[str, Any]], visitors: list[list[Arrival]]) -> list[dict[str, Any]]:
    reached = [[arrivals[k].seconds for arrivals in visitors if len(arrivals) > k] for k in range(len(steps))]
    counts = [len(seconds) for seconds in reached]
    result = []
    for k, step in enumerate(steps):
        previous = counts[k - 1] if k else counts[0]
        timed = k > 0 and counts[k] > 0
        result.append(
            {
                "step": k + 1,
                "event": step["event"],
                "visitors": counts[k],
                "conversion_from_previous": _ratio(counts[k], previous),
                "conversion_from_first": _ratio(counts[k], counts[0]),
                "dropped": previous - counts[k],
                "median_seconds": nearest_rank_median(reached[k]) if timed else None,
                "mean_seconds": sum(reached[k]) / counts[k] if timed else None,
            }
        )
    return result


def nearest_rank_median(values: Sequence[float]) -> float:
    """The ceil(n / 2)-th smallest."""
    return sorted(values)[(len(values) + 1) // 2 - 1]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
