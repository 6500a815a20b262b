"""REST v1: the routes, the keys each takes, what pages may read of the answers. Source: contract.md §2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from access import rate_limits
from access.gate import Principal, Refusal, claimed_kind
from access.token import Kind
from analytics.event import TrackedEvent
from analytics.questions import EventsQuestion, SourcesQuestion, StatsQuestion
from analytics.subject_export import ExportQuestion
from web import exporting, reading, writing
from web.answers import (
    Batched,
    EventsPage,
    Exported,
    Forgotten,
    Identified,
    SourcesAnswer,
    StatsAnswer,
    Tracked,
)
from web.body_key import with_key_of_body
from web.house import House
from web.messages import Request, Response
from web.origins import cors, preflight
from web.writing import Forgetting, Identification, TrackBatch

Route = Callable[[Request, House, Principal], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class RestRoute:
    """A REST route: its method, the kinds of key it takes, what answers; what it is asked, what it gives and how."""

    method: str
    kinds: frozenset[Kind]
    answer: Route
    asks: type[BaseModel]
    gives: type[BaseModel]
    status: int
    summary: str
    takes_body_key: bool = False

    @property
    def counts_as(self) -> rate_limits.Route:
        """The rate limit it is under. What is done about a person is as much work as a batch, identifying as one event."""
        if self.answer in (writing.batch, writing.forget, exporting.export):
            return "batch"
        return "track" if self.method == "POST" else "read"

    @property
    def takes_events(self) -> bool:
        """Whether pages may call it; the others hold nothing that a key of a page opens."""
        return "pk" in self.kinds


_WRITERS: Final[frozenset[Kind]] = frozenset({"pk", "sk"})
_READERS: Final[frozenset[Kind]] = frozenset({"rk"})

REST_ROUTES: Final[Mapping[str, RestRoute]] = {
    "/v1/track": RestRoute(
        "POST", _WRITERS, writing.track, TrackedEvent, Tracked, 202, "Stores one event.", takes_body_key=True
    ),
    "/v1/batch": RestRoute(
        "POST",
        _WRITERS,
        writing.batch,
        TrackBatch,
        Batched,
        202,
        "Stores events, all or none.",
        takes_body_key=True,
    ),
    "/v1/identify": RestRoute(
        "POST", _WRITERS, writing.identify, Identification, Identified, 200, "Says whose a device is."
    ),
    "/v1/forget": RestRoute(
        "POST",
        frozenset({"sk"}),
        writing.forget,
        Forgetting,
        Forgotten,
        200,
        "Deletes all events of a person.",
    ),
    "/v1/export": RestRoute(
        "POST",
        frozenset({"sk"}),
        exporting.export,
        ExportQuestion,
        Exported,
        200,
        "Gives everything stored about a person.",
    ),
    "/v1/query": RestRoute(
        "GET", _READERS, reading.query, EventsQuestion, EventsPage, 200, "Lists single events, newest first."
    ),
    "/v1/stats": RestRoute(
        "GET", _READERS, reading.stats, StatsQuestion, StatsAnswer, 200, "Counts events or visitors."
    ),
    "/v1/sources": RestRoute(
        "GET",
        _READERS,
        reading.sources,
        SourcesQuestion,
        SourcesAnswer,
        200,
        "Says where visitors come from.",
    ),
}


async def serve_rest(request: Request, house: House, route: RestRoute) -> Response:
    """The response of a REST route. Errors: Refusal, and whatever its answer raises."""
    options = only(request, route.method)
    if options is not None:
        origin = request.headers.get("origin")
        return options.with_headers(
            preflight(origin, "POST, OPTIONS") if origin and route.takes_events else {}
        )
    if route.takes_body_key:
        request = await with_key_of_body(request)
    authorization = request.headers.get("authorization")
    kind = claimed_kind(authorization)
    if kind not in route.kinds:
        raise _wrong_kind(kind, route)
    principal = await house.admit(authorization)
    if principal.kind == "pk" and request.headers.get("origin") not in principal.allowed_origins:
        raise Refusal(403, "origin_not_allowed")
    await house.limits.admit(route.counts_as, principal, house.now_ms())
    return await route.answer(request, house, principal)


def _wrong_kind(kind: Kind, route: RestRoute) -> Refusal:
    if kind == "pk" and route.answer is writing.forget:
        return Refusal(403, "forget_requires_secret_key")
    if kind == "pk" and route.answer is exporting.export:
        return Refusal(403, "export_requires_secret_key")
    return Refusal(403, "insufficient_scope", {"required": "ingest" if "sk" in route.kinds else "read"})


def only(request: Request, method: str) -> Response | None:
    """None for the one method a route has (and HEAD for GET); OPTIONS is answered with what there is.

    A preflight carries no key, so it learns nothing about keys or origins: the request it asks for is judged.
    Errors: Refusal 405 `method_not_allowed`.
    """
    methods = ["GET", "HEAD"] if method == "GET" else [method]
    if request.method in methods:
        return None
    allow = {"allow": ", ".join([*methods, "OPTIONS"])}
    if request.method == "OPTIONS":
        return Response(204, "", allow)
    raise Refusal(405, "method_not_allowed", {"allowed": methods}, allow)


def readable_by_page(request: Request) -> Mapping[str, str]:
    """The headers that let the page which sent a request read the answer, of a route that pages may call."""
    route, origin = REST_ROUTES.get(request.path), request.headers.get("origin")
    return cors(origin) if route is not None and route.takes_events and origin else {}
