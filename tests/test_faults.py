"""A store that fails: what REST and MCP answer, and that nothing of the inside is told. Source: contract.md §2, §3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from analytics.store import QueryTooHeavyError, StoreUnavailableError
from storage.database import Result, Statement
from storage.sqlite import Sqlite
from tests.house import InProcess

WINDOW = {"from": "2026-05-01", "to": "2026-06-01"}
QUERY = "from=2026-05-01&to=2026-06-01"
INSIDE = "SELECT secret FROM inside"


class Failing(Sqlite):
    """A database that answers nothing; the keys come from KV."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def batch(self, statements: Sequence[Statement]) -> list[Result]:
        raise self._error


def failing(error: Exception) -> tuple[InProcess, dict[str, str]]:
    house = InProcess()
    keys = house.account()["projects"][0]
    house.db = Failing(error)
    house.app = type(house.app)(house.wiring())
    return house, keys


def ask(house: InProcess, keys: dict[str, str], path: str) -> Any:
    if path == "/v1/track":
        return house.post(path, {"event": "e"}, keys["sk"])
    return house.get(f"{path}?{QUERY}", keys["rk"])


@pytest.mark.parametrize("path", ["/v1/track", "/v1/query", "/v1/stats", "/v1/sources"])
def test_a_store_that_does_not_answer_is_502_and_worth_asking_again(path: str) -> None:
    house, keys = failing(StoreUnavailableError(INSIDE))
    answer = ask(house, keys, path)
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (
        502,
        {"error": "upstream_failed"},
        "5",
    )
    assert [event for event, _ in house.log] == ["upstream_failed"]


@pytest.mark.parametrize("path", ["/v1/track", "/v1/query", "/v1/stats", "/v1/sources"])
def test_a_fault_of_ours_is_500_with_a_request_id_and_nothing_else(path: str) -> None:
    house, keys = failing(RuntimeError(INSIDE))
    answer = ask(house, keys, path)
    assert (answer.status, answer.json["error"]) == (500, "internal_error")
    assert list(answer.json["details"]) == ["request_id"]
    assert "SELECT" not in answer.text
    assert [event for event, _ in house.log] == ["internal_error"]


def test_a_question_that_is_too_heavy_is_the_askers_to_change() -> None:
    house, keys = failing(QueryTooHeavyError(INSIDE))
    answer = ask(house, keys, "/v1/stats")
    assert (answer.status, answer.json["error"]) == (400, "invalid_params")
    assert answer.json["details"]["formErrors"] == ["too much to read; ask for a shorter window"]


@pytest.mark.parametrize(
    ("error", "retryable"), [(StoreUnavailableError(INSIDE), True), (RuntimeError(INSIDE), False)]
)
def test_a_fault_inside_a_tool_is_tool_failed(error: Exception, retryable: bool) -> None:
    house, keys = failing(error)
    params = {"name": "get_stats", "arguments": WINDOW}
    answer = house.rpc(keys["rk"], "tools/call", params)
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32000, "tool_failed")
    assert answer["error"]["data"]["retryable"] is retryable
    assert answer["error"]["data"]["request_id"].startswith("req_")
    assert "SELECT" not in str(answer)
