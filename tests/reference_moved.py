"""The slow, obvious computation of `scan`, `diagnose` and `health`. It shares no code with src/."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from statistics import median
from typing import Any

from tests.reference import Row, value_of
from tests.reference_more import bucket_after, histories, local_bucket, passing, ratio, within, zone_of

DIMENSIONS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]

DAY_MS = 86_400_000

# --- scan -----------------------------------------------------------------------------------------


def local_date(ts_ms: int, zone: str) -> date:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone_of(zone)).date()


def day_start(day: date, zone: str) -> str:
    """The bucket of the day, found from its noon."""
    noon = datetime.combine(day, time(12), tzinfo=zone_of(zone))
    return local_bucket(round(noon.timestamp() * 1000), "day", zone)


def scan(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, now_ms: int, project: str, timezone: str = "UTC",
    sensitivity: str = "medium", minimum: int = 10, limit: int = 20,
) -> list[dict[str, Any]]:  # fmt: skip
    judged = []
    day = local_date(from_ms, timezone) - timedelta(days=1)
    while day <= local_date(to_ms, timezone):
        start = bucket_after(day_start(day, timezone), "day", timezone, 0)
        end = bucket_after(day_start(day, timezone), "day", timezone, 1)
        if from_ms <= start and end <= to_ms and end <= now_ms:
            judged.append(day)
        day += timedelta(days=1)
    if not judged:
        return []
    earliest = judged[0] - timedelta(days=28)
    placed = [(local_date(row.ts_ms, timezone), row) for row in rows]
    placed = [(day, row) for day, row in placed if earliest <= day <= judged[-1]]
    if not placed:
        return []
    findings = []
    for metric, by, value in every_series(placed):
        series = {}
        for day, row in placed:
            if by is None or getattr(row, by) == value:
                series.setdefault(day, []).append(row.visitor)
        counts = {day: len(set(seen) if metric == "visitors" else seen) for day, seen in series.items()}
        marks = marked(counts, judged, min(day for day, _ in placed), by is None, sensitivity, minimum)
        for kind, days, peak in merged(marks):
            expected, actual, deviation = peak[1:]
            named = [project, kind, metric, by or "", value or "", day_start(days[0], timezone)]
            findings.append(
                {
                    "id": hashlib.sha256("\n".join(named).encode()).hexdigest()[:12],
                    "kind": kind, "metric": metric, "by": by, "value": value,
                    "from": day_start(days[0], timezone),
                    "to": day_start(days[-1] + timedelta(days=1), timezone),
                    "peak": day_start(peak[0], timezone),
                    "expected": expected, "actual": actual, "deviation": round(deviation, 2),
                }
            )  # fmt: skip
    findings.sort(key=lambda one: (one["metric"], one["by"] or "", one["value"] or ""))
    findings.sort(key=lambda one: one["from"])
    findings.sort(key=lambda one: abs(one["deviation"]), reverse=True)
    return findings[:limit]


def every_series(placed: list[tuple[date, Row]]) -> list[tuple[str, str | None, str | None]]:
    names = {row.event_name for _, row in placed}
    sources = {row.source for _, row in placed}
    return [
        ("events", None, None),
        ("visitors", None, None),
        *(("events", "event_name", name) for name in names),
        *(("visitors", "source", source) for source in sources),
    ]


Mark = tuple[str, date, float, int, float]


def marked(
    counts: dict[date, int], judged: list[date], since: date, whole: bool, sensitivity: str, minimum: int
) -> list[Mark]:
    """Kind, day, expected, actual and deviation of every unusual day."""
    first = min(counts)
    marks: list[Mark] = []
    if not whole and first in judged and (first - since).days >= 7:
        seen = [day for day in judged if counts.get(day)]
        if max(counts[day] for day in seen) >= minimum:
            marks += [("new", day, 0, counts[day], counts[day] ** 0.5) for day in seen]
    for day in judged:
        weekdays = [day - timedelta(weeks=weeks) for weeks in (1, 2, 3, 4)]
        days = [one for one in weekdays if one >= first]
        if len(days) < 3:
            days = [day - timedelta(days=back) for back in range(1, 8)]
            days = [one for one in days if one >= first]
        if len(days) < 3:
            continue
        known = [counts.get(one, 0) for one in days]
        expected, actual = median(known), counts.get(day, 0)
        if expected < minimum and actual < minimum:
            continue
        away = median([abs(one - expected) for one in known])
        deviation = (actual - expected) / max(1.4826 * away, max(expected, actual) ** 0.5, expected / 10)
        if abs(deviation) >= {"low": 4, "medium": 3, "high": 2}[sensitivity]:
            kind = "spike" if actual > expected else "silence" if actual == 0 else "drop"
            marks.append((kind, day, expected, actual, deviation))
    return marks


def merged(marks: list[Mark]) -> list[tuple[str, list[date], tuple[date, float, int, float]]]:
    """All days of a new name together; of the rest, days of one kind that follow each other."""
    groups: list[list[Mark]] = []
    for mark in marks:
        before = groups[-1][-1] if groups else None
        same = before is not None and before[0] == mark[0]
        if same and before and (mark[0] == "new" or before[1] + timedelta(days=1) == mark[1]):
            groups[-1].append(mark)
        else:
            groups.append([mark])
    found = []
    for group in groups:
        strongest = max(abs(mark[4]) for mark in group)
        peak = next(mark for mark in group if abs(mark[4]) == strongest)
        found.append((group[0][0], [mark[1] for mark in group], peak[1:]))
    return found


# --- diagnose -------------------------------------------------------------------------------------


def diagnose(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, metric: str = "visitors", goal: str | None = None,
    filters: Sequence[dict[str, Any]] = (), by: Sequence[str] = DIMENSIONS, days_back: int | None = None, limit: int = 5,
) -> list[dict[str, Any]]:  # fmt: skip
    back = days_back * DAY_MS if days_back else to_ms - from_ms
    periods = [within(rows, from_ms, to_ms), within(rows, from_ms - back, to_ms - back)]
    won = [{row.visitor for row in period if row.event_name == goal} for period in periods]
    hits = [[row for row in period if passing(filters)(row)] for period in periods]
    if metric != "events":
        hits = [[history[0] for history in histories(period)] for period in hits]
    whole = Moved.of(hits, won)
    blocks = []
    for dimension in by:
        values = {value_of(row, dimension) for period in hits for row in period}
        parts = {
            value: Moved.of(
                [[row for row in period if value_of(row, dimension) == value] for period in hits], won
            )
            for value in values
        }
        rated = metric == "conversion_rate"
        ranked = sorted(parts, key=lambda value: (-parts[value].size(rated), value is not None, value or ""))
        block = [moved_row(metric, dimension, value, 0, parts[value], whole) for value in ranked[:limit]]
        block.sort(key=lambda row: (-abs(row["change"] or 0), row["value"] is not None, row["value"] or ""))
        largest = max((abs(row["change"] or 0) for row in block), default=0)
        if len(ranked) > limit:
            rest = Moved(*(sum(getattr(parts[v], n) for v in ranked[limit:]) for n in Moved.__match_args__))
            block.append(moved_row(metric, dimension, None, len(ranked) - limit, rest, whole))
        blocks.append((largest, block))
    total = moved_row(metric, None, None, 0, whole, whole)
    if metric == "conversion_rate":
        total |= {"mix": None, "rate": None}
    ordered = sorted(blocks, key=lambda one: -one[0])
    return [total, *(row for _, block in ordered for row in block)]


@dataclass
class Moved:
    now: int
    before: int
    won_now: int
    won_before: int

    def size(self, rated: bool) -> int:
        return self.now + self.before if rated else abs(self.now - self.before)

    @staticmethod
    def of(hits: list[list[Row]], won: list[set[str]]) -> Moved:
        both = [len(period) for period in hits]
        winners = [sum(row.visitor in wins for row in period) for period, wins in zip(hits, won, strict=True)]
        return Moved(*both, *winners)


def moved_row(
    metric: str, by: str | None, value: str | None, others: int, one: Moved, whole: Moved
) -> dict[str, Any]:
    head = {"by": by, "value": value, "others": others}
    if metric != "conversion_rate":
        change, total = one.now - one.before, whole.now - whole.before
        share = change / total if total else None
        return head | {"current": one.now, "previous": one.before, "change": change, "contribution": share}
    row = head | {
        "current": one.won_now / one.now if one.now else None,
        "previous": one.won_before / one.before if one.before else None,
        "change": None, "contribution": None, "mix": None, "rate": None,
        "visitors": one.now, "visitors_previous": one.before,
    }  # fmt: skip
    if not whole.now or not whole.before:
        return row
    # The change is that of weight x rate, less what the whole's mean rate gives to a changed weight.
    weights = Fraction(one.now, whole.now), Fraction(one.before, whole.before)
    mean = (Fraction(whole.won_now, whole.now) + Fraction(whole.won_before, whole.before)) / 2
    moved = Fraction(one.won_now, whole.now) - Fraction(one.won_before, whole.before)
    change = moved if by is None else moved - (weights[0] - weights[1]) * mean
    rate = Fraction(0)
    if one.now and one.before:
        rate = Fraction(one.won_now, one.now) - Fraction(one.won_before, one.before)
        rate *= (weights[0] + weights[1]) / 2
    total = Fraction(whole.won_now, whole.now) - Fraction(whole.won_before, whole.before)
    share = float(change / total) if total else None
    return row | {
        "change": float(change), "contribution": share, "mix": float(change - rate), "rate": float(rate),
    }  # fmt: skip


# --- health ---------------------------------------------------------------------------------------


def health(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, activation_event: str | None = None,
    purchase_event: str = "purchase", amount: str = "amount_cents", referral_event: str | None = None,
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Stage, metric, currency, value, previous, change: what a row holds beside its definition."""
    length = to_ms - from_ms
    both = [
        stages(rows, from_ms - back, to_ms - back, activation_event, purchase_event, amount, referral_event)
        for back in (0, length)
    ]
    currencies = {key for one in both for key in one if key[0] == "revenue" and key[1] == "gross"}
    found = []
    for stage, metric in STAGES:
        money = metric in ("gross", "average_order")
        if (stage, metric, None) not in both[0] and not money:
            continue
        if money and metric == "gross":
            for _, _, currency in sorted(currencies, key=lambda key: (key[2] is not None, key[2] or "")):
                for one in ("gross", "average_order"):
                    nothing = 0 if one == "gross" else None
                    pair = [period.get(("revenue", one, currency), nothing) for period in both]
                    found.append(("revenue", one, currency, *compared(*pair)))
        elif not money:
            found.append((stage, metric, None, *compared(*(one[stage, metric, None] for one in both))))
    return found


