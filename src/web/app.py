"""The application: routes, gates, and the boundary behind which every request gets a response."""

from __future__ import annotations

from typing import Final

from access.gate import Refusal
from access.rate_limits import FAILING
from access.records import AccessUnavailableError
from analytics.store import (
    QueryTooHeavyError,
    QuotaExceededError,
    ScopeWithdrawnError,
    StorageFullError,
    StoreNotReadyError,
    StoreOverloadedError,
    StoreUnavailableError,
)
from web.browser_script import serve_script
from web.house import House, past_quota
from web.mcp_endpoint import ENDPOINTS, serve
from web.messages import Request, Response, error_response, json_response
from web.openapi import serve_openapi
from web.origins import is_local
from web.rest import REST_ROUTES, only, readable_by_page, serve_rest

_HEALTH: Final = "/healthz"
#: What everybody may read, and no key opens.
_FILES: Final = {"/v1/a.js": serve_script, "/openapi.json": serve_openapi}
#: Where there is something; the log names no other path.
_PATHS: Final = frozenset({_HEALTH, *_FILES, *ENDPOINTS, *REST_ROUTES})

_BARE_CHALLENGE: Final = 'Bearer realm="millimetric"'
_TOKEN_CHALLENGE: Final = 'Bearer realm="millimetric", error="invalid_token"'  # noqa: S105


class App:
    """Answers requests with the parts of a house."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def handle(self, request: Request) -> Response:
        """The response to any request; whatever goes wrong behind it, there is one."""
        house = self._house.for_request()
        response = await App(house)._answered(request)
        if response.status != 401 and response.status < 500:
            house.used()
        house.answered(request, response, request.path if request.path in _PATHS else None)
        return Response(response.status, "", response.headers) if request.method == "HEAD" else response

    async def _answered(self, request: Request) -> Response:
        try:
            response = await self._route(request)
        except Exception as raised:
            error = await self._weighed(raised, request)
            self._note(error, request)
            response = self._failed(error)
            if isinstance(error, Refusal) and error.code == "origin_not_allowed":
                return response
        return response.with_headers(readable_by_page(request))

    def _note(self, error: Exception, request: Request) -> None:
        """Writes down who was refused, and why."""
        if isinstance(error, ScopeWithdrawnError):
            self._house.refused(request, "invalid_api_key:withdrawn")
        elif isinstance(error, Refusal) and (error.code != "rate_limited" or error.details == FAILING):
            code = f"{error.code}:{error.reason}" if error.reason else error.code
            self._house.refused(request, code, error.actor)

    async def _weighed(self, error: Exception, request: Request) -> Exception:
        """The failure itself; to an address that fails to authenticate too often, that it does."""
        address = request.client_ip
        if not isinstance(error, Refusal) or error.status != 401 or not address or is_local(address):
            return error
        return await self._house.limits.refuse(error, address)

    def _failed(self, error: Exception) -> Response:
        """What the client hears of a failure; what it must not hear goes to the log."""
        if isinstance(error, Refusal):
            return _refused(error)
        if isinstance(error, ScopeWithdrawnError):
            return _refused(Refusal(401, "invalid_api_key"))
        if isinstance(error, QuotaExceededError):
            return _refused(past_quota(error, self._house.now_ms()))
        if isinstance(error, (StoreOverloadedError, StoreNotReadyError)):
            self._house.log(error.reason, error)
            return error_response(503, error.reason, headers={"retry-after": str(error.retry_after_s)})
        if isinstance(error, (AccessUnavailableError, StoreUnavailableError)):
            self._house.log("upstream_failed", error)
            return error_response(502, "upstream_failed", headers={"retry-after": "5"})
        if isinstance(error, StorageFullError):
            self._house.log("storage_full", error)
            return error_response(507, "storage_full")
        if isinstance(error, QueryTooHeavyError):
            details = {"formErrors": ["too much to read; ask for a shorter window"], "fieldErrors": {}}
            return error_response(400, "invalid_params", details)
        self._house.log("internal_error", error)
        return error_response(500, "internal_error", {"request_id": self._house.request_id})

    async def _route(self, request: Request) -> Response:
        if request.path == _HEALTH:
            return only(request, "GET") or await self._health()
        if is_local(request.host) and not is_local(_named_host(request)):
            raise Refusal(403, "host_not_allowed")
        if request.path in _FILES:
            return _FILES[request.path](request)
        with self._house.concurrency.working_on(request) as counted:
            return await self._serve(counted)

    async def _serve(self, request: Request) -> Response:
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is not None:
            return await serve(request, self._house, endpoint)
        route = REST_ROUTES.get(request.path)
        if route is None:
            raise Refusal(404, "not_found")
        return await serve_rest(request, self._house, route)

    async def _health(self) -> Response:
        """Errors: StoreUnavailableError, when the database does not answer or lacks a table."""
        if self._house.check_store is not None:
            await self._house.check_store()
        return json_response(200, {"ok": True})


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
    wait_s = int(headers["retry-after"]) if refusal.status == 429 else None
    return error_response(refusal.status, refusal.code, refusal.details, headers, wait_s)
