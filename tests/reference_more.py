"""The slow, obvious computation of the reports: audience measures, and one section for each family of questions.

Like tests/reference.py it shares no code with src/. A "history" is the events of one visitor in their total order.
"""

from __future__ import annotations

import functools
import json
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from math import hypot
from typing import Any

from tests.reference import Row, satisfies, value_of

GAP_MS = 30 * 60_000

# --- time -----------------------------------------------------------------------------------------


@functools.cache
def zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        return timezone((1 if name[0] == "+" else -1) * timedelta(hours=int(hours), minutes=int(minutes)))
    return zoneinfo.ZoneInfo(name)


@functools.lru_cache(maxsize=1 << 18)
def local_bucket(ts_ms: int, interval: str, zone: str) -> str:
    """The start, as the wire has it in UTC, of the local hour, day, week or month an instant lies in."""
    here = zone_of(zone)
    moment = datetime.fromtimestamp(ts_ms / 1000, here)
    if interval == "hour":
        into = timedelta(minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
        return wire(moment.astimezone(UTC) - into)
    first = moment.date()
    if interval == "week":
        first -= timedelta(days=first.weekday())
    if interval == "month":
        first = first.replace(day=1)
    return wire(datetime(first.year, first.month, first.day, tzinfo=here).astimezone(UTC))


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def all_buckets(from_ms: int, to_ms: int, interval: str, zone: str) -> list[str]:
    """Every bucket that the window touches, found by walking it in quarters of an hour."""
    instants = [*range(from_ms, to_ms, 15 * 60_000), to_ms - 1]
    return sorted({local_bucket(instant, interval, zone) for instant in instants})


# --- sessions and measures ------------------------------------------------------------------------


def histories(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        found.setdefault(row.visitor, []).append(row)
    return list(found.values())


def sessions(rows: Iterable[Row]) -> list[list[Row]]:
    """A gap of more than 30 minutes starts a new one."""
    found: list[list[Row]] = []
    for history in histories(rows):
        for place, row in enumerate(history):
            if place == 0 or row.ts_ms - history[place - 1].ts_ms > GAP_MS:
                found.append([])
            found[-1].append(row)
    return found


def is_view(row: Row) -> bool:
    return row.event_name == "$pageview"


def referrer_host(row: Row) -> str | None:
    if row.referrer is None or "://" not in row.referrer:
        return None
    rest = row.referrer.split("://", 1)[1]
    for stop in "/?#:":
        rest = rest.split(stop, 1)[0]
    return rest.lower().removeprefix("www.")


@dataclass
class Placed:
    """An event with its session and the value it counts under."""

    row: Row
    session: int
    value: Any
    bucket: str | None


def placed(rows: Sequence[Row], by: str | None, interval: str | None, zone: str) -> list[Placed]:
    found = []
    for number, session in enumerate(sessions(rows)):
        views = [row.path for row in session if is_view(row)] or [None]
        for row in session:
            if by in ("entry_page", "exit_page"):
                value = views[0] if by == "entry_page" else views[-1]
            elif by == "referrer_host":
                value = referrer_host(row)
            else:
                value = value_of(row, by) if by else None
            bucket = local_bucket(row.ts_ms, interval, zone) if interval else None
            found.append(Placed(row, number, value, bucket))
    return found


def numbers(
    everything: list[Placed],
    passes: Callable[[Row], bool],
    goal: str | None,
    chosen: Callable[[Placed], bool],
) -> dict[str, float | None]:
    """Every measure over the events that pass the filters and are chosen by value and bucket."""
    hits = [one for one in everything if passes(one.row) and chosen(one)]
    visitors = {one.row.visitor for one in hits}
    members: dict[int, list[Placed]] = {}
    for one in everything:
        members.setdefault(one.session, []).append(one)
    mine = []
    for session in members.values():
        first = next((one for one in session if passes(one.row)), None)
        if first is not None and chosen(first):
            mine.append([one.row for one in session])
    views = [sum(is_view(row) for row in session) for session in mine]
    lengths = [session[-1].ts_ms - session[0].ts_ms for session in mine]
    engaged = [
        length > 10_000 or seen >= 2 or any(row.event_name == goal for row in session)
        for session, seen, length in zip(mine, views, lengths, strict=True)
    ]
    buckets = {one.bucket for one in hits}
    converted = {
        one.row.visitor for one in everything if one.row.event_name == goal and one.bucket in buckets
    } & visitors
    pageviews = sum(is_view(one.row) for one in hits)
    return {
        "visitors": len(visitors),
        "sessions": len(mine),
        "pageviews": pageviews,
        "events": len(hits),
        "bounce_rate": ratio(views.count(1), sum(seen > 0 for seen in views)),
        "engaged_rate": ratio(sum(engaged), len(mine)),
        "average_duration": ratio(sum(lengths) / 1000, len(mine)),
        "views_per_session": ratio(pageviews, len(mine)),
        "conversion_rate": ratio(len(converted), len(visitors)),
    }


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def within(rows: Iterable[Row], from_ms: int, to_ms: int) -> list[Row]:
    return [row for row in rows if from_ms <= row.ts_ms < to_ms]


def passing(filters: Sequence[dict[str, Any]]) -> Callable[[Row], bool]:
    return lambda row: all(satisfies(row, one) for one in filters)


def overview(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, filters: Sequence[dict[str, Any]] = (),
    goal: str | None = None, interval: str | None = None, timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    now = placed(within(rows, from_ms, to_ms), None, interval, timezone)
    before = placed(within(rows, 2 * from_ms - to_ms, from_ms), None, None, "UTC")
    whole = placed(within(rows, from_ms, to_ms), None, None, "UTC")
    result = []
    passes = passing(filters)
    mine, old = (numbers(one, passes, goal, lambda _: True) for one in (whole, before))
    buckets = all_buckets(from_ms, to_ms, interval, timezone) if interval else []
    series = [numbers(now, passes, goal, lambda one, at=at: one.bucket == at) for at in buckets]  # type: ignore[misc]
    for metric, value in mine.items():
        if metric == "conversion_rate" and goal is None:
            continue
        past = old[metric]
        change = None if value is None or not past else (value - past) / past
        row = {"metric": metric, "value": value, "previous": past, "change": change}
        if interval:
            row["series"] = [
                {"bucket": at, "value": counts[metric]} for at, counts in zip(buckets, series, strict=True)
            ]
        result.append(row)
    return result


def ranked_values(
    everything: list[Placed], filters: Sequence[dict[str, Any]], goal: str | None, metric: str
) -> list[tuple[Any, dict[str, float | None]]]:
    """Every value with its measures: highest first, no value to measure last, then by value."""
    passes = passing(filters)
    values: list[Any] = []
    seen: set[Any] = set()
    for one in everything:
        if passes(one.row) and identity(one.value) not in seen:
            seen.add(identity(one.value))
            values.append(one.value)
    found = [
        (value, numbers(everything, passes, goal, lambda one, v=value: identity(one.value) == identity(v)))  # type: ignore[misc]
        for value in values
    ]

    def order(item: tuple[Any, dict[str, float | None]]) -> Any:
        measured = item[1][metric]
        return (-(-1 if measured is None else measured), identity(item[0]))

    return sorted(found, key=order)


def identity(value: Any) -> tuple[int, Any, str]:
    """What makes two JSON values the same, in the order they are listed: null, numbers, booleans, compounds, texts."""
    if value is None:
        return (0, 0, "")
    if isinstance(value, bool):
        return (2, 0, str(int(value)))
    if isinstance(value, int | float):
        return (1, value, "")
    if isinstance(value, str):
        return (4, 0, value)
    return (3, 0, json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def shown(value: Any) -> Any:
    """Objects and arrays are listed as JSON text."""
    return (
        json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if isinstance(value, dict | list)
        else value
    )


def breakdown(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, by: str, metric: str = "visitors",
    filters: Sequence[dict[str, Any]] = (), goal: str | None = None, limit: int = 20,
) -> list[dict[str, Any]]:  # fmt: skip
    everything = placed(within(rows, from_ms, to_ms), by, None, "UTC")
    return [
        {by: shown(value), metric: counts[metric], "visitors": counts["visitors"], "events": counts["events"]}
        for value, counts in ranked_values(everything, filters, goal, metric)[:limit]
    ]


def timeseries(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, metric: str = "visitors", interval: str = "day",
    filters: Sequence[dict[str, Any]] = (), goal: str | None = None, by: str | None = None, splits: int = 5,
    timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    everything = placed(within(rows, from_ms, to_ms), by, interval, timezone)
    buckets = all_buckets(from_ms, to_ms, interval, timezone)
    passes = passing(filters)
    values: list[Any] = [None]
    if by:
        whole = placed(within(rows, from_ms, to_ms), by, None, "UTC")
        values = [value for value, _ in ranked_values(whole, filters, goal, metric)[:splits]]
    result = []
    for value in values:
        for at in buckets:
            counts = numbers(
                everything, passes, goal,
                lambda one, v=value, b=at: one.bucket == b and (not by or identity(one.value) == identity(v)),  # type: ignore[misc]
            )  # fmt: skip
            result.append(({by: shown(value)} if by else {}) | {"bucket": at, "value": counts[metric]})
    return result


# --- retention and lifecycle ----------------------------------------------------------------------

UNIT_MS = {"day": 86_400_000, "week": 7 * 86_400_000, "month": 30 * 86_400_000}


def steps_between(early: str, late: str, unit: str, zone: str) -> int:
    """How many local intervals lie between two buckets, by their dates."""
    first, last = (datetime.fromisoformat(one).astimezone(zone_of(zone)).date() for one in (early, late))
    if unit == "month":
        return (last.year - first.year) * 12 + last.month - first.month
    return (last - first).days // {"day": 1, "week": 7}[unit]


def bucket_after(bucket: str, unit: str, zone: str, steps: int) -> int:
    """The instant at which the interval `steps` after a bucket starts."""
    here = zone_of(zone)
    first = datetime.fromisoformat(bucket).astimezone(here).date()
    if unit == "month":
        months = first.year * 12 + first.month - 1 + steps
        first = first.replace(year=months // 12, month=months % 12 + 1)
    else:
        first += timedelta(days={"day": 1, "week": 7}[unit] * steps)
    return round(datetime(first.year, first.month, first.day, tzinfo=here).timestamp() * 1000)


def retention(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, now_ms: int, born_event: str, return_event: str | None = None,
    unit: str = "week", mode: str = "on", calendar: bool = False, periods: int = 8, timezone: str = "UTC",
    filters: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    cohorts: dict[str, list[set[int]]] = {}
    for history in histories(rows):
        births = [
            row
            for row in within(history, from_ms, to_ms)
            if row.event_name == born_event and passing(filters)(row)
        ]
        if not births:
            continue
        birth = births[0]
        cohort = local_bucket(birth.ts_ms, unit, timezone)
        came = set()
        for row in history:
            if row.key > birth.key and return_event in (None, row.event_name):
                if calendar:
                    came.add(steps_between(cohort, local_bucket(row.ts_ms, unit, timezone), unit, timezone))
                else:
                    came.add((row.ts_ms - birth.ts_ms) // UNIT_MS[unit])
        cohorts.setdefault(cohort, []).append(came)
    listed = []
    for cohort in sorted(cohorts):
        for period in range(periods):
            retained = sum(
                any(one == period or (mode == "on_or_after" and one > period) for one in came)
                for came in cohorts[cohort]
            )
            if calendar:
                ends = bucket_after(cohort, unit, timezone, period + 1)
            else:
                ends = min(bucket_after(cohort, unit, timezone, 1), to_ms) + (period + 1) * UNIT_MS[unit]
            size = len(cohorts[cohort])
            listed.append(
                {"cohort": cohort, "size": size, "period": period, "retained": retained, "rate": retained / size,
                 "complete": ends <= now_ms}
            )  # fmt: skip
    averages = []
    for period in range(periods):
        whole = [row for row in listed if row["period"] == period and row["complete"]]
        size, retained = (sum(row[name] for row in whole) for name in ("size", "retained"))
        mean = sum(row["rate"] for row in whole) / len(whole) if whole else None
        averages.append(
            {"cohort": "all", "size": size, "period": period, "retained": retained, "rate": ratio(retained, size),
             "mean_rate": mean, "complete": bool(whole)}
        )  # fmt: skip
    return averages + listed


def lifecycle(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, unit: str = "day", view: str = "lifecycle",
    timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    intervals = all_buckets(from_ms, to_ms, unit, timezone)
    first_ms = bucket_after(intervals[0], unit, timezone, 0)
    active = {
        history[0].visitor: {
            local_bucket(row.ts_ms, unit, timezone)
            for row in within(history, first_ms - 366 * 86_400_000, to_ms)
        }
        for history in histories(rows)
    }
    if view == "stickiness":
        times = [len(days & set(intervals)) for days in active.values()]
        return [
            {f"active_{unit}s": count, "visitors": times.count(count)}
            for count in range(1, len(intervals) + 1)
        ]
    result = []
    for at in intervals:
        before = wire(datetime.fromtimestamp(bucket_after(at, unit, timezone, -1) / 1000, UTC))
        kinds = {"new": 0, "returning": 0, "resurrecting": 0, "dormant": 0}
        for days in active.values():
            if at in days:
                earlier = [day for day in days if day < at]
                kinds["returning" if before in earlier else "resurrecting" if earlier else "new"] += 1
            elif before in days:
                kinds["dormant"] += 1
        result.append({"bucket": at, **kinds})
    return result


# --- revenue and attribution ----------------------------------------------------------------------


def number_of(row: Row, key: str) -> float | None:
    value = row.properties.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(row: Row, key: str) -> str | None:
    value = row.properties.get(key)
    return value if isinstance(value, str) else None


def customer_of(row: Row) -> str:
    return row.user_id or row.anonymous_id


def revenue(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, event: str = "purchase", amount: str = "amount_cents",
    interval: str | None = None, top_customers: int = 5, timezone: str = "UTC",
    filters: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    here = within(rows, from_ms, to_ms)
    visitors = len({row.visitor for row in here})
    paid = [
        row
        for row in here
        if row.event_name == event and passing(filters)(row) and number_of(row, amount) is not None
    ]
    recurring = subscriptions(rows, from_ms, to_ms)
    result = []
    for currency in {text_of(row, "currency") for row in paid} | set(recurring):
        orders = [row for row in paid if text_of(row, "currency") == currency]
        gross = sum(number_of(row, amount) or 0 for row in orders)
        customers: dict[str, list[float]] = {}
        for row in orders:
            customers.setdefault(customer_of(row), []).append(number_of(row, amount) or 0)
        missing = dict.fromkeys(("mrr", "subscriptions", "churn"), "not available")
        found = {
            "currency": currency,
            "gross": gross,
            "orders": len(orders),
            "payers": len(customers),
            "average_order": ratio(gross, len(orders)),
            "arpu": ratio(gross, visitors),
            **recurring.get(currency, missing),
        }
        if top_customers:
            ranked = sorted(customers.items(), key=lambda item: (-sum(item[1]), item[0]))
            found["top_customers"] = [
                {"customer": name, "gross": sum(sums), "orders": len(sums)}
                for name, sums in ranked[:top_customers]
            ]
        if interval:
            found["series"] = []
            for at in all_buckets(from_ms, to_ms, interval, timezone):
                inside = [row for row in orders if local_bucket(row.ts_ms, interval, timezone) == at]
                sold = sum(number_of(row, amount) or 0 for row in inside)
                found["series"].append({"bucket": at, "gross": sold, "orders": len(inside)})
        result.append(found)
    return sorted(result, key=lambda row: (-row["gross"], row["currency"] is not None, row["currency"] or ""))


def subscriptions(rows: Sequence[Row], from_ms: int, to_ms: int) -> dict[str | None, dict[str, Any]]:
    """Of each currency: what is active at `to`, and how many of those active at `from` are not."""
    changes: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        if row.event_name in ("subscription_started", "subscription_cancelled") and row.ts_ms < to_ms:
            changes.setdefault(text_of(row, "subscription_id") or customer_of(row), []).append(row)
    found: dict[str | None, list[tuple[bool, bool, float]]] = {}
    for history in changes.values():
        early = [row for row in history if row.ts_ms < from_ms]
        before = bool(early) and early[-1].event_name == "subscription_started"
        after = history[-1].event_name == "subscription_started"
        months = 12 if text_of(history[-1], "interval") == "year" else 1
        monthly = (number_of(history[-1], "amount_cents") or 0) / months if after else 0
        found.setdefault(text_of(history[-1], "currency"), []).append((before, after, monthly))
    return {
        currency: {
            "mrr": sum(monthly for _, _, monthly in states),
            "subscriptions": sum(after for _, after, _ in states),
            "churn": ratio(
                sum(before and not after for before, after, _ in states),
                sum(before for before, _, _ in states),
            ),
        }
        for currency, states in found.items()
    }


def touched(
    rows: Sequence[Row], conversion: Row, by: str, lookback_days: int
) -> list[str | None]:  # fmt: skip
    """The values of the touches before a conversion, in order; one None when there are none."""
    touches = [
        getattr(row, by)
        for row in sorted(rows, key=lambda row: row.key)
        if row.visitor == conversion.visitor
        and row.medium != "direct"
        and row.ts_ms >= conversion.ts_ms - lookback_days * 86_400_000
        and row.key <= conversion.key
    ]
    return touches or [None]


def shares(touches: list[str | None], model: str) -> list[tuple[str | None, Fraction]]:
    if model == "first_touch":
        return [(touches[0], Fraction(1))]
    if model == "last_touch":
        return [(touches[-1], Fraction(1))]
    return [(value, Fraction(1, len(touches))) for value in touches]


def attribution(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, event: str = "purchase", by: str = "source",
    lookback_days: int = 30, timezone: str = "UTC", filters: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    models = ("first_touch", "last_touch", "linear")
    found: dict[str | None, dict[str, Fraction]] = {}
    for row in within(rows, from_ms, to_ms):
        if row.event_name == event and passing(filters)(row):
            touches = touched(rows, row, by, lookback_days)
            for model in models:
                for value, share in shares(touches, model):
                    found.setdefault(value, dict.fromkeys(models, Fraction(0)))[model] += share
    ranked = sorted(
        found.items(),
        key=lambda item: (-item[1]["last_touch"], -item[1]["linear"], item[0] is not None, item[0] or ""),
    )
    return [{by: value} | {model: float(sums[model]) for model in models} for value, sums in ranked]


def channel_roi(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, event: str = "purchase", amount: str = "amount_cents",
    by: str = "source", model: str = "last_touch", lookback_days: int = 30, timezone: str = "UTC",
    spend: list[dict[str, Any]] | None = None, filters: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    sums: dict[tuple[str | None, str | None], list[Fraction]] = {}

    def at(value: str | None, currency: str | None) -> list[Fraction]:
        return sums.setdefault((value, currency), [Fraction(0)] * 4)

    first_orders: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: row.key):
        if row.event_name == event:
            first_orders.setdefault(customer_of(row), row.ts_ms)
    counted: set[str] = set()
    for row in sorted(within(rows, from_ms, to_ms), key=lambda row: row.key):
        if row.event_name == "$ad_spend" and spend is None and number_of(row, "amount_cents") is not None:
            at(text_of(row, by), text_of(row, "currency"))[0] += Fraction(number_of(row, "amount_cents") or 0)
        if row.event_name != event or not passing(filters)(row):
            continue
        new = customer_of(row) not in counted and first_orders[customer_of(row)] == row.ts_ms
        counted.add(customer_of(row))
        for value, share in shares(touched(rows, row, by, lookback_days), model):
            line = at(value, text_of(row, "currency"))
            line[1] += share * Fraction(number_of(row, amount) or 0)
            line[2] += share
            line[3] += share * new
    for given in spend or []:
        at(given["value"], given["currency"])[0] += Fraction(given["amount"])
    result = [
        {
            by: value,
            "currency": currency,
            "spend": float(spent),
            "revenue": float(earned),
            "conversions": float(conversions),
            "new_customers": float(new),
            "roi": float((earned - spent) / spent) if spent else None,
            "cac": float(spent / new) if spent and new else None,
        }
        for (value, currency), (spent, earned, conversions, new) in sums.items()
        if spent or conversions
    ]
    return sorted(
        result,
        key=lambda row: (
            -row["revenue"],
            -row["spend"],
            row[by] is not None,
            row[by] or "",
            row["currency"] is not None,
            row["currency"] or "",
        ),
    )


# --- visits one by one ----------------------------------------------------------------------------

FACTS = ("source", "medium", "campaign", "country", "device_type", "browser", "os")


def realtime(rows: Sequence[Row], *, now_ms: int, minutes: int = 5, limit: int = 5) -> list[dict[str, Any]]:
    here = within(rows, now_ms - minutes * 60_000, now_ms + 1)
    result = []
    for what, by in (("all", None), ("page", "path"), ("country", "country"), ("source", "source")):
        chosen = [row for row in here if what != "page" or is_view(row)]
        values = {value_of(row, by) if by else None for row in chosen} or ({None} if by is None else set())
        found = []
        for value in values:
            mine = [row for row in chosen if by is None or value_of(row, by) == value]
            visitors = len({row.visitor for row in mine})
            found.append({"what": what, "value": value, "visitors": visitors, "events": len(mine)})
        found.sort(key=lambda one: (-one["visitors"], one["value"] is not None, one["value"] or ""))
        result += found[:limit]
    return result


def session_list(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, filters: Sequence[dict[str, Any]] = (), limit: int = 20,
    timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    result = []
    for session in sessions(within(rows, from_ms, to_ms)):
        if any(passing(filters)(row) for row in session):
            views = [row.path for row in session if is_view(row)]
            result.append(
                {
                    "started": wire(datetime.fromtimestamp(session[0].ts_ms / 1000, UTC)),
                    "duration_seconds": (session[-1].ts_ms - session[0].ts_ms) / 1000,
                    "anonymous_id": session[0].anonymous_id,
                    "user_id": max((row.user_id for row in session if row.user_id), default=None),
                    "events": len(session),
                    "pageviews": len(views),
                    **{name: getattr(session[0], name) for name in FACTS},
                    "entry_page": views[0] if views else None,
                    "exit_page": views[-1] if views else None,
                }
            )
    result.sort(key=lambda row: row["anonymous_id"])
    result.sort(key=lambda row: row["started"], reverse=True)
    return result[:limit]


def paths(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, filters: Sequence[dict[str, Any]] = (), limit: int = 20,
    timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    walked: dict[str, list[tuple[str, str]]] = {}
    for session in sessions(within(rows, from_ms, to_ms)):
        views = [row.path for row in session if is_view(row)]
        if views and any(passing(filters)(row) for row in session):
            pages = [page for place, page in enumerate(views) if place == 0 or page != views[place - 1]][:7]
            walked.setdefault(json.dumps(pages, separators=(",", ":")), []).append(session[0].visitor)
    total = sum(len(visitors) for visitors in walked.values())
    ranked = sorted(walked.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"path": json.loads(path), "sessions": len(visitors), "visitors": len(set(visitors)),
         "share": len(visitors) / total}
        for path, visitors in ranked[:limit]
    ]  # fmt: skip


def user_journey(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, user_id: str | None = None, anonymous_id: str | None = None,
    limit: int = 200, timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    devices = {row.anonymous_id for row in rows if user_id and row.user_id == user_id}
    mine = [
        row
        for row in sorted(within(rows, from_ms, to_ms), key=lambda row: row.key)
        if (row.anonymous_id in devices and row.user_id in (None, user_id))
        or (user_id is None and row.anonymous_id == anonymous_id)
    ]
    result: list[dict[str, Any]] = []
    for place, row in enumerate(mine):
        gap = None if place == 0 else row.ts_ms - mine[place - 1].ts_ms
        session = 1 if gap is None else result[-1]["session"] + (gap > GAP_MS)
        result.append(
            {
                "timestamp": wire(datetime.fromtimestamp(row.ts_ms / 1000, UTC)),
                "session": session,
                "seconds_since_previous": None if gap is None else gap / 1000,
                "event_name": row.event_name,
                "path": row.path,
                "source": row.source,
                "medium": row.medium,
                "anonymous_id": row.anonymous_id,
                "user_id": row.user_id,
                "properties": json.dumps(row.properties, separators=(",", ":"), ensure_ascii=False),
            }
        )
    return result[:limit]


def compare_segments(
    rows: Sequence[Row], *, from_ms: int, to_ms: int, goal: str, a: list[dict[str, Any]], b: list[dict[str, Any]],
    timezone: str = "UTC",
) -> list[dict[str, Any]]:  # fmt: skip
    """Intervals by bisection of the score test, not by Wilson's formula."""
    here = within(rows, from_ms, to_ms)
    won = {row.visitor for row in here if row.event_name == goal}
    result = []
    for name, filters in (("a", a), ("b", b)):
        visitors = {row.visitor for row in here if passing(filters)(row)}
        converted = len(visitors & won)
        low, high = score_interval(converted, len(visitors)) if visitors else (None, None)
        result.append(
            {"segment": name, "visitors": len(visitors), "converted": converted,
             "rate": ratio(converted, len(visitors)), "low": low, "high": high}
        )  # fmt: skip
    told = verdict(*result)
    return [row | {"verdict": told} for row in result]


def verdict(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Whether the difference of both rates is told from nothing, by the errors of both intervals (Newcombe)."""
    if min(a["visitors"], b["visitors"]) < 30:
        return "too few visitors"
    difference = a["rate"] - b["rate"]
    if difference > hypot(a["rate"] - a["low"], b["high"] - b["rate"]):
        return "a is higher"
    if -difference > hypot(a["high"] - a["rate"], b["rate"] - b["low"]):
        return "b is higher"
    return "no clear difference"


def score_interval(successes: int, trials: int) -> tuple[float, float]:
    """The proportions p for which |share - p| is within 1.96 standard errors of p, found by halving."""
    share = successes / trials

    def far(p: float) -> bool:
        return abs(share - p) > 1.959963984540054 * (p * (1 - p) / trials) ** 0.5

    def edge(outside: float) -> float:
        if not far(outside) and share == outside:
            return outside
        inside = share
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if far(middle) else (middle, outside)
        return inside

    return edge(0.0), edge(1.0)


# --- schema ---------------------------------------------------------------------------------------


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) else "object or array"


def describe_schema(
    rows: Sequence[Row],
    *,
    from_ms: int,
    to_ms: int,
    event: str | None = None,
    limit: int = 20,
    timezone: str = "UTC",
) -> list[dict[str, Any]]:
    here = [row for row in within(rows, from_ms, to_ms) if event in (None, row.event_name)]
    result = []
    for name in {row.event_name for row in here}:
        mine = [row for row in here if row.event_name == name]
        described = []
        for key in {key for row in mine for key, value in row.properties.items() if value is not None}:
            values = [row.properties[key] for row in mine if row.properties.get(key) is not None]
            kinds = [kind_of(value) for value in values]
            groups: dict[Any, list[Any]] = {}
            for value in values:
                groups.setdefault(identity(value), []).append(value)
            ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
            found: dict[str, Any] = {
                "property": key,
                "coverage": len(values) / len(mine),
                "types": {
                    one: kinds.count(one)
                    for one in ("text", "number", "boolean", "object or array")
                    if one in kinds
                },
                "distinct": len(groups),
            }
            amounts = [value for value, kind in zip(values, kinds, strict=True) if kind == "number"]
            if amounts:
                found |= {"min": min(amounts), "max": max(amounts), "mean": sum(amounts) / len(amounts)}
            found["top_values"] = [{"value": shown(same[0]), "count": len(same)} for _, same in ranked[:5]]
            described.append(found)
        described.sort(key=lambda one: (-one["coverage"], one["property"]))
        result.append(
            {
                "event": name,
                "count": len(mine),
                "visitors": len({row.visitor for row in mine}),
                "first_seen": wire(datetime.fromtimestamp(min(row.ts_ms for row in mine) / 1000, UTC)),
                "last_seen": wire(datetime.fromtimestamp(max(row.ts_ms for row in mine) / 1000, UTC)),
                "properties": described,
            }
        )
    return sorted(result, key=lambda one: (-one["count"], one["event"]))[:limit]
