"""Every report on generated events equals the brute force over the raw rows: ties, gaps and clock changes included."""

from __future__ import annotations

import json
import zoneinfo
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.window import format_instant, parse_instant
from tests import reference_more
from tests.emptied import house_with
from tests.ledger import Ledger
from tests.scale import scale
from tests.test_answers_equal_the_reference import DIMENSIONS, filters

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
#: The evening before Berlin's clock changes; New York's and Lord Howe's change a few days to either side.
START = parse_instant("2026-03-28T22:00:00Z")
DAYS = [-8 * DAY_MS, -DAY_MS, 0, DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 8 * DAY_MS]
STEPS = [
    0,
    1,
    9_999,
    10_000,
    10_001,
    30 * MINUTE_MS - 1,
    30 * MINUTE_MS,
    30 * MINUTE_MS + 1,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
]
#: Six instants that events and the ends of windows share, so that they meet: apart by half an hour, and by a
#: millisecond more and less, across Berlin's last midnight before its clock changes.
MEETING = [
    START + 30 * MINUTE_MS + step
    for step in (-1, 0, 1, 30 * MINUTE_MS - 1, 30 * MINUTE_MS, 30 * MINUTE_MS + 1)
]
INSTANTS = st.sampled_from(MEETING) | st.builds(
    lambda day, step, more: START + day + step + more, *map(st.sampled_from, (DAYS, STEPS, STEPS))
)
EVENT_NAMES = ["$pageview", "$pageview", "signup", "purchase"]
LANDINGS: list[dict[str, str]] = [
    {},
    {"url": "https://site.example/"},
    {
        "url": "https://site.example/a?utm_source=news&utm_medium=email",
        "referrer": "https://www.news.example:81?x",
    },
    {"url": "https://site.example/b", "referrer": "https://WWW.google.com/search#top"},
    {"url": "https://site.example/b", "referrer": "no scheme"},
]
VALUES: list[Any] = [0, 1, 1.0, 2.5, True, False, None, "", "1", "a", {}, [1], {"k": 1}]
EVENTS = st.fixed_dictionaries(
    {
        "event": st.sampled_from(EVENT_NAMES),
        "anonymous_id": st.sampled_from(["ann", "ann", "bob", "cyd"]),
        "timestamp": INSTANTS.map(format_instant),
        "landing": st.sampled_from(LANDINGS),
        "country": st.sampled_from(["", "DE"]),
    },
    optional={
        "properties": st.dictionaries(st.sampled_from(["k", "amount"]), st.sampled_from(VALUES), max_size=2)
    },
)
HISTORIES = st.lists(EVENTS, max_size=14)
WINDOWS = st.tuples(INSTANTS, INSTANTS | st.just(START + 9 * DAY_MS)).filter(lambda ends: ends[0] < ends[1])
#: How many times the examples of the gate at night, in files that build upon this one.
TIMES = scale(1, 25)
#: At night one thousand histories for each report, of each several questions.
EXAMPLES = settings(
    max_examples=scale(40, 1_000), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
MEASURES = [
    "visitors", "sessions", "pageviews", "events", "bounce_rate", "engaged_rate", "average_duration",
    "views_per_session", "conversion_rate",
]  # fmt: skip
SPLITS = [*DIMENSIONS, "referrer_host", "entry_page", "exit_page", "properties.k"]
KNOWN = zoneinfo.available_timezones()
ZONES = ["UTC", "+05:45", "-03:30"] + [
    name for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe") if name in KNOWN
]
FILTERS = st.lists(filters(), max_size=2) | st.sampled_from(
    [
        [],
        [{"field": "event_name", "op": "eq", "value": "$pageview"}],
        [{"field": "event_name", "op": "in", "value": ["signup", "purchase"]}],
        [{"field": "country", "op": "eq", "value": "DE"}],
    ]
)


NOISE = [
    {"event": name, "anonymous_id": "ann", "timestamp": format_instant(START), "properties": {"k": 1}}
    for name in EVENT_NAMES
]


def ledger_of(history: list[dict[str, Any]], now: str = "2026-06-01T00:00:00Z") -> Ledger:
    """The events in a fresh house, beside a neighbour's that no answer may show."""
    house, account = house_with(NOISE, now)
    ledger = Ledger(house, account["projects"][0])
    for country in ("", "DE"):
        events = [
            {name: drawn[name] for name in drawn if name not in ("landing", "country")}
            | {"event_id": f"e{place}", **drawn["landing"]}
            for place, drawn in enumerate(history)
            if drawn["country"] == country
        ]
        if events:
            ledger.send(events, country=country)
    return ledger


def check(
    ledger: Ledger,
    tool: str,
    ends: tuple[int, int],
    options: dict[str, Any],
    about: float | None = None,
    of: str | None = None,
    **known: Any,
) -> None:
    """The tool's rows are those of the function of the same name, or `of`, in the reference; `about` is a relative error."""
    start, end = ends
    expected = getattr(reference_more, of or tool)(ledger.rows, from_ms=start, to_ms=end, **options, **known)
    window = {"from": format_instant(start), "to": format_instant(end)}
    found = ledger.service.rows(ledger.project["rk"], tool, **window, **options)
    if len(json.dumps(expected)) > 90_000:
        expected = expected[: len(found)]  # src/mcp/size.py cuts what a model could not take in, and says so
        assert expected
    assert found == (expected if about is None else near(expected, about)), (tool, window, options)


def near(value: Any, about: float) -> Any:
    if isinstance(value, dict):
        return {key: near(one, about) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one, about) for one in value]
    return pytest.approx(value, rel=about) if isinstance(value, float) else value


