"""A sample of visitors: only when the caller allows it and the budget is exceeded, whole visitors, an honest interval."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

from analytics.event import Event
from analytics.questions import StatsQuestion
from analytics.store import Answer
from storage.dictionary import hash63
from storage.event_sample import SAMPLED_BELOW
from storage.event_store import SqlEventStore
from tests.test_rollups import Folded

WINDOW = {"from": "2026-02-20", "to": "2026-04-10", "interval": "hour", "limit": 1000}


def ask(folded: Folded, budget: int, **arguments: Any) -> Answer:
    store = SqlEventStore(folded.db, folded.deferred.append, budget)
    question = StatsQuestion.model_validate({**WINDOW, **arguments})
    return asyncio.run(store.stats(folded.scope, question))


def many_visitors(seed: int, count: int, visitors: int) -> Folded:
    def somebody(event: Event) -> Event:
        return replace(event, anonymous_id=f"v{hash63(event.event_id) % visitors}")

    return Folded(random.Random(seed), count, somebody)


def test_within_the_budget_a_sample_is_never_taken() -> None:
    folded = many_visitors(1, 400, 300)
    exact = ask(folded, 0, group_by="source")
    assert not exact.sampled
    allowed = ask(folded, 400, group_by="source", sample=True)
    assert (allowed.rows, allowed.sampled) == (exact.rows, False)


def test_over_the_budget_only_who_allows_it_gets_a_sample() -> None:
    folded = many_visitors(1, 400, 300)
    assert not ask(folded, 10).sampled
    assert ask(folded, 10, sample=True).sampled


def test_a_sample_keeps_whole_visitors_and_scales_them_up() -> None:
    folded = many_visitors(1, 400, 300)
    kept = [event for event in folded.events if hash63(event.anonymous_id) < SAMPLED_BELOW]
    assert 0 < len(kept) < 100
    counted = ask(folded, 10, sample=True)
    assert sum(row["value"] for row in counted.rows) == 16 * len(kept)
    views = ask(folded, 10, sample=True, event="view", metric="uniques")
    hours = {(event.ts_ms // 3_600_000, event.anonymous_id) for event in kept if event.event_name == "view"}
    assert sum(row["value"] for row in views.rows) == 16 * len(hours)


def test_the_interval_holds_the_exact_value_about_as_often_as_it_says() -> None:
    folded = many_visitors(2, 3000, 1500)
    inside = total = 0
    for column in ["source", "medium", "country", "browser", "path", "campaign", "event_name"]:
        # An event name with a column is answered from the events, so that a sample applies.
        for metric in ["count", "uniques"]:
            arguments = {
                "group_by": list(dict.fromkeys([column, "path"])),
                "metric": metric,
                "interval": None,
            }
            exact = ask(folded, 10, **arguments, event="view")
            rows = {tuple(list(row.values())[:-1]): row["value"] for row in exact.rows}
            for row in ask(folded, 10, **arguments, event="view", sample=True).rows:
                *labels, _value, low, high = row.values()
                inside += low <= rows[tuple(labels)] <= high
                total += 1
    assert total > 30
    assert inside / total > 0.85
