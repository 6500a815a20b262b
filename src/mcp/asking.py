"""Asking the person at the client in the answer to a call, and what comes back. Only in the newer era, and only clients
that said they can be asked. Source: specification 2026-07-28, multi-round-trip requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mcp.boundary import invalid_params
from mcp.protocol import META_CAPABILITIES
from mcp.tool import Context

_NAME: Final = "confirm"


@dataclass(frozen=True, slots=True)
class Asking:
    """A result that asks for a yes. `state` comes back with it: it leaves the house, so it has to be sealed."""

    question: str
    yes: str
    state: str

    def result(self) -> dict[str, Any]:
        """The result of `tools/call`."""
        answer = {"type": "boolean", "title": self.yes, "default": False}
        schema = {"type": "object", "properties": {_NAME: answer}, "required": [_NAME]}
        asked = {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": self.question, "requestedSchema": schema},
        }
        return {"resultType": "input_required", "inputRequests": {_NAME: asked}, "requestState": self.state}


@dataclass(frozen=True, slots=True)
class Answered:
    """What the person said, and the state as the client gave it back: who uses it has to check its seal."""

    yes: bool
    state: str


def may_ask(context: Context) -> bool:
    """Whether the client of this request can show a form. An empty declaration means that it can."""
    if context.request is None or context.request.era != "modern":
        return False
    can = context.request.params["_meta"][META_CAPABILITIES].get("elicitation")
    return isinstance(can, dict) and (not can or "form" in can)


def answered(context: Context) -> Answered | None:
    """What came back of `Asking`; None when nothing did. Errors: RpcError -32602."""
    if context.request is None or context.request.era != "modern":
        return None
    responses, state = (context.request.params.get(name) for name in ("inputResponses", "requestState"))
    if responses is None or state is None:
        return None
    if not isinstance(responses, dict) or not isinstance(state, str):
        raise invalid_params("inputResponses is an object, requestState the text that was given out")
    one = responses.get(_NAME)
    if not isinstance(one, dict):
        return None
    content = one.get("content")
    yes = one.get("action") == "accept" and isinstance(content, dict) and content.get(_NAME) is True
    return Answered(yes, state)