def questions(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    options = st.fixed_dictionaries(required, optional=optional).map(rated)
    return st.lists(st.tuples(WINDOWS, options), min_size=2, max_size=4)


def rated(options: dict[str, Any]) -> dict[str, Any]:
    """A conversion rate is asked for with its goal; without one it is refused."""
    return {"goal": "signup"} | options if options.get("metric") == "conversion_rate" else options


COMMON = {"filters": FILTERS, "goal": st.sampled_from(["signup", "purchase", "never"])}
INTERVALS = st.sampled_from(["hour", "day", "week", "month"])


@EXAMPLES
@given(HISTORIES, questions({}, {**COMMON, "interval": INTERVALS, "timezone": st.sampled_from(ZONES)}))
def test_overview(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "overview", ends, options)


@settings(EXAMPLES, max_examples=scale(100, 1_000))
@given(
    HISTORIES,
    questions(
        {"by": st.sampled_from(SPLITS), "metric": st.sampled_from(MEASURES)},
        {**COMMON, "limit": st.sampled_from([1, 2, 1000])},
    ),
)
def test_breakdown(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "breakdown", ends, options)


@settings(EXAMPLES, max_examples=scale(60, 1_000))
@given(
    HISTORIES,
    questions(
        {"metric": st.sampled_from(MEASURES), "interval": INTERVALS, "timezone": st.sampled_from(ZONES)},
        {**COMMON, "by": st.sampled_from(SPLITS), "splits": st.sampled_from([1, 2, 5])},
    ),
)
def test_timeseries(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "timeseries", ends, options)


ONE_NAME = st.sampled_from(["$pageview", "signup", "never"]).map(
    lambda name: [{"field": "event_name", "op": "eq", "value": name}]
)


@EXAMPLES
@given(
    HISTORIES,
    questions(
        {"metric": st.sampled_from(["visitors", "events"]), "by": st.sampled_from([None, *DIMENSIONS])},
        {
            "filters": ONE_NAME,
            "interval": st.sampled_from(["day", "week", "month"]),
            "splits": st.sampled_from([1, 2, 5]),
        },
    ),
)
def test_what_the_roll_ups_answer(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        by = {"by": options["by"]} if options["by"] else {}
        check(ledger, "timeseries", ends, {**{k: v for k, v in options.items() if k != "by"}, **by})
        if by:
            kept = {name: options[name] for name in ("metric", "filters") if name in options}
            check(ledger, "breakdown", ends, {**kept, **by, "limit": options.get("splits", 20)})


UNITS = st.sampled_from(["day", "week", "month"])
NOW = "2026-04-20T12:00:00Z"


@settings(EXAMPLES, max_examples=scale(80, 1_000))
@given(
    HISTORIES,
    questions(
        {"born_event": st.sampled_from(["$pageview", "signup"]), "unit": UNITS, "calendar": st.booleans()},
        {
            "return_event": st.sampled_from(["$pageview", "purchase", "never"]),
            "mode": st.sampled_from(["on", "on_or_after"]),
            "periods": st.sampled_from([1, 3, 12]),
            "timezone": st.sampled_from(ZONES),
            "filters": FILTERS,
        },
    ),
)
def test_retention(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history, now=NOW)
    for ends, options in asked:
        check(ledger, "retention", ends, options, now_ms=parse_instant(NOW))


@EXAMPLES
@given(
    HISTORIES,
    questions(
        {"unit": UNITS},
        {"view": st.sampled_from(["lifecycle", "stickiness"]), "timezone": st.sampled_from(ZONES)},
    ),
)
def test_lifecycle(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "lifecycle", ends, options)


#: Money: purchases of visitors and of known customers, subscriptions that start and end, what ads cost.
TRADE = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(
                [
                    "$pageview",
                    "purchase",
                    "purchase",
                    "subscription_started",
                    "subscription_cancelled",
                    "$ad_spend",
                ]
            ),
            "anonymous_id": st.sampled_from(["ann", "ann", "bob"]),
            "timestamp": INSTANTS.map(format_instant),
            "landing": st.sampled_from(LANDINGS),
            "country": st.sampled_from(["", "DE"]),
            "properties": st.fixed_dictionaries(
                {},
                optional={
                    "amount_cents": st.sampled_from([0, 100, 250, 10.5, "100", None, True]),
                    "worth": st.sampled_from([0, 7, 0.25, -3, "7"]),
                    "currency": st.sampled_from(["EUR", "EUR", "USD", 1]),
                    "interval": st.sampled_from(["month", "year"]),
                    "subscription_id": st.sampled_from(["s1", "s2"]),
                    "source": st.sampled_from(["news", "google"]),
                    "campaign": st.sampled_from(["spring", 7]),
                },
            ),
        },
        optional={"user_id": st.sampled_from(["u1", "u2"])},
    ),
    max_size=14,
)


