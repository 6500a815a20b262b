"""The benchmark, small and without its rivals: its events arrive as it says they do, and its questions agree with them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from analytics.scope import Project, Scope
from analytics.window import MS_PER_DAY, parse_instant
from bench.data import PROJECTS, Event, Generator, agent_of, slug
from bench.ours import Ours, Reply, Written, chunks, over_http, store_chunk, without_http
from bench.questions import Question, canonical, differences, limited, questions, worst_error
from bench.report import BEGIN, PAGE, kept, text, write
from bench.storage_part import Answers, Options, fill, measure, our_engines
from bench.tools_part import ASKED, arguments, table
from mcp.tools import PROJECT_TOOLS
from storage.database import Statement
from tests.clients.programs import node22
from tests.house import NOW, InProcess

EVENTS = 2_000
END_DAY = parse_instant(NOW) // MS_PER_DAY
GENERATOR = Generator(EVENTS, END_DAY)


@pytest.fixture(scope="module")
def filled() -> tuple[InProcess, dict[str, Any]]:
    """The benchmark's events, sent as the benchmark sends them: by project and country."""
    house = InProcess()
    keys = house.account("business", *map(slug, range(PROJECTS)))
    sent: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in GENERATOR.events():
        sent[event.place, event.country].append(event)
    for (place, country), events in sent.items():
        bodies = [event.sent() for event in events]
        headers = {"x_test_country": country, "user_agent": agent_of(country)}
        house.track(keys["projects"][place]["sk"], *bodies, **headers)
    return house, keys


def asked(house: InProcess) -> list[Question]:
    numbers = [
        row["number"] for row in house.db.connection.execute("SELECT number FROM projects ORDER BY slug")
    ]
    return questions(END_DAY, numbers[0], numbers)


def run(house: InProcess, statement: Statement) -> list[dict[str, Any]]:
    return asyncio.run(house.db.batch([statement]))[0].rows


def slugs(house: InProcess) -> dict[int, str]:
    return {
        row["number"]: row["slug"] for row in house.db.connection.execute("SELECT number, slug FROM projects")
    }


def test_the_same_seed_gives_the_same_events() -> None:
    first, second = ([event.row() for event in Generator(500, END_DAY).events()] for _ in range(2))
    assert first == second
    assert first != [event.row() for event in Generator(500, END_DAY, seed=1).events()]


