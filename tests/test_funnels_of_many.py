"""Funnels of many visitors against the slow reference: medians of more than two, chains of several starts, every way."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from analytics.event import Event
from analytics.funnel import funnel_rows
from analytics.questions import FunnelQuestion
from analytics.window import MS_PER_DAY, MS_PER_HOUR
from storage import funnel_sparse
from storage.dictionary import hash63
from tests import reference
from tests.scale import scale
from tests.test_rollups import START, Folded, question

NAMES = ["view", "cart", "buy"]


def crowd(chance: random.Random) -> Folded:
    """Few or many visitors of a few weeks, close enough to each other that windows hold several chains."""
    visitors, hours = chance.choice([(2, 300), (9, 200), (40, 500)])

    def somebody(event: Event) -> Event:
        number = hash63(event.event_id)
        ts_ms = START + number % hours * MS_PER_HOUR + number % 2
        return replace(event, anonymous_id=f"v{number % visitors}", ts_ms=ts_ms, received_ms=ts_ms)

    return Folded(chance, chance.choice([60, 300]), somebody)


def asked(chance: random.Random) -> dict[str, Any]:
    steps: list[Any] = [chance.choice(NAMES) for _ in range(chance.choice([2, 3, 3, 4, 5, 7]))]
    if chance.random() < 0.3:
        place = chance.randrange(len(steps))
        source = {"field": "source", "op": "eq", "value": "facebook"}
        steps[place] = {"event": steps[place], "filters": [source]}
    return {
        "steps": steps,
        "conversion_window_days": chance.choice([1, 2, 7, 30]),
        "entry": chance.choice(["any", "any", "first"]),
    }


@pytest.mark.parametrize("seed", range(8))
def test_funnels_of_many_visitors_equal_the_reference(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    folded = crowd(chance)
    for _ in range(scale(25, 1_000)):
        start = START + chance.randrange(12) * MS_PER_DAY + chance.choice([0, 0, MS_PER_HOUR])
        end = start + chance.choice([1, 3, 21]) * MS_PER_DAY + chance.choice([0, 0, 1])
        given = asked(chance)
        monkeypatch.setattr(funnel_sparse, "_FOLLOWING", chance.choice([0, 1_000_000]))
        wanted = question(FunnelQuestion, start, end, given)
        counts = asyncio.run(folded.store.funnel(folded.scope, wanted))
        rows = funnel_rows(wanted, counts.steps, [None])
        days = given.pop("conversion_window_days")
        expected = reference.funnel(folded.rows, from_ms=start, to_ms=end, window_days=days, **given)
        for row in (*rows, *expected):
            row["mean_seconds"] = None if row["mean_seconds"] is None else round(row["mean_seconds"], 6)
        assert rows == expected, (given, days, start, end)
