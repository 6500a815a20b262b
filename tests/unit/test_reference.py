"""The reference itself, on examples small enough to count by eye."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import (
    DAY_MS,
    Row,
    bucket_start,
    event_names,
    funnel,
    nearest_rank_median,
    query,
    satisfies,
    sources,
    stats,
)

MAY_1 = 1_777_593_600_000  # 2026-05-01T00:00:00Z, a Friday
HOUR_MS = 3_600_000


def row(event_name: str, at_ms: int, visitor: str = "ann", **columns: Any) -> Row:
    return Row(
        project="shop",
        event_id=f"{event_name}-{at_ms}-{visitor}-{columns.get('tie', 0)}",
        event_name=event_name,
        ts_ms=MAY_1 + at_ms,
        anonymous_id=visitor,
        **columns,
    )


MAY_DAY = {"from_ms": MAY_1, "to_ms": MAY_1 + DAY_MS}
VIEWS = [
    row("view", 0, "ann", source="google", medium="paid", country="DE", campaign="spring"),
    row("view", 1_000, "ann", source="google", medium="organic", country="DE"),
    row("view", HOUR_MS, "bob", source="google", medium="paid", country="FR", campaign="spring"),
    row("buy", HOUR_MS + 1, "bob", source="email", medium="email", country="FR"),
    row("view", DAY_MS, "cat", source="google", medium="paid", country="NL"),
]


class TestStats:
    def test_counts_events_in_a_half_open_window(self):
        assert stats(VIEWS, **MAY_DAY) == [{"value": 4}]

    def test_counts_distinct_visitors(self):
        assert stats(VIEWS, **MAY_DAY, metric="uniques") == [{"value": 2}]

    def test_counts_one_event_name_only(self):
        assert stats(VIEWS, **MAY_DAY, event="buy") == [{"value": 1}]

    def test_an_empty_window_has_a_zero_total_but_no_groups(self):
        nothing = {"from_ms": 0, "to_ms": 1}
        assert stats(VIEWS, **nothing) == [{"value": 0}]
        assert stats(VIEWS, **nothing, group_by=["country"]) == []

    def test_orders_groups_by_value_then_by_columns_with_none_first(self):
        assert stats(VIEWS, **MAY_DAY, group_by=["campaign", "country"]) == [
            {"campaign": None, "country": "DE", "value": 1},
            {"campaign": None, "country": "FR", "value": 1},
            {"campaign": "spring", "country": "DE", "value": 1},
            {"campaign": "spring", "country": "FR", "value": 1},
        ]
        assert stats(VIEWS, **MAY_DAY, group_by=["event_name"], limit=1) == [
            {"event_name": "view", "value": 3}
        ]

    def test_orders_buckets_before_values(self):
        assert stats(VIEWS, **MAY_DAY, group_by=["event_name"], interval="hour") == [
            {"bucket": "2026-05-01T00:00:00.000Z", "event_name": "view", "value": 2},
            {"bucket": "2026-05-01T01:00:00.000Z", "event_name": "buy", "value": 1},
            {"bucket": "2026-05-01T01:00:00.000Z", "event_name": "view", "value": 1},
        ]

    def test_a_returning_visitor_counts_in_every_bucket(self):
        rows = [row("view", 0), row("view", HOUR_MS)]
        assert [r["value"] for r in stats(rows, **MAY_DAY, metric="uniques", interval="hour")] == [1, 1]
        assert stats(rows, **MAY_DAY, metric="uniques", interval="day")[0]["value"] == 1

    @pytest.mark.parametrize(
        ("interval", "start"),
        [
            ("hour", "2026-05-03T23:00:00.000Z"),
            ("day", "2026-05-03T00:00:00.000Z"),
            ("week", "2026-04-27T00:00:00.000Z"),
            ("month", "2026-05-01T00:00:00.000Z"),
        ],
    )
    def test_buckets_start_in_utc_and_weeks_on_monday(self, interval, start):
        last_ms_of_sunday = MAY_1 + 3 * DAY_MS - 1
        assert bucket_start(last_ms_of_sunday, interval) == start


class TestSources:
    def test_counts_events_visitors_and_the_share_that_was_paid(self):
        assert sources(VIEWS, **MAY_DAY, breakdown="source") == [
            {"source": "google", "events": 3, "uniques": 2, "paid_share": 2 / 3},
            {"source": "email", "events": 1, "uniques": 1, "paid_share": 0.0},
        ]

    def test_breaks_ties_by_source_and_medium(self):
        assert sources(VIEWS, **MAY_DAY) == [
            {"source": "google", "medium": "paid", "events": 2, "uniques": 2, "paid_share": 1.0},
            {"source": "email", "medium": "email", "events": 1, "uniques": 1, "paid_share": 0.0},
            {"source": "google", "medium": "organic", "events": 1, "uniques": 1, "paid_share": 0.0},
        ]
        assert len(sources(VIEWS, **MAY_DAY, limit=2)) == 2


def test_query_returns_the_newest_matching_rows_first():
    assert query(VIEWS, **MAY_DAY, limit=2) == [VIEWS[3], VIEWS[2]]
    assert query(VIEWS, **MAY_DAY, filters={"event": "view", "source": "google", "country": "DE"}) == [
        VIEWS[1],
        VIEWS[0],
    ]


def test_event_names_come_most_frequent_first_then_by_name():
    rows = [row("b", 1), row("a", 2), row("c", 3), row("c", 4), row("late", DAY_MS)]
    assert event_names(rows, **MAY_DAY) == [
        {"event_name": "c", "count": 2},
        {"event_name": "a", "count": 1},
        {"event_name": "b", "count": 1},
    ]


@pytest.mark.parametrize(
    ("field", "op", "value", "holds"),
    [
        ("country", "eq", "DE", True),
        ("campaign", "eq", "spring", False),
        ("campaign", "neq", "spring", True),
        ("properties.plan", "in", ["team", "free"], True),
        ("properties.plan", "not_in", ["team", "free"], False),
        ("properties.missing", "not_in", ["team"], True),
        ("path", "contains", "ric", True),
        ("path", "contains", "RIC", False),
        ("path", "starts_with", "/pri", True),
        ("path", "starts_with", "pri", False),
        ("properties.cents", "gt", 1900, False),
        ("properties.cents", "gte", 1900, True),
        ("properties.cents", "lt", 1900.5, True),
        ("properties.cents", "lte", "9", False),
        ("properties.plan", "gt", "tea", True),
        ("properties.beta", "eq", 1, False),
        ("properties.beta", "gte", 0, False),
        ("properties.cents", "exists", True, True),
        ("properties.cents", "exists", None, True),
        ("properties.cents", "exists", False, False),
        ("properties.nothing", "exists", True, False),
        ("properties.a.b", "eq", "flat", True),
    ],
)
def test_a_filter_compares_only_like_with_like(field, op, value, holds):
    properties = {"plan": "team", "cents": 1900, "beta": True, "nothing": None, "a.b": "flat"}
    event = row("view", 0, country="DE", path="/pricing", properties=properties)
    assert satisfies(event, {"field": field, "op": op, "value": value}) is holds


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match="unknown operator 'like'"):
        satisfies(row("view", 0), {"field": "country", "op": "like", "value": "D%"})


def reached(rows: list[Row], steps: list[Any], **options: Any) -> list[tuple[int, float | None]]:
    """(visitors, median_seconds) of every step, over May 1 unless told otherwise."""
    return [(r["visitors"], r["median_seconds"]) for r in funnel(rows, steps, **{**MAY_DAY, **options})]


ONE_MINUTE = 60_000 / DAY_MS


class TestFunnel:
    def test_gives_whole_rows(self):
        rows = [
            row("view", 0, "ann"),
            row("cart", 10_000, "ann"),
            row("buy", 20_000, "ann"),
            row("view", 0, "bob"),
            row("cart", 30_000, "bob"),
            row("view", 0, "cat"),
            row("cart", 80_000, "cat"),
            row("view", 0, "dan"),
        ]
        assert funnel(rows, ["view", "cart", "buy"], **MAY_DAY) == [
            {
                "step": 1,
                "event": "view",
                "visitors": 4,
                "conversion_from_previous": 1.0,
                "conversion_from_first": 1.0,
                "dropped": 0,
                "median_seconds": None,
                "mean_seconds": None,
            },
            {
                "step": 2,
                "event": "cart",
                "visitors": 3,
                "conversion_from_previous": 0.75,
                "conversion_from_first": 0.75,
                "dropped": 1,
                "median_seconds": 30.0,
                "mean_seconds": 40.0,
            },
            {
                "step": 3,
                "event": "buy",
                "visitors": 1,
                "conversion_from_previous": 1 / 3,
                "conversion_from_first": 0.25,
                "dropped": 2,
                "median_seconds": 20.0,
                "mean_seconds": 20.0,
            },
        ]

    def test_without_visitors_there_are_no_rates_and_no_times(self):
        first, second = funnel([], ["view", "buy"], **MAY_DAY)
        for result in (first, second):
            assert result["visitors"] == 0
            assert result["conversion_from_previous"] is None
            assert result["conversion_from_first"] is None
            assert result["median_seconds"] is None

    def test_steps_must_come_in_order(self):
        assert reached([row("buy", 0), row("view", 1_000)], ["view", "buy"]) == [(1, None), (0, None)]

    def test_other_events_may_lie_between(self):
        rows = [row("view", 0), row("help", 1_000), row("view", 2_000), row("buy", 5_000)]
        assert reached(rows, ["view", "buy"]) == [(1, None), (1, 3.0)]

    def test_equal_instants_are_ordered_by_the_tie(self):
        assert reached([row("view", 0, tie=1), row("buy", 0, tie=2)], ["view", "buy"])[1] == (1, 0.0)
        assert reached([row("view", 0, tie=2), row("buy", 0, tie=1)], ["view", "buy"])[1] == (0, None)

    def test_one_event_is_not_two_steps(self):
        assert reached([row("view", 0)], ["view", "view"]) == [(1, None), (0, None)]
        assert reached([row("view", 0), row("view", 4_000)], ["view", "view"]) == [(1, None), (1, 4.0)]

    def test_the_start_lies_in_the_window_and_later_steps_may_not(self):
        early = [row("view", -1), row("buy", 1_000)]
        late = [row("view", DAY_MS - 1_000), row("buy", DAY_MS + 1_000)]
        after = [row("view", DAY_MS), row("buy", DAY_MS + 1_000)]
        assert reached(early, ["view", "buy"]) == [(0, None), (0, None)]
        assert reached(late, ["view", "buy"]) == [(1, None), (1, 2.0)]
        assert reached(after, ["view", "buy"]) == [(0, None), (0, None)]

    def test_the_conversion_window_includes_its_last_millisecond(self):
        in_time = [row("view", 0), row("buy", 60_000)]
        too_late = [row("view", 0), row("buy", 60_001)]
        assert reached(in_time, ["view", "buy"], window_days=ONE_MINUTE) == [(1, None), (1, 60.0)]
        assert reached(too_late, ["view", "buy"], window_days=ONE_MINUTE) == [(1, None), (0, None)]

    def test_any_entry_may_start_the_chain_or_only_the_first(self):
        rows = [row("view", 0), row("view", 50_000), row("buy", 70_000)]
        assert reached(rows, ["view", "buy"], window_days=ONE_MINUTE) == [(1, None), (1, 20.0)]
        assert reached(rows, ["view", "buy"], window_days=ONE_MINUTE, entry="first") == [(1, None), (0, None)]
        assert reached(rows, ["view", "buy"], entry="first") == [(1, None), (1, 70.0)]

    def test_each_step_has_its_own_first_completion_and_latest_start(self):
        rows = [
            row("view", 0),
            row("cart", 10_000),
            row("view", 30_000),
            row("cart", 38_000),
            row("buy", 45_000),
        ]
        assert reached(rows, ["view", "cart", "buy"]) == [(1, None), (1, 10.0), (1, 15.0)]

    def test_a_step_may_be_filtered(self):
        rows = [
            row("view", 0, country="DE"),
            row("buy", 1_000, properties={"amount_cents": 900}),
            row("buy", 2_000, properties={"amount_cents": 5000}),
        ]
        big = {
            "event": "buy",
            "filters": [{"field": "properties.amount_cents", "op": "gte", "value": 1000}],
        }
        german = {"event": "view", "filters": [{"field": "country", "op": "eq", "value": "DE"}]}
        french = {"event": "view", "filters": [{"field": "country", "op": "eq", "value": "FR"}]}
        assert reached(rows, [german, big]) == [(1, None), (1, 2.0)]
        assert reached(rows, [french, big]) == [(0, None), (0, None)]

    def test_a_visitor_belongs_to_the_group_of_the_start_that_went_furthest(self):
        rows = [
            row("view", 0, "ann", source="google"),
            row("view", 5_000, "ann", source="email"),
            row("buy", 9_000, "ann"),
            row("view", 20_000, "ann", source="bing"),
            row("view", 0, "bob", source="google"),
        ]
        assert [
            (r["source"], r["step"], r["visitors"])
            for r in funnel(rows, ["view", "buy"], **MAY_DAY, breakdown="source")
        ] == [("email", 1, 1), ("email", 2, 1), ("google", 1, 1), ("google", 2, 0)]

    def test_with_first_entry_the_group_is_that_of_the_first_start(self):
        rows = [row("view", 0, source="google"), row("view", 5_000, source="email"), row("buy", 9_000)]
        answer = funnel(rows, ["view", "buy"], **MAY_DAY, entry="first", breakdown="source")
        assert [(r["source"], r["visitors"]) for r in answer] == [("google", 1), ("google", 1)]

    def test_groups_come_largest_first_then_none_first(self):
        rows = [
            row("view", 0, "ann", campaign="b"),
            row("view", 0, "bob", campaign="b"),
            row("view", 0, "cat", campaign="a"),
            row("view", 0, "dan", campaign=None),
        ]
        answer = funnel(rows, ["view", "buy"], **MAY_DAY, breakdown="campaign")
        assert [r["campaign"] for r in answer if r["step"] == 1] == ["b", None, "a"]


class TestAnyOrder:
    def test_steps_count_in_whatever_order_they_come(self):
        rows = [row("buy", 0), row("view", 7_000)]
        assert reached(rows, ["view", "buy"], order="any") == [(1, None), (1, 7.0)]

    def test_all_steps_lie_within_the_window_of_the_start(self):
        rows = [row("buy", 0), row("view", 60_001)]
        assert reached(rows, ["view", "buy"], order="any", window_days=ONE_MINUTE) == [(1, None), (0, None)]

    def test_times_are_of_the_first_completion_from_its_latest_start(self):
        rows = [row("view", 0), row("view", 5_000), row("buy", 9_000), row("view", 9_500)]
        assert reached(rows, ["view", "buy"], order="any") == [(1, None), (1, 4.0)]

    def test_who_misses_step_1_in_the_window_misses_step_2(self):
        rows = [row("buy", DAY_MS - 1_000), row("view", DAY_MS + 1_000)]
        assert reached(rows, ["view", "buy"], order="any") == [(0, None), (0, None)]

    def test_the_group_is_that_of_the_first_step_1_event_from_the_start_on(self):
        rows = [
            row("view", 0, source="google"),
            row("buy", 70_000),
            row("view", 80_000, source="email"),
            row("view", 90_000, source="bing"),
        ]
        answer = funnel(
            rows, ["view", "buy"], **MAY_DAY, order="any", window_days=ONE_MINUTE, breakdown="source"
        )
        assert [(r["source"], r["visitors"]) for r in answer] == [("email", 1), ("email", 1)]

    def test_a_first_entry_is_refused(self):
        with pytest.raises(ValueError, match="no meaning without an order"):
            funnel([], ["view", "buy"], **MAY_DAY, order="any", entry="first")


def test_the_median_is_the_lower_middle_value():
    assert nearest_rank_median([40, 10, 30, 20]) == 20
    assert nearest_rank_median([3, 1, 2]) == 2
    assert nearest_rank_median([5]) == 5


def best_chain(history: list[Row], steps: list[str], window_ms: int) -> tuple[bool, float | None]:
    """Whether any choice of events is a chain, and the time of the one that completes first, started last."""
    chains = [
        chosen
        for chosen in itertools.product(history, repeat=len(steps))
        if [event.event_name for event in chosen] == steps
        and all(left.key < right.key for left, right in itertools.pairwise(chosen))
        and MAY_1 <= chosen[0].ts_ms < MAY_1 + 8
        and chosen[-1].ts_ms <= chosen[0].ts_ms + window_ms
    ]
    if not chains:
        return False, None
    completion = min(chain[-1].key for chain in chains)
    start = max(chain[0].key for chain in chains if chain[-1].key == completion)
    return True, (completion[0] - start[0]) / 1000


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-2, 12)), max_size=8),
    st.lists(st.sampled_from("ab"), min_size=2, max_size=3),
    st.integers(1, 10),
)
def test_taking_the_earliest_next_event_equals_trying_every_choice(events, steps, window_ms):
    history = [row(name, at_ms, tie=place) for place, (name, at_ms) in enumerate(events)]
    answer = funnel(history, steps, from_ms=MAY_1, to_ms=MAY_1 + 8, window_days=window_ms / DAY_MS)
    for k, result in enumerate(answer[1:], start=2):
        converted, seconds = best_chain(history, steps[:k], window_ms)
        assert (result["visitors"], result["median_seconds"]) == (int(converted), seconds)
