"""Every tool's answer on generated events equals the brute force over the raw rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.window import format_instant
from storage import funnel_sparse
from tests.emptied import house_with
from tests.house import InProcess
from tests.ledger import Ledger
from tests.scale import scale

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START = 1_777_593_600_000  # 2026-05-01T00:00:00Z, a Friday
NAMES = ["view", "cart", "buy", 'it\'s 100% "new"']
LANDINGS: list[dict[str, str]] = [
    {},
    {"url": "https://site.example/"},
    {"url": "https://site.example/a?utm_source=news&utm_medium=email&utm_campaign=spring"},
    {"url": "https://site.example/a?utm_source=facebook&utm_medium=cpc"},
    {"url": "https://site.example/b", "referrer": "https://www.google.com/"},
    {"url": "https://site.example/", "path": ""},
]
#: Around hours, days, a week's and a month's start, and a conversion window's end, each instant often drawn twice.
OFFSETS = [
    -1, 0, 1, 2, HOUR_MS - 1, HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1, 2 * DAY_MS, 3 * DAY_MS - 1, 3 * DAY_MS,
    14 * DAY_MS, 14 * DAY_MS + 1, 14 * DAY_MS + 2, 31 * DAY_MS - 1, 31 * DAY_MS,
]  # fmt: skip
INSTANTS = st.sampled_from([START + offset for offset in OFFSETS])
KEYS = ["amount", "a.b", "$"]
VALUES: list[Any] = [
    0,
    1,
    1.0,
    2.5,
    -3,
    True,
    False,
    None,
    "",
    "1",
    "a",
    "ab",
    "É",
    "{}",
    {},
    [1],
    {"amount": 1},
]
SCALARS = st.sampled_from([value for value in VALUES if isinstance(value, (str, int, float))])
DIMENSIONS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]
OPERATORS = ["eq", "neq", "in", "not_in", "contains", "starts_with", "gt", "gte", "lt", "lte", "exists"]
DEVICES = ["", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36"]

EVENTS = st.fixed_dictionaries(
    {
        "event": st.sampled_from(NAMES),
        "anonymous_id": st.sampled_from(["ann", "bob", "cyd"]),
        "timestamp": INSTANTS.map(format_instant),
        "landing": st.sampled_from(LANDINGS),
        "country": st.sampled_from(["", "DE"]),
        "user_agent": st.sampled_from(DEVICES),
    },
    optional={
        "user_id": st.sampled_from(["u1", "u2"]),
        "properties": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2),
    },
)
HISTORIES = st.lists(EVENTS, max_size=14)
WINDOWS = st.tuples(INSTANTS, INSTANTS).filter(lambda ends: ends[0] < ends[1])
GROUPINGS = st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=3)
LIMITS = st.sampled_from([1, 2, 3, 100])
EXAMPLES = settings(
    max_examples=scale(120, 1_000), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def ledger_of(history: list[dict[str, Any]]) -> Ledger:
    """The events in a fresh house, beside a neighbour's that no answer may show."""
    noise = [{"event": name, "anonymous_id": "ann", "timestamp": format_instant(START)} for name in NAMES]
    house, account = house_with(noise, "2026-06-01T00:00:00Z")
    ledger = Ledger(house, account["projects"][0])
    batches: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for place, drawn in enumerate(history):
        event = {name: drawn[name] for name in drawn if name not in ("landing", "country", "user_agent")}
        event |= {"event_id": f"e{place}", **drawn["landing"]}
        batches.setdefault((drawn["country"], drawn["user_agent"]), []).append(event)
    for (country, user_agent), events in batches.items():
        ledger.send(events, country=country, user_agent=user_agent)
    return ledger


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from([*DIMENSIONS, *(f"properties.{key}" for key in KEYS)]))
    op = draw(st.sampled_from(OPERATORS))
    texts = st.sampled_from(
        ["", "a", "DE", "/a", "google", "paid", "mobile", "desktop", "chrome", "spring", "É"]
    )
    values = {
        "in": st.lists(SCALARS | texts, min_size=1, max_size=3),
        "not_in": st.lists(SCALARS | texts, min_size=1, max_size=3),
        "contains": texts,
        "starts_with": texts,
        "exists": st.booleans(),
        "eq": SCALARS | texts,
        "neq": SCALARS | texts,
    }
    comparable = SCALARS.filter(lambda value: not isinstance(value, bool)) | texts
    return {"field": field, "op": op, "value": draw(values.get(op, comparable))}


STEPS = st.lists(
    st.sampled_from(NAMES)
    | st.builds(
        lambda event, conditions: {"event": event, "filters": conditions},
        st.sampled_from(NAMES),
        st.lists(filters(), max_size=2),
    ),
    min_size=2,
    max_size=4,
)


def plain(step: str | dict[str, Any]) -> dict[str, Any]:
    return {"event": step, "filters": []} if isinstance(step, str) else step


@EXAMPLES
@given(
    HISTORIES,
    st.lists(
        st.tuples(
            WINDOWS,
            st.fixed_dictionaries(
                {"metric": st.sampled_from(["count", "uniques"]), "group_by": GROUPINGS, "limit": LIMITS},
                optional={
                    "event": st.sampled_from([*NAMES, "never"]),
                    "interval": st.sampled_from(["hour", "day", "week", "month"]),
                },
            ),
        ),
        min_size=3,
        max_size=6,
    ),
)
def test_get_stats(history: list[dict[str, Any]], questions: list[Any]) -> None:
    ledger = ledger_of(history)
    for (start, end), options in questions:
        ledger.check_stats(start, end, **options)