def test_every_event_exists_once_and_half_of_them_belong_to_the_first_project() -> None:
    events = list(GENERATOR.events())
    assert len({event.event_id for event in events}) == EVENTS
    assert Counter(event.place for event in events)[0] == EVENTS // 2
    assert {event.ts // MS_PER_DAY for event in events} == set(range(END_DAY - 90, END_DAY))


def test_what_goes_over_http_and_the_rest_are_all_events() -> None:
    posted = [event.event_id for batch in over_http(GENERATOR, 200) for event in batch.events]
    others = [event.event_id for event in without_http(GENERATOR, 200)]
    assert len(posted) > 50
    assert sorted(posted + others) == sorted(event.event_id for event in GENERATOR.events())


def test_tools_sql_and_raw_scan_agree_on_every_question(filled: tuple[InProcess, dict[str, Any]]) -> None:
    house, keys = filled
    house.fold()
    for question in asked(house):
        key = keys["account"]["ak"] if question.path == "/mcp/account" else keys["projects"][0]["rk"]
        arguments = {
            f"{name}_" if name == "from" else name: value for name, value in question.arguments.items()
        }
        tool = canonical(question, house.rows(key, question.tool, question.path, **arguments), {})
        assert tool, question.name
        for statement in (question.ours, question.raw or question.ours):
            rows = limited(question, run(house, statement))
            assert canonical(question, rows, slugs(house)) == tool, question.name


def test_events_stored_directly_give_the_same_answers(filled: tuple[InProcess, dict[str, Any]]) -> None:
    other = InProcess()
    keys = other.account("business", *map(slug, range(PROJECTS)))
    key_ids = {
        row["project"]: row["id"]
        for row in other.db.connection.execute("SELECT * FROM api_keys WHERE kind = 'sk'")
    }
    numbers = {name: number for number, name in slugs(other).items()}
    for chunk in chunks(GENERATOR.events()):
        number = numbers[slug(chunk[0].place)]
        project = Project(number, keys["projects"][chunk[0].place]["id"], slug(chunk[0].place), "")
        asyncio.run(store_chunk(other.db, Scope(key_ids[number], keys["account"]["id"], (project,)), chunk))
    for house in (filled[0], other):
        house.fold()
    for first, second in zip(asked(filled[0]), asked(other), strict=True):
        expected = canonical(first, run(filled[0], first.ours), slugs(filled[0]))
        assert canonical(second, run(other, second.ours), slugs(other)) == expected, first.name


def test_sources_are_what_the_generator_says(filled: tuple[InProcess, dict[str, Any]]) -> None:
    """So the other engines, which are loaded with the generator's columns, hold what the service made of the events."""
    house, keys = filled
    question = asked(house)[0]
    start = (END_DAY - 30) * MS_PER_DAY
    mine = [event for event in GENERATOR.events() if event.place == 0 and event.ts >= start]
    expected = [
        {
            "source": origin.source,
            "medium": origin.medium,
            "events": sum(event.origin is origin for event in mine),
            "uniques": len({event.anonymous_id for event in mine if event.origin is origin}),
        }
        for origin in {id(event.origin): event.origin for event in mine}.values()
    ]
    arguments = {f"{name}_" if name == "from" else name: value for name, value in question.arguments.items()}
    given = house.rows(keys["projects"][0]["rk"], "top_sources", "/mcp", **arguments)
    assert canonical(question, given, {}) == canonical(question, expected, {})


def test_answers_that_differ_are_counted() -> None:
    assert differences([("a", 1), ("b", 2)], [("a", 1), ("b", 2)]) == 0
    assert differences([("a", 1), ("b", 2)], [("a", 1), ("b", 3)]) == 2
    assert differences([("a", 1)], [("a", 1), ("a", 1)]) == 1
    assert worst_error([("a", 100), ("b", 10)], [("a", 98), ("b", 11)]) == pytest.approx(0.1)


def test_rows_for_the_other_engines_have_one_value_for_each_column() -> None:
    event = next(iter(GENERATOR.events()))
    values = event.row().split("\t")
    assert len(values) == 14
    assert json.loads(values[-1]) == {"value": event.value}


@pytest.mark.worker
def test_the_worker_is_filled_over_http_and_asked_by_sql_and_by_tool(tmp_path: Path) -> None:
    """As `npm run bench` does, without the rivals; what the Worker prints meanwhile is in nobody's way."""
    chosen = Options(EVENTS, EVENTS // 2, 1, tmp_path, Path(node22()), END_DAY)
    ours = Ours(tmp_path / "state", chosen.node)
    try:
        loaded = fill(ours, GENERATOR, chosen, lambda _text: None)
        assert (
            loaded["http"]["events"]
            + loaded["direct"]["p01"]["events"]
            + loaded["direct"]["others"]["events"]
            == EVENTS
        )
        assert loaded["added_up"]["octets"] > 100
        answers = measure(
            questions(END_DAY, ours.numbers[0], ours.numbers),
            our_engines(ours, 1),
            ours.slugs,
            1,
            lambda _text: None,
        )
    finally:
        ours.stop()
    assert len(answers) == 13
    for question, by_engine in answers.items():
        assert {"ours", "tool", "sqlite"} <= set(by_engine), question
        assert [one.differences for one in by_engine.values()] == [0] * len(by_engine), question


def test_a_measurement_ends_in_a_page_that_says_where_answers_differ(
    filled: tuple[InProcess, dict[str, Any]], tmp_path: Path
) -> None:
    house, _keys = filled
    house.fold()
    wrong = "visitors by country, 30 days"

    def lying(question: Question) -> Reply:
        rows = limited(question, run(house, question.raw or question.ours))
        return Reply(rows[1:] if question.name == wrong else rows, 1.0, 1.0)

    def honest(question: Question) -> Reply:
        return Reply(run(house, question.ours), 0.5, 0.5, 7)

    engines = {"ours": honest, "sqlite": honest, "tool": honest, "raw": honest, "duckdb": lying}
    answers = measure(asked(house), engines, slugs(house), 1, lambda _text: None)
    (tmp_path / "storage-2000.json").write_text(json.dumps(stored(answers)))
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())

    found = text(tmp_path, [EVENTS])
    write(found, page)
    lines = page.read_text().splitlines()
    assert found in page.read_text()
    assert kept(tmp_path) == []
    assert page.read_text().startswith(PAGE.read_text().split(BEGIN)[0])
    assert [line for line in lines if "differ**" in line] == [
        line for line in lines if line.startswith(f"| {wrong} | 0.50")
    ]
    assert sum("| all equal |" in line for line in lines) == len(answers) - 1
    assert "| rows that differ between engines | 0 | 0 | 1 |" in lines
    assert "| bytes an event | ≤ 220 | ≤ 180 | 200 |" in lines


def stored(answers: Answers) -> dict[str, Any]:
    """A result as the benchmark keeps it, with round costs."""
    written = asdict(Written(events=1_000, rows_read=50_000, rows_written=1_500))
    http = {"events": 200, "batches": 2, "refused": 0, "seconds": 1.0, "cpu_s": 0.1}
    direct = {"p01": written, "others": written}
    result = {
        "events": EVENTS,
        "days": 90,
        "runs": 1,
        "rivals": {},
        "loaded": {
            "http": http,
            "direct": direct,
            "direct_s": 1.0,
            "bytes": 200 * EVENTS,
            "added_up": {"octets": 200, "seconds": 2.0, "rows_written": 500},
        },
        "answers": {
            name: {engine: asdict(one) for engine, one in by.items()} for name, by in answers.items()
        },
    }
    return {"at": "2026-05-20 12:00 UTC", "machine": "a machine", "result": result}


def test_every_reading_tool_is_measured_by_a_call_that_works(
    filled: tuple[InProcess, dict[str, Any]],
) -> None:
    house, keys = filled
    assert set(ASKED) == {tool.name for tool in PROJECT_TOOLS if tool.requires == "read"}
    for tool in ASKED:
        given = {f"{name}_": value for name, value in arguments(tool, END_DAY).items()}
        result = house.call(keys["projects"][0]["rk"], tool, **given)
        assert not result["isError"], (tool, result)


def test_the_table_of_tools_has_medians_and_rows() -> None:
    replies = [Reply([{}], ms, ms / 2, rows_read) for ms, rows_read in ((4.0, 9), (1000.0, 9), (2.0, 7))]
    assert table({"scan": replies}).splitlines()[2:] == ["| `scan` | 4 | 2 | 7 | 1 |"]
