"""The folded store on the real D1, over HTTP: random questions equal the reference, and cost does not grow with traffic."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from analytics.attribution import classify
from analytics.window import MS_PER_DAY, MS_PER_HOUR, format_instant, parse_instant
from storage.dictionary import hash63
from tests import reference
from tests.runtime import Runtime
from tests.scale import scale

pytestmark = pytest.mark.worker

START = parse_instant("2026-03-01")
COMPARISONS = scale(150, 2_000)
PAGES = [
    ("https://site.example/?utm_source=facebook&utm_medium=cpc", None),
    ("https://site.example/", "https://www.facebook.com/"),
    ("https://site.example/a?utm_source=news&utm_medium=email&utm_campaign=spring", None),
    ("https://site.example/b", None),
]


def payloads(
    chance: random.Random, count: int, days: int, visitors: int, begin: int = START
) -> list[dict[str, Any]]:
    events = []
    for number in range(count):
        url, referrer = chance.choice(PAGES)
        ts_ms = begin + chance.randrange(days * 24) * MS_PER_HOUR + chance.choice([0, 1, MS_PER_HOUR - 1])
        event = {
            "event": chance.choice(["$pageview", "$pageview", "signup", "purchase"]),
            "event_id": f"e{number}",
            "anonymous_id": f"v{chance.randrange(visitors)}",
            "timestamp": format_instant(ts_ms),
            "url": url,
        }
        events.append(event | ({"referrer": referrer} if referrer else {}))
    return events


def row_of(payload: dict[str, Any]) -> reference.Row:
    attribution = classify(payload["url"], payload.get("referrer"))
    return reference.Row(
        project="",
        event_id=payload["event_id"],
        event_name=payload["event"],
        ts_ms=parse_instant(payload["timestamp"]),
        anonymous_id=payload["anonymous_id"],
        source=attribution.source,
        medium=attribution.medium,
        campaign=attribution.campaign,
        path=payload["url"].split("?")[0].removeprefix("https://site.example"),
        tie=hash63(payload["event_id"]),
    )


def send(worker: Runtime, key: str, chance: random.Random, events: list[dict[str, Any]]) -> None:
    """In random order and sizes, some of them twice."""
    sent = [*events, *chance.choices(events, k=len(events) // 6)]
    chance.shuffle(sent)
    while sent:
        size = chance.choice([1, 20, 90])
        worker.track(key, *sent[:size])
        sent = sent[size:]


def question(chance: random.Random, begin: int = START) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A tool, its arguments, and the same for the reference."""
    start = begin + chance.randrange(-2, 40) * MS_PER_DAY + chance.choice([0, 0, MS_PER_HOUR * 7, 1])
    end = start + chance.choice([1, 3, 7, 30, 60]) * MS_PER_DAY + chance.choice([0, 0, MS_PER_HOUR * 5, -1])
    window = {"from_": format_instant(start), "to": format_instant(end)}
    if chance.random() < 0.3:
        more: dict[str, Any] = {"breakdown": chance.choice(["source", "source_medium"]), "limit": 200}
        return "top_sources", {**window, **more}, {"from_ms": start, "to_ms": end, **more}
    more = {
        "metric": chance.choice(["count", "uniques"]),
        "group_by": chance.choice(
            [[], ["source", "medium"], ["campaign"], ["path"], ["event_name"], ["path", "source"]]
        ),
        "interval": chance.choice([None, None, "hour", "day", "week", "month"]),
        "event": chance.choice([None, None, "signup"]),
        "limit": 1000,
    }
    given = {name: value for name, value in more.items() if value not in (None, [])}
    return "get_stats", {**window, **given}, {"from_ms": start, "to_ms": end, **more}


def test_answers_from_the_real_d1_equal_the_reference(worker: Runtime) -> None:
    chance = random.Random(3)
    key = worker.account()["projects"][0]["sk"]
    events = payloads(chance, 400, 40, 12)
    send(worker, key, chance, events)
    rows = [row_of(payload) for payload in events]
    for _ in range(COMPARISONS):
        tool, arguments, same = question(chance)
        answer = worker.rows(key, tool, **arguments)
        expected = (reference.sources if tool == "top_sources" else reference.stats)(rows, **same)
        assert answer == expected, (tool, arguments)


