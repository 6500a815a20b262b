"""The skills in skills/: every `bash` block is run as it stands, and what the skill says comes back does come back."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.blocks import Block, blocks_of
from tests.house import ROOT
from tests.runtime import Runtime

SKILLS = sorted((ROOT / "skills").glob("*/SKILL.md"))
PAID = "https://site.example/?utm_source=facebook&utm_medium=cpc&fbclid=abc"


def event(name: str, visitor: str, day: int, **more: Any) -> dict[str, Any]:
    return {"event": name, "anonymous_id": visitor, "timestamp": f"2026-05-{day:02}T10:00:00Z", **more}


#: What the answers printed in millimetric-query are about.
MONTH = [
    *(event("$pageview", f"v{n}", 4, url=PAID, referrer="https://l.facebook.com/") for n in range(1, 7)),
    *(event("$pageview", f"v{n}", 5, referrer="https://www.google.com/") for n in (7, 8)),
    event("signup", "v2", 5),
    *(event("signup", f"v{n}", 6) for n in (1, 7, 8)),
    event("purchase", "v1", 7, properties={"amount_cents": 4200}),
    {"event": "login", "anonymous_id": "v1"},  # now: the only one of the last 30 days
]


def test_there_are_the_three_skills_that_users_install() -> None:
    assert [file.parent.name for file in SKILLS] == [
        "millimetric-mcp-setup",
        "millimetric-query",
        "millimetric-track",
    ]


@pytest.mark.parametrize("file", SKILLS, ids=lambda file: file.parent.name)
def test_a_skill_starts_with_its_name_and_what_it_is_for(file: Path) -> None:
    head, name, description, tail, *_ = file.read_text().splitlines()
    assert (head, name, tail) == ("---", f"name: {file.parent.name}", "---")
    assert re.fullmatch(r"description: [A-Z].{50,1000}\.", description)
    assert ": " not in description.removeprefix("description: "), "needs quotes in YAML"


def commands(file: Path) -> list[tuple[Block, Any]]:
    """Each `bash` block, with the answer that a `json` block after it promises, or None."""
    blocks = blocks_of(file)
    following = [*blocks[1:], Block("", "", 0)]
    return [
        (block, json.loads(after.text) if after.language == "json" else None)
        for block, after in zip(blocks, following, strict=True)
        if block.language == "bash"
    ]


def run(block: Block, url: str, keys: dict[str, str]) -> Any:
    """The JSON that a block's commands print."""
    environment = {
        "PATH": os.environ["PATH"],
        "MILLIMETRIC_URL": url,
        "MILLIMETRIC_READ_KEY": keys["rk"],
        "MILLIMETRIC_SERVER_KEY": keys["sk"],
    }
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (block.line, done.stdout, done.stderr)
    return json.loads(done.stdout)


def told(answer: Any) -> Any:
    """What an answer says: of a JSON-RPC message, the JSON text of its result."""
    if "jsonrpc" not in answer:
        return answer
    result = answer["result"]
    assert not result.get("isError"), result
    texts = result.get("content") or result.get("contents")
    return json.loads(texts[0]["text"]) if texts else result


@pytest.mark.worker
@pytest.mark.parametrize("file", SKILLS, ids=lambda file: file.parent.name)
def test_the_commands_of_a_skill_do_what_it_says(worker: Runtime, file: Path) -> None:
    keys = worker.account()["projects"][0]
    if file.parent.name != "millimetric-track":
        worker.track(keys["sk"], *MONTH)
    said = commands(file)
    assert len(said) >= 2
    for block, promised in said:
        answer = told(run(block, worker.url, keys))
        assert answer
        assert promised is None or answer == promised, block.line


@pytest.mark.worker
def test_the_client_configurations_of_the_setup_skill_connect(worker: Runtime) -> None:
    key = worker.account()["projects"][0]["rk"]
    configurations = [json.loads(b.text) for b in blocks_of(SKILLS[0]) if 'ervers"' in b.text]
    assert [list(one) for one in configurations] == [["mcpServers"], ["servers"]]
    for one in configurations:
        ((_, servers),) = one.items()
        server = servers["millimetric"]
        assert server["headers"] == {"Authorization": "Bearer rk_live_REPLACE_ME"}
        headers = {name: text.replace("rk_live_REPLACE_ME", key) for name, text in server["headers"].items()}
        path = server["url"].removeprefix("http://localhost:8787")
        tools = worker.post(path, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, **headers).json
        assert "top_sources" in [tool["name"] for tool in tools["result"]["tools"]]
