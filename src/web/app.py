"""The application: routes, gates, and the boundary behind which every request gets a response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from access.gate import Refusal, claimed_kind
from access.records import AccessUnavailableError
from access.token import Kind
from analytics.store import QueryTooHeavyError, ScopeWithdrawnError, StoreUnavailableError
from web import rest
from web.body_key import with_key_of_body
from web.browser_script import serve_script
from web.house import House, new_request_id
from web.mcp_endpoint import ENDPOINTS, serve
from web.messages import Request, Response, error_response, json_response
from web.origins import is_local
from web.rest import Route

_BARE_CHALLENGE: Final = 'Bearer realm="millimetric"'
_TOKEN_CHALLENGE: Final = 'Bearer realm="millimetric", error="invalid_token"'  # noqa: S105


@dataclass(frozen=True, slots=True)
class RestRoute:
    """A REST route: its method, the kinds of key it takes, and what answers."""

    method: str
    kinds: frozenset[Kind]
    answer: Route
    takes_body_key: bool = False


_WRITERS: Final[frozenset[Kind]] = frozenset({"pk", "sk"})
_READERS: Final[frozenset[Kind]] = frozenset({"rk"})

REST_ROUTES: Final[Mapping[str, RestRoute]] = {
    "/v1/track": RestRoute("POST", _WRITERS, rest.track, takes_body_key=True),
    "/v1/batch": RestRoute("POST", _WRITERS, rest.batch, takes_body_key=True),
    "/v1/identify": RestRoute("POST", _WRITERS, rest.identify),
    "/v1/query": RestRoute("GET", _READERS, rest.query),
    "/v1/stats": RestRoute("GET", _READERS, rest.stats),
    "/v1/sources": RestRoute("GET", _READERS, rest.sources),
}


class App:
    """Answers requests with the parts of a house."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def handle(self, request: Request) -> Response:
        """The response to any request; whatever goes wrong behind it, there is one."""
        try:
            return await self._route(request)
        except Refusal as refusal:
            return _refused(refusal)
        except ScopeWithdrawnError:
            return _refused(Refusal(401, "invalid_api_key"))
        except (AccessUnavailableError, StoreUnavailableError) as error:
            self._house.log("upstream_failed", error)
            return error_response(502, "upstream_failed", headers={"retry-after": "5"})
        except QueryTooHeavyError:
            return error_response(
                400, "invalid_params", {"formErrors": ["too much to read; ask for a shorter window"]}
            )
        except Exception as error:
            self._house.log("internal_error", error)
            return error_response(500, "internal_error", {"request_id": new_request_id()})

    async def _route(self, request: Request) -> Response:
        if request.path == "/healthz":
            return json_response(200, {"ok": True})
        if is_local(request.host) and not is_local(_named_host(request)):
            raise Refusal(403, "host_not_allowed")
        if request.path == "/v1/a.js":
            return serve_script(request)
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is not None:
            return await serve(request, self._house, endpoint)
        route = REST_ROUTES.get(request.path)
        if route is None:
            raise Refusal(404, "not_found")
        return await self._rest(request, route)

    async def _rest(self, request: Request, route: RestRoute) -> Response:
        if request.method != route.method:
            raise Refusal(405, "method_not_allowed", {"allowed": [route.method]}, {"allow": route.method})
        if route.takes_body_key:
            request = await with_key_of_body(request)
        authorization = request.headers.get("authorization")
        if claimed_kind(authorization) not in route.kinds:
            required = "ingest" if route.kinds == _WRITERS else "read"
            raise Refusal(403, "insufficient_scope", {"required": required})
        principal = await self._house.gate.admit(authorization, self._house.now_ms())
        if principal.kind == "pk" and request.headers.get("origin") not in principal.allowed_origins:
            raise Refusal(403, "origin_not_allowed")
        return await route.answer(request, self._house, principal)


def _named_host(request: Request) -> str:
    """The host the client asked for, without its port; what a page on another name, rebound to us, gives away."""
    host = request.headers.get("host", "localhost")
    return host[1 : host.find("]")] if host.startswith("[") else host.split(":")[0]


def _refused(refusal: Refusal) -> Response:
    headers = dict(refusal.headers)
    if refusal.status == 401:
        headers["www-authenticate"] = (
            _BARE_CHALLENGE if refusal.code == "missing_bearer_token" else _TOKEN_CHALLENGE
        )
    return error_response(refusal.status, refusal.code, refusal.details, headers)
