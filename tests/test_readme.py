"""README says what is so: its tools are those served, its calls work as printed, its files exist."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from tests.house import ROOT, InProcess
from tests.runtime import Runtime

README = (ROOT / "README.md").read_text()
DOCUMENTS = list(ROOT.glob("*.md")) + list((ROOT / "docs").rglob("*.md"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_table_of_tools_is_the_list_of_tools(house: InProcess) -> None:
    account = house.account("business")
    keys = {"/mcp": account["projects"][0]["sk"], "/mcp/account": account["account"]["ak"]}
    places: dict[tuple[str, str], list[str]] = {}
    for path, key in keys.items():
        for tool in house.rpc(key, "tools/list", path=path)["result"]["tools"]:
            places.setdefault((tool["name"], tool["title"]), []).append(f"`{path}`")
    served = "\n".join(f"| `{name}` | {title} | {', '.join(at)} |" for (name, title), at in places.items())
    table = README.split("<!-- tools:")[1].split("|---|---|---|\n")[1].split("\n\n<!-- /tools -->")[0]
    assert table == served, f"README's table must be:\n{served}"


def test_every_resource_is_named(house: InProcess) -> None:
    account = house.account("business")
    keys = {"/mcp": account["projects"][0]["rk"], "/mcp/account": account["account"]["ak"]}
    for path, key in keys.items():
        for resource in house.rpc(key, "resources/list", path=path)["result"]["resources"]:
            assert resource["uri"].startswith("ui://") or f"`{resource['uri']}`" in README


def test_the_client_block_is_json_with_both_spellings_of_the_transport() -> None:
    server = json.loads(next(block for block in blocks("json") if "mcpServers" in block))["mcpServers"][
        "millimetric"
    ]
    assert (server["type"], server["transport"], server["url"]) == (
        "http",
        "http",
        "http://localhost:8787/mcp",
    )
    assert server["headers"]["Authorization"].startswith("Bearer rk_")


def test_every_npm_script_and_file_it_names_exists() -> None:
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    for document in DOCUMENTS:
        text = document.read_text()
        assert set(re.findall(r"npm run ([\w:]+)", text)) <= scripts.keys(), document.name
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
        for path in re.findall(r"`((?:src|dev|tests|docs)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_it_keeps_its_size() -> None:
    assert 120 <= README.count("\n") <= 200


@pytest.mark.worker
def test_the_calls_it_prints_work_as_printed(worker: Runtime) -> None:
    project = worker.account("pro")["projects"][0]
    calls = dict(re.findall(r"^```sh\n(curl .*?)^```\n.*?^```json\n(.*?)^```", README, re.M | re.S))
    top_sources, track, stats = calls
    assert shell(worker, project, track) == json.loads(calls[track])
    assert shell(worker, project, track) == {**json.loads(calls[track]), "duplicate": True}
    assert shell(worker, project, stats) == json.loads(calls[stats])
    rows = json.loads(shell(worker, project, top_sources)["result"]["content"][0]["text"])
    assert rows == [{"source": "facebook", "medium": "paid", "events": 1, "uniques": 1, "paid_share": 1.0}]
    assert [list(row) for row in json.loads(calls[top_sources])] == [list(rows[0])] * 2


def shell(worker: Runtime, project: dict[str, str], command: str) -> Any:
    """What a command prints when it is pasted into a shell that knows the keys."""
    command = command.replace("http://localhost:8787", worker.url)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "RK": project["rk"], "SK": project["sk"]}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)
