"""docs/questions.md, call by call: every answer in it is what the service answers on the demo data."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tests.house import ROOT, Service
from tests.test_demo_answers import NOW, ledgers

_CONVERSATION = re.compile(
    r"^## (?P<question>.+?)\n.*?^`(?P<tool>\w+)` on `(?P<site>[\w-]+)`:\n\n"
    r"```json\n(?P<call>.+?)\n```\n\n```json\n(?P<answer>.+?)\n```",
    re.MULTILINE | re.DOTALL,
)
DOCUMENT = (ROOT / "docs" / "questions.md").read_text()


class Conversation(NamedTuple):
    question: str
    tool: str
    site: str
    call: str
    answer: str


CONVERSATIONS = [Conversation(**found.groupdict()) for found in _CONVERSATION.finditer(DOCUMENT)]


def test_every_question_is_a_conversation() -> None:
    assert [one.question for one in CONVERSATIONS] == re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)
    assert len(CONVERSATIONS) >= 10


def test_the_calls_of_questions_md_give_its_answers(service: Service) -> None:
    projects = service.account("business", "Demo Shop", "Demo SaaS")["projects"]  # type: ignore[attr-defined]
    ledgers(service, projects, NOW, scale=0.05)
    keys = {project["slug"]: project["rk"] for project in projects}
    for one in CONVERSATIONS:
        arguments: dict[str, Any] = json.loads(one.call)
        rows = service.rows(
            keys[one.site], one.tool, **{f"{name}_": value for name, value in arguments.items()}
        )
        assert near(rows) == near(json.loads(one.answer)), one.question


def near(value: Any) -> Any:
    """Fractions to twelve digits: the runtimes may differ in the last one."""
    if isinstance(value, list):
        return [near(one) for one in value]
    if isinstance(value, dict):
        return {name: near(one) for name, one in value.items()}
    return round(value, 12) if isinstance(value, float) else value
