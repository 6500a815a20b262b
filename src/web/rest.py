"""REST v1: the routes that browsers, servers and scripts call. Source: contract.md §2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from access.gate import Principal, Refusal
from analytics.event import IDENTIFY_EVENT, MAX_BATCH_EVENTS, Origin, Properties, TrackedEvent, enrich
from analytics.problems import problems_of
from analytics.questions import EventsQuestion, SourcesQuestion, StatsQuestion, WindowQuestion
from web.bodies import read_json_object
from web.house import House
from web.messages import Request, Response, json_response

Model = TypeVar("Model", bound=BaseModel)
Question = TypeVar("Question", bound=WindowQuestion)


class TrackBatch(BaseModel):
    """The body of POST /v1/batch."""

    model_config = ConfigDict(strict=True, extra="ignore")

    events: list[TrackedEvent] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


class Identification(BaseModel):
    """The body of POST /v1/identify."""

    model_config = ConfigDict(strict=True, extra="ignore")

    anonymous_id: str = Field(min_length=1, max_length=128)
    user_id: str = Field(min_length=1, max_length=256)
    traits: Properties = Field(default_factory=dict)


async def track(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/track. 202 `{"ok":true,"event_id":…}`, with `"duplicate":true` when it was already stored."""
    tracked = _payload(TrackedEvent, await read_json_object(request), house.now_ms())
    event = enrich(tracked, house.arrival(request, principal, _origin_of(principal)))
    stored = await house.events.append(principal.scope(), [event])
    outcome: dict[str, Any] = {"ok": True, "event_id": event.event_id}
    return json_response(202, outcome | {"duplicate": True} if stored.duplicate else outcome)


async def batch(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/batch: all or nothing. 202 `{"ok":true,"count":n}`."""
    bodies = _payload(TrackBatch, await read_json_object(request), house.now_ms())
    arrival = house.arrival(request, principal, _origin_of(principal))
    await house.events.append(principal.scope(), [enrich(tracked, arrival) for tracked in bodies.events])
    return json_response(202, {"ok": True, "count": len(bodies.events)})


async def identify(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/identify: stores one `$identify` event; people and devices are joined when a question is asked."""
    known = _payload(Identification, await read_json_object(request), house.now_ms())
    tracked = TrackedEvent(
        event=IDENTIFY_EVENT, anonymous_id=known.anonymous_id, user_id=known.user_id, properties=known.traits
    )
    event = enrich(tracked, house.arrival(request, principal, _origin_of(principal)))
    await house.events.append(principal.scope(), [event])
    return json_response(200, {"ok": True})


async def query(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/query. 200 `{"rows":[…]}`."""
    question = _asked(EventsQuestion, request)
    return json_response(200, {"rows": (await house.events.events(principal.scope(), question)).rows})


async def stats(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/stats. 200 `{"metric":…,"rows":[…]}`."""
    question = _asked(StatsQuestion, request)
    answer = await house.events.stats(principal.scope(), question)
    return json_response(200, {"metric": question.metric, "rows": answer.rows})


async def sources(request: Request, house: House, principal: Principal) -> Response:
    """GET /v1/sources. 200 `{"breakdown":…,"rows":[…]}`."""
    question = _asked(SourcesQuestion, request)
    answer = await house.events.sources(principal.scope(), question)
    return json_response(200, {"breakdown": question.breakdown, "rows": answer.rows})


Route = Callable[[Request, House, Principal], Awaitable[Response]]


def _origin_of(principal: Principal) -> Origin:
    return "browser" if principal.kind == "pk" else "server"


def _payload(model: type[Model], body: dict[str, Any], now_ms: int) -> Model:
    try:
        return model.model_validate(body, context={"now_ms": now_ms})
    except ValidationError as error:
        raise Refusal(400, "invalid_payload", flattened(error, model)) from error


def _asked(model: type[Question], request: Request) -> Question:
    """A question from a query string, by the same model that serves the tool. Errors: Refusal 400."""
    parameters = dict(reversed(request.query))
    try:
        return TypeAdapter(model).validate_strings(parameters, strict=False)
    except ValidationError as error:
        details = flattened(error, model)
        columns = details["fieldErrors"].get("group_by")
        if columns is not None:
            allowed: list[str] = next((one["allowed"] for one in details["problems"] if "allowed" in one), [])
            raise Refusal(
                400, "invalid_group_by", {"allowed": allowed, "fieldErrors": {"group_by": columns}}
            ) from error
        raise Refusal(400, "invalid_params", details) from error


def flattened(error: ValidationError, model: type[BaseModel]) -> dict[str, Any]:
    """Problems in the shape of the contract, `fieldErrors` by top-level field, and in full under `problems`."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    problems = problems_of(error, names)
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(problem["field"], []).append(problem["reason"])
    return {"formErrors": [], "fieldErrors": fields, "problems": problems}
