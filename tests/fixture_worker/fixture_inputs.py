"""Results that ask the client for something first, and the state that comes back with what it gave.

Source: specification 2026-07-28, multi-round-trip requests.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from mcp.protocol import INVALID_PARAMS, MISSING_CAPABILITY, RpcError
from mcp.tool import Context

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
#: The capability a client declares for each method it can be asked.
NEEDED = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
SECRET = b"of tests only"


def elicit(message: str, **fields: str) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt: str, tokens: int = 100) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}}


ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}


def required(requests: dict[str, dict[str, Any]], state: str | None = None) -> dict[str, Any]:
    """The result that asks."""
    asked: dict[str, Any] = {"resultType": "input_required", "inputRequests": requests}
    return asked if state is None else asked | {"requestState": signed(state)}


def given(context: Context, *names: str) -> dict[str, Any] | None:
    """What the client gave under these names; None when it has not, or not yet all. Errors: RpcError -32602."""
    params = context.request.params if context.request else {}
    if "inputResponses" not in params:
        return None
    responses = params["inputResponses"]
    if not isinstance(responses, dict):
        raise RpcError(INVALID_PARAMS, "invalid_params", {"detail": "inputResponses must be an object"})
    found = {name: responses[name] for name in names if isinstance(responses.get(name), dict)}
    return found if len(found) == len(names) else None


def declared(context: Context) -> dict[str, Any]:
    meta = context.request.params.get("_meta", {}) if context.request else {}
    capabilities: dict[str, Any] = meta.get(CAPABILITIES, {})
    return capabilities


def demand(context: Context, capability: str) -> None:
    """Errors: RpcError -32021 when the client did not declare it."""
    if capability not in declared(context):
        data = {"requiredCapabilities": {capability: {}}}
        raise RpcError(MISSING_CAPABILITY, "missing_required_client_capability", data)


def signed(state: str) -> str:
    return f"{state}.{hmac.new(SECRET, state.encode(), hashlib.sha256).hexdigest()}"


def returned_state(context: Context) -> str | None:
    """The state as it was handed out. Errors: RpcError -32602 when somebody else wrote it."""
    claimed = context.request.params.get("requestState") if context.request else None
    if claimed is None:
        return None
    state = str(claimed).rpartition(".")[0]
    if not hmac.compare_digest(signed(state).encode(), str(claimed).encode()):
        raise RpcError(INVALID_PARAMS, "invalid_params", {"detail": "requestState was changed"})
    return state