def test_days_that_the_cron_has_added_up_answer_as_the_reference(worker: Runtime) -> None:
    """Late events between its runs; days so far back that the cron has them, and so near that retention does not."""
    chance = random.Random(5)
    begin = int(time.time()) // 86_400 * MS_PER_DAY - 50 * MS_PER_DAY
    key = worker.account()["projects"][0]["sk"]
    events = payloads(chance, 400, 50, 12, begin)
    for part in (events[:200], events[200:300], events[300:]):
        send(worker, key, chance, part)
        assert worker.get("/cdn-cgi/local/scheduled").status == 200
    rows = [row_of(payload) for payload in events]
    for late in (events[:0], payloads(random.Random(6), 20, 20, 12, begin)):
        for number, payload in enumerate(late):
            payload["event_id"] = f"late {number}"
        if late:
            worker.track(key, *late)
        rows += [row_of(payload) for payload in late]
        for _ in range(COMPARISONS // 2):
            tool, arguments, same = question(chance, begin)
            answer = worker.rows(key, tool, **arguments)
            expected = (reference.sources if tool == "top_sources" else reference.stats)(rows, **same)
            assert answer == expected, (tool, arguments)


#: What each question may read on 30 days of a few values, however many events there are.
BOUNDS = [
    ("top_sources", {}, 700),
    ("get_stats", {}, 60),
    ("get_stats", {"metric": "uniques", "group_by": "source"}, 400),
    ("get_stats", {"metric": "uniques", "interval": "day"}, 150),
    ("get_stats", {"group_by": "path"}, 400),
    ("get_stats", {"event": "signup", "metric": "uniques"}, 250),
]


def test_whole_days_cost_the_same_however_many_events_there_are(worker: Runtime) -> None:
    chance = random.Random(4)
    project = worker.account()["projects"][0]
    window = {"from_": format_instant(START), "to": format_instant(START + 30 * MS_PER_DAY)}
    events = payloads(chance, 1200, 30, 40)

    def rows_read() -> list[int]:
        worker.rows(project["rk"], "get_stats", **window)  # folds what waits
        answers = [worker.call(project["rk"], tool, **window, **more) for tool, more, _bound in BOUNDS]
        assert {answer["structuredContent"]["meta"]["tier"] for answer in answers} == {"daily"}
        return [answer["structuredContent"]["meta"]["rows_read"] for answer in answers]

    worker.track(project["sk"], *events[:600])
    before = rows_read()
    worker.track(project["sk"], *events[600:])
    after = rows_read()
    for read, more, (tool, arguments, bound) in zip(before, after, BOUNDS, strict=True):
        assert more <= bound, (tool, arguments, more)
        assert more <= read * 1.2, (tool, arguments, read, more)


EVENTS = 1200
#: What every other question may read for each event of its window: one row where it is scanned, one for each time it is
#: sorted or kept. The funnel reads its rarer steps only. Here nearly every event is a session of its own, a visitor has
#: three, most of whom convert, so that what is counted by session or visitor reads more for an event than it usually does.
READS = [
    ("query_events", {"limit": 50}, 0.85),  # however many events there are
    ("get_stats", {"interval": "hour"}, 3.5),
    ("get_stats", {"group_by": ["source", "campaign"], "metric": "uniques"}, 2.5),
    ("funnel", {"steps": ["$pageview", "signup", "purchase"]}, 7),
    ("funnel", {"steps": ["$pageview", "signup"], "order": "any"}, 17),
    ("overview", {}, 11.5),
    ("breakdown", {"by": "entry_page"}, 12),
    ("timeseries", {"metric": "bounce_rate"}, 15.5),
    ("sessions", {}, 1.5),
    ("paths", {}, 12.5),
    ("retention", {"born_event": "signup"}, 4.6),
    ("retention", {"born_event": "signup", "return_event": "purchase"}, 2.8),
    ("lifecycle", {}, 6.8),
    ("lifecycle", {"view": "stickiness"}, 3.8),
    ("lifecycle", {"timezone": "Europe/Berlin"}, 10),
    ("describe_schema", {}, 3.7),
    ("revenue", {"amount": "amount"}, 3.4),
    ("attribution", {"by": "source"}, 14),
    ("channel_roi", {"amount": "amount"}, 17.5),
    ("diagnose", {}, 5.3),
    ("diagnose", {"metric": "conversion_rate", "goal": "signup"}, 6.4),
    ("diagnose", {"metric": "events", "filters": [{"field": "source", "value": "news"}]}, 2.9),
    ("health", {"activation_event": "signup"}, 5.5),
    ("user_journey", {"anonymous_id": "v7"}, 0.07),
    ("compare_segments", {"goal": "signup", "a": [], "b": []}, 5),
]


def test_what_is_read_from_single_events_is_a_few_rows_for_each(worker: Runtime) -> None:
    project = worker.account()["projects"][0]
    window = {"from_": format_instant(START), "to": format_instant(START + 30 * MS_PER_DAY)}
    for seed in (5, 6):
        events = payloads(random.Random(seed), EVENTS // 2, 30, 400)
        worker.track(
            project["sk"],
            *(
                {**event, "event_id": f"{seed} {event['event_id']}", "properties": {"amount": number % 20}}
                for number, event in enumerate(events)
            ),
        )
    worker.rows(project["rk"], "get_stats", **window)  # folds what waits
    for tool, more, rows in READS:
        answer = worker.call(project["rk"], tool, **window, **more)
        assert not answer.get("isError"), answer
        read = answer["structuredContent"]["meta"]["rows_read"]
        assert 0 < read <= rows * EVENTS, (tool, more, read / EVENTS)


VISIT_EVENTS = 6
#: What the reports that cut sessions may read for each event, where a visit has several, as visits do: every event twice,
#: along the key and in the order of visitors; the rest is for each half hour of a visit, and for `paths` each pageview.
READS_OF_VISITS = [
    ("overview", {"goal": "signup"}, 4),
    ("timeseries", {"metric": "bounce_rate"}, 4.8),
    ("breakdown", {"by": "entry_page", "metric": "bounce_rate"}, 4.1),
    ("breakdown", {"by": "country", "metric": "sessions"}, 5.4),
    ("breakdown", {"by": "path", "metric": "sessions", "goal": "signup"}, 7.8),
    ("timeseries", {"by": "exit_page", "metric": "sessions"}, 7.4),
    ("sessions", {}, 2.8),
    ("sessions", {"filters": [{"field": "source", "value": "direct"}]}, 6.1),
    ("paths", {}, 9.6),
    ("compare_segments", {"goal": "signup", "a": [{"field": "source", "value": "news"}], "b": []}, 4.5),
]


def visits(chance: random.Random, count: int, label: str) -> list[dict[str, Any]]:
    """So many events, a few minutes apart in visits of six."""
    events: list[dict[str, Any]] = []
    while len(events) < count:
        start_ms = START + chance.randrange(30 * 24 * 60) * 60_000
        visitor = f"v{chance.randrange(100)}"
        for place in range(VISIT_EVENTS):
            url, referrer = chance.choice(PAGES)
            event = {
                "event": "signup"
                if chance.random() < 0.05
                else chance.choice(["$pageview", "$pageview", "click"]),
                "event_id": f"{label}{len(events)}",
                "anonymous_id": visitor,
                "timestamp": format_instant(start_ms + place * 90_000),
                "url": url,
            }
            events.append(event | ({"referrer": referrer} if referrer else {}))
    return events


def test_what_cuts_sessions_reads_an_event_a_few_times(worker: Runtime) -> None:
    project = worker.account()["projects"][0]
    window = {"from_": format_instant(START), "to": format_instant(START + 30 * MS_PER_DAY)}
    for label in ("a", "b"):
        worker.track(project["sk"], *visits(random.Random(label), EVENTS // 2, label))
    worker.rows(project["rk"], "get_stats", **window)  # folds what waits
    over = []
    for tool, more, rows in READS_OF_VISITS:
        answer = worker.call(project["rk"], tool, **window, **more)
        assert not answer.get("isError"), answer
        read = answer["structuredContent"]["meta"]["rows_read"]
        if not 0 < read <= rows * EVENTS:
            over.append((tool, more, read / EVENTS))
    assert not over