STAGES = [
    ("acquisition", "visitors"), ("acquisition", "new_visitors"), ("activation", "activated"),
    ("activation", "activation_rate"), ("retention", "returning_visitors"), ("retention", "retention_rate"),
    ("revenue", "payers"), ("revenue", "payer_rate"), ("revenue", "gross"), ("revenue", "average_order"),
    ("referral", "referred_visitors"), ("referral", "referred_share"), ("referral", "referrers"),
    ("referral", "referrer_rate"),
]  # fmt: skip


def compared(value: float | None, before: float | None) -> tuple[float | None, float | None, float | None]:
    return value, before, None if value is None or not before else (value - before) / before


def stages(
    rows: Sequence[Row], from_ms: int, to_ms: int, activation: str | None, purchase: str, amount: str,
    referral: str | None,
) -> dict[tuple[str, str, str | None], float | None]:  # fmt: skip
    here = within(rows, from_ms, to_ms)
    earlier = {row.visitor for row in rows if row.ts_ms < from_ms}
    before = {row.visitor for row in within(rows, 2 * from_ms - to_ms, from_ms)}
    visitors = {row.visitor for row in here}

    def did(event: str | None) -> set[str]:
        return {row.visitor for row in here if row.event_name == event}

    new, back, payers = visitors - earlier, visitors & before, did(purchase)
    referred = {row.visitor for row in here if row.medium == "referral"}
    found: dict[tuple[str, str, str | None], float | None] = {
        ("acquisition", "visitors", None): len(visitors),
        ("acquisition", "new_visitors", None): len(new),
        ("activation", "activation_rate", None): ratio(len(new & did(activation)), len(new)) if activation else None,
        ("retention", "returning_visitors", None): len(back),
        ("retention", "retention_rate", None): ratio(len(back), len(before)),
        ("revenue", "payers", None): len(payers),
        ("revenue", "payer_rate", None): ratio(len(payers), len(visitors)),
        ("referral", "referred_visitors", None): len(referred),
        ("referral", "referred_share", None): ratio(len(referred), len(visitors)),
        ("referral", "referrer_rate", None): ratio(len(did(referral)), len(visitors)) if referral else None,
    }  # fmt: skip
    if activation:
        found["activation", "activated", None] = len(new & did(activation))
    if referral:
        found["referral", "referrers", None] = len(did(referral))
    paid: dict[str | None, list[float]] = {}
    for row in here:
        value, currency = row.properties.get(amount), row.properties.get("currency")
        if row.event_name == purchase and isinstance(value, int | float) and not isinstance(value, bool):
            paid.setdefault(currency if isinstance(currency, str) else None, []).append(value)
    for currency, amounts in paid.items():
        found["revenue", "gross", currency] = sum(amounts)
        found["revenue", "average_order", currency] = sum(amounts) / len(amounts)
    return found
