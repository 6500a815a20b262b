"""Part 2, the whole request: `top_sources` over HTTP, ours against the official TypeScript SDK and FastMCP.

All answer from the same database file with the same statement. Ours also checks a key, asks D1 whether it is still
valid and folds what waits; the others are without any of that. Two bare Workers without a protocol show what the local
runtime takes for the statement alone, whoever asks.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from analytics.questions import SourcesQuestion
from analytics.window import MS_PER_DAY, format_instant
from bench.data import PROJECTS
from bench.ours import Ours, Say, database_file
from bench.programs import ROOT, JsonLines, cpu_ms, resident_mb, stop
from bench.rivals import PYTHON
from storage.event_stats import plan_sources

CONNECTIONS: Final = (1, 16)
TURNS: Final = 5
SECONDS: Final = 4.0
COLD_STARTS: Final = 3
_MODERN: Final = "2026-07-28"
_LEGACY: Final = "2025-11-25"


@dataclass
class Server:
    """A running server: its address, its process, how it wants to be asked, and how it is stopped."""

    url: str
    pid: int
    requests: list[dict[str, Any]]
    stop: Callable[[], None]


@dataclass
class Load:
    """What one server did under one load, turn by turn."""

    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def run(folder: Path, node: Path, end_day: int, turns: int, seconds: float, say: Say) -> dict[str, Any]:
    """Shape: {server: {"cold_ms": […], "resident_mb", "loads": {connections: Load}}}."""
    starts: dict[str, Callable[[], Server]] = {
        "ours": lambda: _ours(folder, node, end_day),
        "typescript": lambda: _on_workerd(folder, node, end_day, "ts_server.mjs"),
        "fastmcp": lambda: _fastmcp(folder, end_day),
        "bare javascript": lambda: _on_workerd(folder, node, end_day, "bare_server.mjs"),
        "bare python": lambda: _on_workerd(folder, node, end_day, "bare_python"),
    }
    found: dict[str, Any] = {name: {"cold_ms": [], "loads": {}} for name in starts}
    servers: dict[str, Server] = {}
    try:
        for turn in range(COLD_STARTS):
            for name, start in starts.items():
                say(f"  cold start {turn + 1} of {COLD_STARTS}: {name}")
                if name in servers:
                    servers.pop(name).stop()
                began = time.perf_counter()
                servers[name] = start()
                rows = _rows(servers[name])
                found[name]["cold_ms"].append((time.perf_counter() - began) * 1000)
                found[name]["rows"] = rows
        for name in starts:
            if found[name]["rows"] != found["ours"]["rows"]:
                raise AssertionError(f"{name} answers otherwise than ours")
        for turn in range(turns + 1):
            say(f"  turn {turn} of {turns} …")
            for connections in CONNECTIONS:
                for name, server in servers.items():
                    load = found[name]["loads"].setdefault(connections, Load())
                    _put_under(server, connections, seconds if turn else 1.0, node, load if turn else Load())
        for name, server in servers.items():
            found[name]["resident_mb"] = resident_mb(server.pid)
    finally:
        for server in servers.values():
            server.stop()
    for one in found.values():
        one["rows"] = len(one["rows"])
        one["loads"] = {connections: vars(load) for connections, load in one["loads"].items()}
    return found


def _put_under(server: Server, connections: int, seconds: float, node: Path, load: Load) -> None:
    plan = {"url": server.url, "connections": connections, "seconds": seconds, "requests": server.requests}
    used = cpu_ms(server.pid)
    command = [str(node), "bench/load.mjs", json.dumps(plan)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    used = cpu_ms(server.pid) - used
    answer = json.loads(done.stdout)
    if answer["failed"]:
        raise AssertionError(f"{server.url}: {answer['failures']}")
    load.per_second.append(answer["answered"] / answer["seconds"])
    load.p50_ms.append(answer["latencies_ms"][0])
    load.p99_ms.append(answer["latencies_ms"][2])
    load.cpu_ms.append(used / answer["answered"])


def _rows(server: Server) -> Any:
    """The rows of the first answer."""
    address = urlsplit(server.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=120)
    connection.request("POST", address.path or "/", server.requests[0]["body"], server.requests[0]["headers"])
    text = connection.getresponse().read().decode()
    connection.close()
    message = json.loads(text)
    return json.loads(message["result"]["content"][0]["text"])


# --- the servers -----------------------------------------------------------------------------------------------------


def _ours(folder: Path, node: Path, end_day: int) -> Server:
    ours = Ours(folder / "state", node)
    arguments = _arguments(end_day)
    # One key of each project: the limits are per project, and they hold.
    requests = [
        _request(arguments, _MODERN, {"Authorization": f"Bearer {project['rk']}"})
        for project in ours.projects
    ]
    return Server(f"{ours.url}/mcp", ours.pid, requests, ours.stop)


def _on_workerd(folder: Path, node: Path, end_day: int, program: str) -> Server:
    """One of the Workers of this folder."""
    host = JsonLines([node, "bench/workerd_host.mjs", folder / "state", json.dumps(template()), program])
    ready = host.receive()["ready"]
    requests = [_request(_arguments(end_day), _MODERN, {"X-Project": str(one)}) for one in _numbers()]
    return Server(ready["url"], ready["workerd"], requests, host.stop)


def _fastmcp(folder: Path, end_day: int) -> Server:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PYTHON), "bench/fastmcp_program.py", str(database_file(folder / "state")), str(port)]
    process = subprocess.Popen([*command, json.dumps(template())], cwd=ROOT)
    _wait_for(port, process)
    arguments = _arguments(end_day)
    arguments["since"] = arguments.pop("from")  # a Python function cannot have an argument called `from`
    requests = [_request(arguments, _LEGACY, {"X-Project": str(one)}) for one in _numbers()]
    return Server(f"http://127.0.0.1:{port}/mcp", process.pid, requests, lambda: stop(process))


def _numbers() -> range:
    """The numbers of the projects: the database of the benchmark holds no others."""
    return range(1, PROJECTS + 1)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _arguments(end_day: int) -> dict[str, Any]:
    window = {"from": format_instant((end_day - 30) * MS_PER_DAY), "to": format_instant(end_day * MS_PER_DAY)}
    return {**window, "breakdown": "source_medium", "limit": 20}


def _request(arguments: dict[str, Any], version: str, headers: dict[str, str]) -> dict[str, Any]:
    """A tools/call as clients of a protocol revision send it."""
    params: dict[str, Any] = {"name": "top_sources", "arguments": arguments}
    named: dict[str, str] = {}
    if version == _MODERN:
        about = "io.modelcontextprotocol/"
        params["_meta"] = {
            f"{about}protocolVersion": version,
            f"{about}clientCapabilities": {},
            f"{about}clientInfo": {"name": "bench", "version": "1"},
        }
        named = {"Mcp-Method": "tools/call", "Mcp-Name": "top_sources"}
    return {
        "headers": {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": version,
            **named,
            **headers,
        },
        "body": json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
    }


def template() -> dict[str, Any]:
    """Our statement for whole days, and which value each of its parameters is."""
    values = {"projects": "[7]", "first": 20_001, "last": 20_030, "limit": 101}
    window = {"from": format_instant(20_001 * MS_PER_DAY), "to": format_instant(20_031 * MS_PER_DAY)}
    asked = SourcesQuestion.model_validate({**window, "limit": 100}, context={"now_ms": 0})
    statement = plan_sources([7], asked).statement
    names = {value: name for name, value in values.items()}
    return {"sql": statement.sql, "parameters": [names[value] for value in statement.parameters]}
