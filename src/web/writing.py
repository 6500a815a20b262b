"""REST v1, the routes that take events in. Source: contract.md §2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from access.gate import Principal, Refusal
from analytics.event import (
    IDENTIFY_EVENT,
    MAX_BATCH_EVENTS,
    ClientId,
    Origin,
    Properties,
    TrackedEvent,
    UserId,
    enrich,
)
from analytics.public_event import problems_of_public, problems_of_public_properties, public, shortened
from analytics.store import ScopeWithdrawnError, StoreUnavailableError
from web.arguments import flattened, payload
from web.bodies import read_json_object
from web.house import House
from web.messages import Request, Response, json_response


class TrackBatch(BaseModel):
    """The body of POST /v1/batch."""

    model_config = ConfigDict(strict=True, extra="ignore")

    events: list[TrackedEvent] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


class Identification(BaseModel):
    """The body of POST /v1/identify."""

    model_config = ConfigDict(strict=True, extra="ignore")

    anonymous_id: ClientId
    user_id: UserId
    traits: Properties = Field(default_factory=dict)


class Forgetting(BaseModel):
    """The body of POST /v1/forget."""

    model_config = ConfigDict(strict=True, extra="ignore")

    user_id: UserId
    include_anonymous: bool = False


async def track(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/track. 202 `{"ok":true,"event_id":…}`, with `"duplicate":true` when it was already stored."""
    tracked = payload(TrackedEvent, await read_json_object(request), house.now_ms())
    (tracked,) = _taken([tracked], principal, lambda _index: "")
    event = enrich(tracked, house.arrival(request, principal, _origin_of(principal)))
    stored = await house.events.append(principal.scope(), [event], principal.plan.events_per_month)
    outcome: dict[str, Any] = {"ok": True, "event_id": event.event_id}
    return json_response(202, outcome | {"duplicate": True} if stored.duplicate else outcome)


async def batch(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/batch: all or nothing. 202 `{"ok":true,"count":n}`."""
    bodies = payload(TrackBatch, await read_json_object(request), house.now_ms())
    arrival = house.arrival(request, principal, _origin_of(principal))
    taken = _taken(bodies.events, principal, lambda index: f"events[{index}].")
    events = [enrich(tracked, arrival) for tracked in taken]
    await house.events.append(principal.scope(), events, principal.plan.events_per_month)
    return json_response(202, {"ok": True, "count": len(bodies.events)})


async def identify(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/identify: stores one `$identify` event; people and devices are joined when one asks."""
    known = payload(Identification, await read_json_object(request), house.now_ms())
    traits = known.traits
    if principal.kind == "pk":
        _refuse(problems_of_public_properties(traits, "traits"))
        traits = shortened(traits)
    tracked = TrackedEvent(
        event=IDENTIFY_EVENT, anonymous_id=known.anonymous_id, user_id=known.user_id, properties=traits
    )
    event = enrich(tracked, house.arrival(request, principal, _origin_of(principal)))
    await house.events.append(principal.scope(), [event], principal.plan.events_per_month)
    return json_response(200, {"ok": True})


async def forget(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/forget: done when answered. 200 `{"ok":true,"queued":false,"deleted":n}`.

    Errors: Refusal 500 `forget_failed`; the same call again goes on where this one stopped.
    """
    wanted = payload(Forgetting, await read_json_object(request), house.now_ms())
    try:
        deleted = await house.events.forget(
            principal.scope(),
            wanted.user_id,
            include_anonymous=wanted.include_anonymous,
            request_id=house.request_id,
        )
    except (ScopeWithdrawnError, StoreUnavailableError):
        raise
    except Exception as error:
        house.log("forget_failed", error)
        raise Refusal(500, "forget_failed") from error
    return json_response(200, {"ok": True, "queued": False, "deleted": deleted})


def _taken(
    events: Sequence[TrackedEvent], principal: Principal, place: Callable[[int], str]
) -> Sequence[TrackedEvent]:
    """The events as the key may send them. Errors: Refusal 400 `invalid_payload` for what a browser key may not send."""
    if principal.kind != "pk":
        return events
    _refuse(problem for index, one in enumerate(events) for problem in problems_of_public(one, place(index)))
    return [public(one) for one in events]


def _refuse(problems: Iterable[Mapping[str, Any]]) -> None:
    if found := list(problems):
        raise Refusal(400, "invalid_payload", flattened(found))


def _origin_of(principal: Principal) -> Origin:
    return "browser" if principal.kind == "pk" else "server"