#: What counts as an order, and which of its properties as its amount.
ORDERS = {
    "event": st.sampled_from(["purchase", "subscription_started", "never"]),
    "amount": st.sampled_from(["amount_cents", "worth"]),
}


@settings(EXAMPLES, max_examples=scale(80, 1_000))
@given(
    TRADE,
    questions(
        {},
        {
            **ORDERS,
            "interval": INTERVALS,
            "timezone": st.sampled_from(ZONES),
            "top_customers": st.sampled_from([0, 1, 5]),
            "filters": FILTERS,
        },
    ),
)
def test_revenue(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "revenue", ends, options, about=1e-9)


LOOKBACK = st.sampled_from([1, 8, 30])


@settings(EXAMPLES, max_examples=scale(80, 1_000))
@given(
    TRADE,
    questions(
        {"by": st.sampled_from(DIMENSIONS)},
        {"lookback_days": LOOKBACK, "event": st.sampled_from(["purchase", "$pageview"]), "filters": FILTERS},
    ),
)
def test_attribution(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "attribution", ends, options)


@settings(EXAMPLES, max_examples=scale(80, 1_000))
@given(
    TRADE,
    questions(
        {
            "by": st.sampled_from(["source", "campaign"]),
            "model": st.sampled_from(["first_touch", "last_touch", "linear"]),
        },
        {
            **ORDERS,
            "lookback_days": LOOKBACK,
            "spend": st.sampled_from(
                [
                    [],
                    [{"value": "news", "currency": "EUR", "amount": 40}],
                    [
                        {"value": "news", "currency": "EUR", "amount": 0.5},
                        {"value": "news", "currency": "EUR", "amount": 40},
                        {"value": "google", "currency": "USD", "amount": 0},
                        {"value": "never", "currency": "USD", "amount": 3},
                    ],
                ]
            ),
            "filters": FILTERS,
        },
    ),
)
def test_channel_roi(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "channel_roi", ends, options)


@settings(EXAMPLES, max_examples=25 * TIMES)
@given(
    TRADE,
    questions(
        {"by": st.sampled_from(["source", "campaign"])}, {"lookback_days": LOOKBACK, "filters": FILTERS}
    ),
    st.booleans(),
)
def test_attribution_where_few_convert(
    history: list[dict[str, Any]], asked: list[Any], crowded: bool
) -> None:
    """A crowd that buys nothing makes it cheaper to seek the events of those who do than to read all: the same answers."""
    crowd = [
        {
            "event": "$pageview",
            "anonymous_id": f"crowd{number % 50}",
            "timestamp": format_instant(START - 7 * DAY_MS + number * HOUR_MS),
            "landing": LANDINGS[number % 3],
            "country": "",
        }
        for number in range(300 if crowded else 0)
    ]
    ledger = ledger_of([*history, *crowd])
    for ends, options in asked:
        check(ledger, "attribution", ends, options)
        check(ledger, "channel_roi", ends, options)


