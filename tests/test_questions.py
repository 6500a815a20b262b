"""docs/questions.md, call by call: every answer in it is what the service answers.

The demo data is only read. What a conversation writes goes to a project of its own, which no other conversation uses.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any, NamedTuple

import pytest

from analytics.erasure import TOKEN_LIFE_MS
from analytics.window import parse_instant
from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
from tests.house import ROOT, Service
from tests.ledger import Ledger
from tests.test_demo_answers import NOW, ledgers

_CALL = re.compile(
    r"^`(?P<tool>\w+)` on (?:`(?P<site>[\w-]+)`|the account)(?P<writes>, with its `sk_` key)?:\n\n"
    r"```json\n(?P<call>.+?)\n```\n\n```json\n(?P<answer>.+?)\n```"
    r"(?:\n\nBehind the rows:\n\n```json\n(?P<behind>.+?)\n```)?",
    re.MULTILINE | re.DOTALL,
)
#: What no page can know, alone in its string: the first answer that has it names it, what follows may use the name.
_NAMED = re.compile(r"<[a-z ]+>")
DOCUMENT = (ROOT / "docs" / "questions.md").read_text()
DEMO = {"demo-shop": "Demo Shop", "demo-saas": "Demo SaaS"}


class Call(NamedTuple):
    tool: str
    site: str | None
    writes: str | None
    call: str
    answer: str
    behind: str | None


class Conversation(NamedTuple):
    question: str
    calls: list[Call]


def _conversations(document: str) -> list[Conversation]:
    _, *sections = re.split(r"^## ", document, flags=re.MULTILINE)
    return [
        Conversation(section.split("\n", 1)[0], [Call(**one.groupdict()) for one in _CALL.finditer(section)])
        for section in sections
    ]


CONVERSATIONS = _conversations(DOCUMENT)


def test_every_question_is_a_conversation() -> None:
    """Every block of JSON of the page is part of a call that is made: none is passed by for its form."""
    assert [one.question for one in CONVERSATIONS if not one.calls] == []
    parts = [
        part for one in CONVERSATIONS for call in one.calls for part in (call.call, call.answer, call.behind)
    ]
    assert DOCUMENT.count("```json\n") == len(parts) - parts.count(None)


def test_every_tool_is_asked() -> None:
    asked = {call.tool for one in CONVERSATIONS for call in one.calls}
    assert asked == {tool.name for tool in (*PROJECT_TOOLS, *ACCOUNT_TOOLS)}


def test_what_is_written_is_read_by_no_other_question() -> None:
    of_site: dict[str, set[str]] = defaultdict(set)
    for one in CONVERSATIONS:
        for call in one.calls:
            assert call.site not in DEMO or call.writes is None, one.question
            if call.site is not None and call.site not in DEMO:
                of_site[call.site].add(one.question)
    assert [site for site, questions in of_site.items() if len(questions) > 1] == []


def test_the_calls_of_questions_md_give_its_answers(service: Service) -> None:
    demo = service.account("business", *DEMO.values())  # type: ignore[attr-defined]
    ledgers(service, demo["projects"], NOW, scale=0.05)
    own = sorted({call.site for one in CONVERSATIONS for call in one.calls if call.site} - DEMO.keys())
    written = service.account("business", *own)["projects"]  # type: ignore[attr-defined]
    projects = {project["slug"]: project for project in [*demo["projects"], *written]}
    for one in CONVERSATIONS:
        known: dict[str, str] = {}
        for call in one.calls:
            keys = demo["account"] if call.site is None else projects[call.site]
            kind = "ak" if call.site is None else "sk" if call.writes else "rk"
            asked = {"name": call.tool, "arguments": said(json.loads(call.call), known)}
            path = "/mcp/account" if call.site is None else "/mcp"
            result = service.rpc(keys[kind], "tools/call", asked, path, **Ledger.at("DE"))["result"]
            expected = json.loads(call.answer)
            answer, *behind = (json.loads(block["text"]) for block in result["content"])
            assert result["isError"] is ("error" in expected), (one.question, call.call, answer)
            learn(expected, answer, known)
            assert near(answer) == near(said(expected, known)), (one.question, call.call)
            hints = [one for one in behind if "truncated" not in one]
            assert hints == ([json.loads(call.behind)] if call.behind else []), (one.question, call.call)
            if "expires_at" in expected:
                assert 0 < parse_instant(answer["expires_at"]) - service._now_ms() <= TOKEN_LIFE_MS


def said(value: Any, known: dict[str, str]) -> Any:
    """With every name replaced by what it stands for."""
    if isinstance(value, list):
        return [said(one, known) for one in value]
    if isinstance(value, dict):
        return {name: said(one, known) for name, one in value.items()}
    return known[value] if isinstance(value, str) and _NAMED.fullmatch(value) else value


def learn(expected: Any, answer: Any, known: dict[str, str]) -> None:
    """What the names stand for that the answer tells for the first time: ids, tokens and times, none of them short."""
    if isinstance(expected, list) and isinstance(answer, list):
        for wanted, found in zip(expected, answer, strict=False):
            learn(wanted, found, known)
    elif isinstance(expected, dict) and isinstance(answer, dict):
        for name in expected.keys() & answer.keys():
            learn(expected[name], answer[name], known)
    elif isinstance(expected, str) and _NAMED.fullmatch(expected) and expected not in known:
        assert isinstance(answer, str), (expected, answer)
        assert len(answer) >= 10, (expected, answer)
        known[expected] = answer


def test_names_stand_for_what_was_told_first() -> None:
    known: dict[str, str] = {}
    learn([{"token": "<token>", "events": 3}], [{"token": "a token of a call", "events": 4}], known)
    assert known == {"<token>": "a token of a call"}
    learn({"token": "<token>"}, {"token": "a token of another"}, known)
    assert said({"token": "<token>", "of": ["<token>", "<"]}, known) == {
        "token": "a token of a call",
        "of": ["a token of a call", "<"],
    }
    for unlike in (7, None, "", "short"):
        with pytest.raises(AssertionError):
            learn("<other>", unlike, known)
    with pytest.raises(KeyError):
        said({"token": "<other>"}, known)


def near(value: Any) -> Any:
    """Fractions to twelve digits: the runtimes may differ in the last one."""
    if isinstance(value, list):
        return [near(one) for one in value]
    if isinstance(value, dict):
        return {name: near(one) for name, one in value.items()}
    return round(value, 12) if isinstance(value, float) else value
