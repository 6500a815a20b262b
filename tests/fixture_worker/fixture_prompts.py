"""The prompts the conformance suite gets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fixture_content import embedded, image, text
from fixture_inputs import elicit, given, required

from mcp.completion import one_of
from mcp.prompts import Argument, Prompt
from mcp.tool import Context

Arguments = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Blocks(Prompt):
    """A prompt of several messages, one for each block of content."""

    blocks: Callable[[Arguments], list[dict[str, Any]]] = lambda _arguments: []

    async def get(self, arguments: Arguments, _context: Context) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": block} for block in self.blocks(arguments)]}


class Asking(Blocks):
    """A prompt that needs something from the client first."""

    async def get(self, arguments: Arguments, context: Context) -> dict[str, Any]:
        found = given(context, "user_context")
        if found is None:
            return required({"user_context": elicit("What context should be used?", context="string")})
        block = text(f"Use this context: {found['user_context']['content']['context']}")
        return {"messages": [{"role": "user", "content": block}]}


def prompt(
    name: str, blocks: Callable[[Arguments], list[dict[str, Any]]], *arguments: Argument, kind: Any = Blocks
) -> Prompt:
    made: Prompt = kind(name, name, f"Fixture {name}.", arguments, lambda _arguments: "", blocks)
    return made


def _with_arguments(arguments: Arguments) -> list[dict[str, Any]]:
    return [text(f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'")]


def _with_resource(arguments: Arguments) -> list[dict[str, Any]]:
    block = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
    return [block, text("Please process the embedded resource above.")]


CITIES = one_of(("paris", "park", "party", "test-value"))

PROMPTS = (
    prompt("test_simple_prompt", lambda _: [text("This is a simple prompt for testing.")]),
    prompt(
        "test_prompt_with_arguments",
        _with_arguments,
        Argument("arg1", "First test argument", True, CITIES),
        Argument("arg2", "Second test argument", True),
    ),
    prompt(
        "test_prompt_with_embedded_resource",
        _with_resource,
        Argument("resourceUri", "URI of the resource to embed", True),
    ),
    prompt("test_prompt_with_image", lambda _: [image(), text("Please analyze the image above.")]),
    prompt("test_input_required_result_prompt", lambda _: [], kind=Asking),
)
