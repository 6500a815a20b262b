"""Runs the official clients as programs of their own against a URL; each reports what it saw in the same shape.

Shape: `version`; `tools`, `resources` and `prompts` (names); `calls` (`{text, structured, is_error}` or `{error}`, and
`progress`); `reads` and `prompted` (`{text}` or `{error}`); `completed` (`{values}` or `{error}`). Or only `refused`: what
the client says when there is no connection.
"""

from __future__ import annotations

import functools
import json
import subprocess
from typing import Any

from tests.house import ROOT
from tests.runtime import NODE


@functools.cache
def node22() -> str:
    """The Node that the project installs for itself; the TypeScript client and the Inspector need 22."""
    script = "import('./dev/setup.mjs').then(({ node22 }) => console.log(node22()))"
    return run([NODE, "-e", script]).stdout.strip()


def run(command: list[str], stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 or not check, done.stderr[-4000:]
    return done


def python_client(job: dict[str, Any]) -> dict[str, Any]:
    return _report([str(ROOT / ".venv-mcp/bin/python"), "-I", "tests/clients/python_client.py"], job)


def typescript_client(job: dict[str, Any]) -> dict[str, Any]:
    return _report([node22(), "tests/clients/typescript_client.mjs"], job)


def _report(command: list[str], job: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run(command, json.dumps(job)).stdout.splitlines()[-1])
    return report


def inspector(url: str, key: str, mode: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`npx @modelcontextprotocol/inspector --cli …`, one method a process."""
    command = [node22(), "node_modules/@modelcontextprotocol/inspector/" + _inspector_binary(), "--cli", url]
    command += ["--transport", "http", "--header", f"Authorization: Bearer {key}", "--format", "json"]
    return run([*command, "--protocol-era", mode, *arguments], check=False)


@functools.cache
def _inspector_binary() -> str:
    package = json.loads((ROOT / "node_modules/@modelcontextprotocol/inspector/package.json").read_text())
    binary = package["bin"]
    path: str = binary if isinstance(binary, str) else next(iter(binary.values()))
    return path
