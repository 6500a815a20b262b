"""Every answer of an MCP endpoint is held against its tool's schema at once, the protocol's at the end of the run."""

from __future__ import annotations

import functools
import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.protocol import ASSUMED_VERSION
from mcp.rows import Rows
from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
from tests.json_schema import misfits

if TYPE_CHECKING:
    from tests.house import Answer

TOOLS: Final = {"/mcp": PROJECT_TOOLS, "/mcp/account": ACCOUNT_TOOLS}
VERSION_HEADER: Final = "mcp-protocol-version"

#: Each different result once, as a line `[version, method, result]`; of each tool the first ones, since a night's
#: thousands of generated cases differ in their rows, which the protocol's models do not look into.
RESULTS: Final[dict[str, None]] = {}
MAX_RESULTS_OF_ONE: Final = 1_000
_kept: Final[Counter[tuple[str, str, str]]] = Counter()


@functools.cache
def output_schemas(path: str) -> dict[str, dict[str, Any]]:
    """As `tools/list` shows them."""
    return {tool.name: tool.listing()["outputSchema"] for tool in TOOLS[path]}


@functools.cache
def declared(path: str) -> dict[str, Any]:
    return {tool.name: tool.output for tool in TOOLS[path]}


def unlike(structured: dict[str, Any], output: Any) -> list[str]:
    """What `minProperties` leaves open: a column that is always there has to be, whatever else there is."""
    if not isinstance(output, Rows):
        return []
    lacking = [f"lacks {name}" for name in ("window", "truncated", "meta") if name not in structured]
    return lacking + [
        f"a row lacks {set(output.columns) - row.keys()}"
        for row in structured["rows"]
        if output.columns.keys() - row.keys()
    ]


def watch(path: str, headers: Mapping[str, str], body: bytes, answer: Answer) -> None:
    """Checks an answer of an MCP endpoint against what it answers; others pass by."""
    kind = answer.headers.get("content-type")
    if path not in TOOLS or kind not in ("application/json", "text/event-stream"):
        return
    try:
        asked = json.loads(body)
    except ValueError:
        return
    replied = answer.json if kind == "application/json" else streamed(answer.text)
    asked = asked if isinstance(asked, list) else [asked]
    version = headers.get(VERSION_HEADER, ASSUMED_VERSION).strip()
    by_id = {repr(one.get("id")): one for one in asked if isinstance(one, dict)}
    for message in replied if isinstance(replied, list) else [replied]:
        request = by_id.get(repr(message.get("id")))
        if request and "result" in message:
            _check(path, version, request, message["result"])


def streamed(text: str) -> list[Any]:
    """The messages of a stream of server-sent events."""
    return [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")
    ]


def _check(path: str, version: str, request: dict[str, Any], result: dict[str, Any]) -> None:
    method = request["method"]
    if method == "initialize":
        version = result["protocolVersion"]
    of = (version, method, str(request.get("params", {}).get("name", "")))
    if _kept[of] < MAX_RESULTS_OF_ONE or result.get("isError"):
        _kept[of] += 1
        RESULTS[json.dumps([version, method, result])] = None
    asks = result.get("resultType") == "input_required"
    if method == "tools/call" and not result.get("isError") and not asks:
        name = request["params"]["name"]
        structured = result["structuredContent"]
        wrong = misfits(structured, output_schemas(path)[name]) + unlike(structured, declared(path)[name])
        assert not wrong, f"{name} does not keep to its outputSchema: {wrong[:5]}"
        text = json.loads(result["content"][0]["text"])
        assert text == structured.get("rows", structured), (
            f"{name} says one thing as text, another as structure"
        )


def against_the_protocol(python: str) -> str:
    """What the official models say of every result seen; empty when they have nothing to say."""
    if not RESULTS:
        return ""
    command = [python, "-I", "tests/clients/check_results.py"]
    done = subprocess.run(command, input="\n".join(RESULTS), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout[-4000:] + done.stderr[-4000:]