PEOPLE = st.lists(
    st.builds(
        lambda event, user: event | ({"user_id": user} if user else {}),
        EVENTS,
        st.sampled_from(["", "u1", "u2"]),
    ),
    max_size=14,
)
LISTED = {"filters": FILTERS, "limit": st.sampled_from([1, 3, 100])}


@EXAMPLES
@given(PEOPLE, questions({}, LISTED))
def test_sessions(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "sessions", ends, options, of="session_list")


@EXAMPLES
@given(PEOPLE, questions({}, LISTED))
def test_paths(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "paths", ends, options)


@EXAMPLES
@given(
    PEOPLE,
    questions({"user_id": st.sampled_from(["u1", "u2", "u3"])}, {"limit": st.sampled_from([1, 3, 100])})
    | questions({"anonymous_id": st.sampled_from(["ann", "zoe"])}, {}),
)
def test_user_journey(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "user_journey", ends, options)


@EXAMPLES
@given(HISTORIES, st.sampled_from([1, 30, 60]), st.sampled_from([1, 5]), st.sampled_from(STEPS))
def test_realtime(history: list[dict[str, Any]], minutes: int, limit: int, step: int) -> None:
    ledger = ledger_of(history, now=format_instant(START + 9 * DAY_MS))
    ledger.service.now = format_instant(START + step)  # type: ignore[attr-defined]
    expected = reference_more.realtime(ledger.rows, now_ms=START + step, minutes=minutes, limit=limit)
    found = ledger.service.rows(ledger.project["rk"], "realtime", minutes=minutes, limit=limit)
    assert found == expected


@EXAMPLES
@given(
    HISTORIES,
    questions({"a": FILTERS, "b": FILTERS, "goal": st.sampled_from(["signup", "purchase"])}, {}),
)
def test_compare_segments(history: list[dict[str, Any]], asked: list[Any]) -> None:
    ledger = ledger_of(history)
    for ends, options in asked:
        check(ledger, "compare_segments", ends, options, about=1e-6)


#: Of each segment how many visitors, around the thirty below which nothing is compared, and how many in a hundred convert.
CROWDS = st.tuples(st.sampled_from([1, 29, 30, 31, 80]), st.integers(0, 100))


@settings(EXAMPLES, max_examples=scale(20, 1_000))
@given(CROWDS, CROWDS)
def test_compare_segments_of_many(first: tuple[int, int], second: tuple[int, int]) -> None:
    """Enough visitors for a verdict; the interval is that of the score test, found by halving."""
    history = []
    for country, (visitors, hundredths) in (("", first), ("DE", second)):
        for number in range(visitors):
            won = number < visitors * hundredths // 100
            event = {"anonymous_id": f"{country}{number}", "timestamp": format_instant(START)}
            names = ["$pageview", "signup"] if won else ["$pageview"]
            history += [event | {"event": name, "landing": {}, "country": country} for name in names]
    ledger = ledger_of(history)
    a, b = ([{"field": "country", "op": "eq", "value": country}] for country in ("", "DE"))
    for options in ({"a": a, "b": b}, {"a": b, "b": []}):
        check(ledger, "compare_segments", (START, START + 1), {"goal": "signup", **options}, about=1e-6)


@settings(EXAMPLES, max_examples=scale(60, 1_000))
@given(
    HISTORIES,
    questions({}, {"event": st.sampled_from(["$pageview", "never"]), "limit": st.sampled_from([1, 20])}),
    st.sampled_from([0, 100]),
)
def test_describe_schema(history: list[dict[str, Any]], asked: list[Any], days_before: int) -> None:
    """Also of windows that are too long for the uniques of the roll-up."""
    ledger = ledger_of(history)
    for (start, end), options in asked:
        check(ledger, "describe_schema", (start - days_before * DAY_MS, end), options, about=1e-9)
