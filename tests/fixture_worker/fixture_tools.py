"""The tools the conformance suite calls by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fixture_content import WAV, Exactly, content, embedded, image, text
from fixture_inputs import NEEDED, ROOTS, declared, demand, elicit, given, required, returned_state, sample
from pydantic import BaseModel, ConfigDict

from mcp.tool import Context, Tool

PAUSE_S = 0.02


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class FixtureTool(Tool[Anything]):
    """A tool without an output schema."""

    def listing(self) -> dict[str, Any]:
        schema = {"type": "object", "properties": {}, "additionalProperties": False}
        return {"name": self.name, "description": self.description, "inputSchema": schema}


def tool(name: str, answer: Callable[[Context], Awaitable[Exactly]]) -> Tool[Any]:
    async def run(_arguments: Anything, context: Context) -> Exactly:
        return await answer(context)

    return FixtureTool(name, name, f"Fixture {name}.", Anything, Anything, "read", run)


def always(*blocks: dict[str, Any], is_error: bool = False) -> Callable[[Context], Awaitable[Exactly]]:
    async def answer(_context: Context) -> Exactly:
        return content(*blocks, is_error=is_error)

    return answer


async def progress(context: Context) -> Exactly:
    for done in (0, 50, 100):
        await context.progress(done, 100)
        await asyncio.sleep(PAUSE_S)
    return content(text("done"))


async def logging(context: Context) -> Exactly:
    """Logs as it goes, to clients of the older era and to those that gave a level."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await _log(context, line)
        await asyncio.sleep(PAUSE_S)
    return content(text("done"))


async def _log(context: Context, line: str) -> None:
    request = context.request
    if request is None or context.notify is None:
        return
    level = "io.modelcontextprotocol/logLevel" in request.params.get("_meta", {})
    if request.era == "legacy" or level:
        await context.notify("notifications/message", {"level": "info", "data": line})


async def missing_capability(context: Context) -> Exactly:
    demand(context, "sampling")
    return content(text("sampling is there"))


async def elicitation(context: Context) -> Exactly:
    found = given(context, "user_name")
    if found is None:
        return Exactly(required({"user_name": elicit("What is your name?", name="string")}))
    return content(text(f"Hello, {found['user_name']['content']['name']}!"))


async def sampling(context: Context) -> Exactly:
    found = given(context, "capital_question")
    if found is None:
        return Exactly(required({"capital_question": sample("What is the capital of France?")}))
    return content(text(found["capital_question"]["content"]["text"]))


async def list_roots(context: Context) -> Exactly:
    found = given(context, "client_roots")
    if found is None:
        return Exactly(required({"client_roots": ROOTS}))
    return content(text(", ".join(root["uri"] for root in found["client_roots"]["roots"])))


async def request_state(context: Context) -> Exactly:
    state = returned_state(context)
    if given(context, "confirm") is None or state is None:
        return Exactly(required({"confirm": elicit("Please confirm", ok="boolean")}, "asked"))
    return content(text("state-ok"))


async def multiple_inputs(context: Context) -> Exactly:
    requests = {
        "user_name": elicit("What is your name?", name="string"),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    state = returned_state(context)
    if given(context, *requests) is None or state is None:
        return Exactly(required(requests, "asked"))
    return content(text("all there"))


async def multi_round(context: Context) -> Exactly:
    state = returned_state(context)
    if state == "round-2" and given(context, "step2") is not None:
        return content(text("both there"))
    if state in ("round-1", "round-2") and (state == "round-2" or given(context, "step1") is not None):
        return Exactly(required({"step2": elicit("Step 2: your favorite color?", color="string")}, "round-2"))
    return Exactly(required({"step1": elicit("Step 1: What is your name?", name="string")}, "round-1"))


async def capabilities(context: Context) -> Exactly:
    """Asks for all it could use, as far as the client declared it."""
    requests = {"name": elicit("What is your name?", name="string"), "word": sample("Say a word")}
    known = declared(context)
    return Exactly(required({key: one for key, one in requests.items() if NEEDED[one["method"]] in known}))


MIXED = embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
EMBEDDED = embedded("test://embedded-resource", "This is an embedded resource content.")
SOUND = {"type": "audio", "data": WAV, "mimeType": "audio/wav"}

TOOLS = (
    tool("test_simple_text", always(text("This is a simple text response for testing."))),
    tool("test_image_content", always(image())),
    tool("test_audio_content", always(SOUND)),
    tool("test_embedded_resource", always(EMBEDDED)),
    tool("test_multiple_content_types", always(text("Multiple content types test:"), image(), MIXED)),
    tool("test_error_handling", always(text("This tool intentionally returns an error"), is_error=True)),
    tool("test_tool_with_progress", progress),
    tool("test_tool_with_logging", logging),
    tool("test_logging_tool", logging),
    tool("test_missing_capability", missing_capability),
    tool("test_streaming_elicitation", elicitation),
    tool("test_input_required_result_elicitation", elicitation),
    tool("test_input_required_result_sampling", sampling),
    tool("test_input_required_result_list_roots", list_roots),
    tool("test_input_required_result_request_state", request_state),
    tool("test_input_required_result_multiple_inputs", multiple_inputs),
    tool("test_input_required_result_multi_round", multi_round),
    tool("test_input_required_result_tampered_state", request_state),
    tool("test_input_required_result_capabilities", capabilities),
)