@EXAMPLES
@given(
    HISTORIES,
    st.lists(
        st.tuples(WINDOWS, st.sampled_from(["source_medium", "source"]), LIMITS), min_size=2, max_size=4
    ),
)
def test_top_sources(history: list[dict[str, Any]], questions: list[Any]) -> None:
    ledger = ledger_of(history)
    for (start, end), breakdown, limit in questions:
        ledger.check_sources(start, end, breakdown=breakdown, limit=limit)


@EXAMPLES
@given(
    HISTORIES,
    st.lists(
        st.tuples(
            WINDOWS,
            st.fixed_dictionaries(
                {"limit": LIMITS},
                optional={
                    "event": st.sampled_from([*NAMES, "never"]),
                    "source": st.sampled_from(["facebook", "direct", "never"]),
                    "medium": st.sampled_from(["paid", "email", ""]),
                    "user_id": st.sampled_from(["u1", "u3"]),
                    "anonymous_id": st.sampled_from(["ann", "bob", "zoe"]),
                    "country": st.sampled_from(["DE", "", "FR"]),
                },
            ),
        ),
        min_size=3,
        max_size=6,
    ),
)
def test_query_events(history: list[dict[str, Any]], questions: list[Any]) -> None:
    ledger = ledger_of(history)
    for (start, end), options in questions:
        ledger.check_query(start, end, **options)
    ledger.check_recent()


@settings(EXAMPLES, max_examples=scale(250, 2_000))
@given(
    HISTORIES,
    st.lists(
        st.tuples(
            WINDOWS,
            STEPS,
            st.fixed_dictionaries(
                {"conversion_window_days": st.sampled_from([1, 2, 14, 366])},
                optional={"breakdown": st.sampled_from(DIMENSIONS)},
            ),
            st.sampled_from([{}, {"entry": "first"}, {"order": "any"}]),
            st.sampled_from([0, funnel_sparse._FOLLOWING, 1_000_000]),
        ),
        min_size=2,
        max_size=4,
    ),
)
def test_funnel(history: list[dict[str, Any]], questions: list[Any]) -> None:
    """`following` tips the statement's own choice of the cheaper way, so that every way is compared."""
    ledger = ledger_of(history)
    for (start, end), steps, options, mode, following in questions:
        if mode.get("order") == "any" and len({repr(plain(step)) for step in steps}) < len(steps):
            continue  # refused: such steps cannot be told apart
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(funnel_sparse, "_FOLLOWING", following)
            ledger.check_funnel(start, end, steps, **options, **mode)


LONG = st.lists(
    st.builds(lambda name, often: [name] * often, st.sampled_from(NAMES[:2]), st.integers(1, 7)),
    min_size=4,
    max_size=6,
).map(lambda runs: [name for run in runs for name in run][:20])


@settings(EXAMPLES, max_examples=scale(40, 1_000))
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES[:2]), st.sampled_from([0, 0, 1, HOUR_MS])), min_size=20, max_size=30
    ),
    LONG,
    st.sampled_from([{}, {"entry": "first"}]),
    st.sampled_from([{}, {"breakdown": "source"}]),
)
def test_funnels_of_up_to_twenty_steps(
    walk: list[tuple[str, int]], steps: list[str], mode: dict[str, str], breakdown: dict[str, str]
) -> None:
    """One visitor's long walk, of which many steps share an instant."""
    at, history = START, []
    for name, later in walk:
        at += later
        event = {"event": name, "anonymous_id": "ann", "timestamp": format_instant(at)}
        history.append({**event, "landing": LANDINGS[2], "country": "", "user_agent": ""})
    ledger = ledger_of(history)
    for end in (START + 1, START + DAY_MS):
        ledger.check_funnel(START, end, steps, conversion_window_days=1, **mode, **breakdown)


@pytest.mark.parametrize("following", [0, 1_000_000], ids=["follows visitors", "reads later steps"])
@pytest.mark.parametrize("breakdown", [{}, {"breakdown": "source"}], ids=["whole", "by source"])
@pytest.mark.parametrize("mode", [{}, {"entry": "first"}, {"order": "any"}], ids=str)
@pytest.mark.parametrize(("late_ms", "visitors"), [(-1, 1), (0, 1), (1, 0)])
def test_the_last_instant_of_the_conversion_window_still_counts(
    monkeypatch: pytest.MonkeyPatch,
    late_ms: int,
    visitors: int,
    mode: dict[str, str],
    breakdown: dict[str, str],
    following: int,
) -> None:
    monkeypatch.setattr(funnel_sparse, "_FOLLOWING", following)
    house = InProcess(now="2026-06-01T00:00:00Z")
    ledger = Ledger(house, house.account()["projects"][0])
    at = {"view": START, "cart": START + HOUR_MS, "buy": START + DAY_MS + late_ms}
    ledger.send(
        [
            {"event": name, "event_id": name, "anonymous_id": "ann", "timestamp": format_instant(ts_ms)}
            for name, ts_ms in at.items()
        ]
    )
    options = {"conversion_window_days": 1, **mode, **breakdown}
    window = {"from": format_instant(START), "to": format_instant(START + 1)}
    for steps in (["view", "cart", "buy"], ["view", "buy"]):
        ledger.check_funnel(START, START + 1, steps, **options)
        rows = house.rows(ledger.project["rk"], "funnel", **window, steps=steps, **options)
        assert [row["visitors"] for row in rows] == [*[1] * (len(steps) - 1), visitors]
