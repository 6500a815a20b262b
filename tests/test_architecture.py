"""The arrows of the house, enforced on the source: who may import whom, and where bodies and SQL may be handled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import ROOT

SRC = ROOT / "src"
MODULES = sorted(SRC.rglob("*.py"))

#: Who may import which of our packages besides itself. `entry` wires and may import all.
MAY_IMPORT = {
    "web": {"mcp", "access", "analytics"},
    "mcp": {"access", "analytics"},
    "storage": {"access", "analytics"},
    "access": {"analytics"},
    "analytics": set(),
}
#: What only exists on Workers.
PLATFORM = {
    "workers",
    "js",
    "pyodide",
    "pyodide_js",
    "_pyodide_entrypoint_helper",
    "_cloudflare_compat_flags",
}
#: Who else may parse JSON: what we wrote ourselves into KV and D1. Bodies go through analytics.intake.parse_json.
READS_CHECKED_JSON = {
    "analytics/intake.py",
    "storage/bundle.py",
    "storage/d1.py",
    "storage/inbox.py",
    "storage/key_store.py",
    "storage/scanning.py",
    "storage/visits.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The top-level names a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield (node.module or "").split(".")[0]


def test_the_house_has_the_rooms_the_rules_are_about() -> None:
    assert {path.relative_to(SRC).parts[0] for path in MODULES} == {"entry.py", *MAY_IMPORT}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    room = path.relative_to(SRC).parts[0]
    if room == "entry.py":
        return
    found = set(imports(path))
    assert found & PLATFORM == set(), "only entry.py knows Workers"
    assert found & (MAY_IMPORT.keys() | {"entry"}) <= MAY_IMPORT[room] | {room}


def test_no_module_takes_the_name_of_one_of_the_standard_library_or_of_a_vendored_one() -> None:
    import sys

    taken = set(sys.stdlib_module_names) | {"pydantic", "pydantic_core", "workers", "asgi", "annotated_types"}
    assert {entry.stem for entry in SRC.iterdir()} & taken == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_bodies_are_parsed_by_the_guarded_parser_only(path: Path) -> None:
    """The standard library's parser dies on deep nesting, and takes the interpreter with it (security.md M1)."""
    parsers = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in (
            "loads",
            "load",
            "model_validate_json",
            "validate_json",
        ):
            parsers.add("unguarded")
        if isinstance(node, ast.Name) and node.id in ("from_json", "literal_eval", "eval", "exec"):
            parsers.add(node.id)
    allowed = {"from_json"} if name_of(path) in READS_CHECKED_JSON else set()
    assert parsers <= allowed


SQL = re.compile(r"\b(SELECT\s.*\bFROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE)\b", re.DOTALL)


@pytest.mark.parametrize("path", [path for path in MODULES if "storage" not in path.parts], ids=name_of)
def test_all_sql_is_in_storage(path: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert [text for text in texts if isinstance(text, str) and SQL.search(text)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_read_from_the_clock_the_environment_or_chance_at_import(path: Path) -> None:
    """The deploy keeps a snapshot of what import leaves behind, for every visitor alike."""
    tree = ast.parse(path.read_text())
    outside = [
        node
        for node in tree.body
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    for statement in outside:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                assert owner not in ("time", "datetime", "secrets", "random", "uuid", "os"), ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), name_of(path)


#: How Python opens a connection; JavaScript's `fetch` is reached only through PLATFORM.
NETWORK = {"aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "ssl", "urllib3", "xmlrpc"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_that_answers_asks_another_host(path: Path) -> None:
    """T-INJ-7: whatever a stranger wrote, there is nowhere to send it to."""
    tree = ast.parse(path.read_text())
    assert set(imports(path)) & NETWORK == set()
    opened = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "urllib"]
    named = {alias.name for node in opened for alias in node.names} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert named & {"request", "urllib.request", "urllib"} == set()
    assert "urllib.request" not in {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert [
        name for name in called if name.rpartition(".")[2] in ("fetch", "pyfetch", "XMLHttpRequest")
    ] == []
