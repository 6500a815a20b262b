"""Where what happens behind a method becomes a JSON-RPC error that says what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from access.gate import Refusal
from analytics.problems import InvalidArgumentsError
from analytics.store import (
    QueryTooHeavyError,
    QuotaExceededError,
    ScopeWithdrawnError,
    StorageFullError,
    StoreUnavailableError,
)
from mcp.inbound import Accepted
from mcp.messages import Log
from mcp.protocol import INVALID_PARAMS, TOOL_FAILED, RpcError
from mcp.tool import Context

Result = TypeVar("Result")
Method = Callable[[Accepted, Context, Log], Awaitable[dict[str, Any]]]

MAX_ECHO: Final = 256


async def guarded(run: Callable[[], Awaitable[Result]], context: Context, log: Log) -> Result:
    """Runs a tool or reads a resource. Errors: RpcError `tool_failed`; the caller's own pass, and what HTTP has to say."""
    try:
        return await run()
    except QueryTooHeavyError as error:
        data: dict[str, Any] = {
            "reason": "query_too_large",
            "retryable": False,
            "hint": "ask for a shorter window",
        }
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error
    except StoreUnavailableError as error:
        log("store_unavailable", error)
        data = {"reason": error.reason, "retryable": True, "retry_after_s": error.retry_after_s}
        raise RpcError(TOOL_FAILED, "tool_failed", {**data, "request_id": context.request_id}) from error
    except StorageFullError as error:
        log("storage_full", error)
        data = {"reason": "storage_full", "retryable": False, "request_id": context.request_id}
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error
    except (RpcError, ScopeWithdrawnError, QuotaExceededError, Refusal, InvalidArgumentsError):
        raise
    except Exception as error:
        log("tool_failed", error)
        data = {"retryable": False, "request_id": context.request_id}
        raise RpcError(TOOL_FAILED, "tool_failed", data) from error


def text_param(request: Accepted, name: str) -> str:
    """A param that has to be a text. Errors: RpcError -32602."""
    value = request.params.get(name)
    if not isinstance(value, str):
        raise invalid_params(f"params.{name} must be a string")
    return value


def invalid_params(detail: str, **more: Any) -> RpcError:
    return RpcError(INVALID_PARAMS, "invalid_params", {"detail": detail, **more})


def single_page(request: Accepted) -> None:
    """Every list is one page, so there is no cursor anyone could hold. Errors: RpcError -32602."""
    if request.params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "invalid_cursor")
