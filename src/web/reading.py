"""REST v1, the routes that answer questions. Source: contract.md §2."""

from __future__ import annotations

from typing import Any

from access.gate import Principal, Refusal
from analytics.problems import InvalidArgumentsError
from analytics.questions import EventsQuestion, SourcesQuestion, StatsQuestion
from web.arguments import asked, flattened
from web.house import House
from web.messages import Request, Response, json_response


async def query(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/query. 200 `{"rows":[…]}`, with `next_cursor` when more events match."""
    question = asked(EventsQuestion, request, house.now_ms())
    try:
        page = await house.pages.read(principal.scope(), question)
    except InvalidArgumentsError as error:
        raise Refusal(400, "invalid_params", flattened(error.problems)) from error
    body: dict[str, Any] = {"rows": page.answer.rows}
    return json_response(200, body if page.next_cursor is None else body | {"next_cursor": page.next_cursor})


async def stats(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/stats. 200 `{"metric":…,"rows":[…]}`."""
    question = asked(StatsQuestion, request, house.now_ms())
    answer = await house.events.stats(principal.scope(), question)
    estimated = {"sampled": True} if answer.sampled else {}
    return json_response(200, {"metric": question.metric, "rows": answer.rows, **estimated})


async def sources(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/sources. 200 `{"breakdown":…,"rows":[…]}`."""
    question = asked(SourcesQuestion, request, house.now_ms())
    answer = await house.events.sources(principal.scope(), question)
    return json_response(200, {"breakdown": question.breakdown, "rows": answer.rows})
