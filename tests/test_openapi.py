"""The OpenAPI document: it describes every route, and schemathesis finds no answer that it does not describe."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import HTTPResponse

from mcp.schema import brief
from tests.figures import Figures
from tests.house import InProcess, Service
from tests.scale import scale
from web.mcp_endpoint import ENDPOINTS
from web.openapi import document
from web.rest import REST_ROUTES

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: How many requests of each kind are made up for each operation; nine of them take something that can be made up.
EXAMPLES = {"in process": scale(40, 600), "worker": scale(6, 20)}
KEY_OF = {"/v1/query": "rk", "/v1/stats": "rk", "/v1/sources": "rk", "/mcp": "sk", "/mcp/account": "ak"}
#: Every operation with valid requests, and with invalid ones where there is something to get wrong.
CASES = [
    (path, method, mode)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode == GenerationMode.POSITIVE or operation.keys() & {"parameters", "requestBody"}
]


class Door(HTTPAdapter):
    """Hands the requests of the `requests` library to the application in process."""

    def __init__(self, house: InProcess) -> None:
        super().__init__()
        self._house = house

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body or b""
        parts = urlsplit(request.url or "")
        answer = self._house.request(
            request.method or "",
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            headers={name: str(value) for name, value in request.headers.items()},
            body=body.encode() if isinstance(body, str) else body,
        )
        raw = HTTPResponse(
            io.BytesIO(answer.text.encode()), dict(answer.headers), answer.status, preload_content=False
        )
        return self.build_response(request, raw)


def session_of(service: Service) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    if isinstance(service, InProcess):
        session.mount("http://", Door(service))
    return session


def test_the_document_is_served_to_anyone(service: Service) -> None:
    answer = service.get("/openapi.json")
    assert answer.status == 200
    assert answer.json == document()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert service.post("/openapi.json", {}).status == 405


def test_the_document_describes_every_route_with_its_method() -> None:
    described = {path: set(methods) for path, methods in document()["paths"].items()}
    served = {path: {route.method.lower()} for path, route in REST_ROUTES.items()}
    served |= {path: {"post"} for path in ENDPOINTS}
    public = {"/healthz": {"get"}, "/openapi.json": {"get"}, "/v1/a.js": {"get"}}
    assert described == served | public


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null, as the document writes it."""
    if schema.keys() == {"type"}:
        return {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def test_arguments_are_those_of_the_tools(house: InProcess) -> None:
    """One definition serves REST and MCP: same names, same limits."""
    key = house.account()["projects"][0]["sk"]
    tools = {one["name"]: one["inputSchema"] for one in house.rpc(key, "tools/list")["result"]["tools"]}
    paths = document()["paths"]
    for tool, path in (
        ("query_events", "/v1/query"),
        ("get_stats", "/v1/stats"),
        ("top_sources", "/v1/sources"),
    ):
        parameters = {one["name"]: one for one in paths[path]["get"]["parameters"]}
        paged = [name for name in tools[tool]["properties"] if name != "cursor" or tool == "query_events"]
        assert list(parameters) == paged, "REST answers what `limit` allows at once"
        assert [name for name, one in parameters.items() if one["required"]] == tools[tool]["required"]
        assert parameters["limit"]["schema"]["maximum"] == tools[tool]["properties"]["limit"]["maximum"]
    body = paths["/v1/track"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert brief(body["properties"]) == {
        name: or_null(one) if name not in body["required"] and one["type"] == "string" else one
        for name, one in tools["track_event"]["properties"].items()
    }, "the lists of tools leave out that a text left out may also be null"


def codes_of(schema: dict[str, Any]) -> list[str]:
    return [code for one in (schema, *schema.get("anyOf", [])) for code in one.get("enum", [])]


def test_every_error_code_of_the_contract_is_described() -> None:
    codes = {
        code
        for methods in document()["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for code in codes_of(content["schema"].get("properties", {}).get("error", {}))
    }
    contract = (
        "invalid_payload invalid_params invalid_group_by missing_bearer_token malformed_api_key invalid_api_key "
        "key_kind_mismatch plan_limit origin_not_allowed insufficient_scope forget_requires_secret_key "
        "key_kind_not_allowed account_key_required method_not_allowed payload_too_large unsupported_media_type "
        "rate_limited internal_error forget_failed upstream_failed export_requires_secret_key"
    )
    assert set(contract.split()) <= codes


@pytest.fixture
def described(service: Service, shared: dict[str, Any]) -> dict[str, Any]:
    """The keys of an account with a few events to ask about."""
    keys = {"ak": shared["account"]["ak"], **shared["projects"][0]}
    at = "2026-05-10T09:00:00Z"
    service.track(
        keys["sk"],
        *(
            {"event": name, "anonymous_id": "v", "timestamp": at, "event_id": name}
            for name in ("a", "b", "c")
        ),
    )
    return keys


@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=lambda one: getattr(one, "value", one))
def test_schemathesis_finds_nothing_undescribed(
    service: Service,
    described: dict[str, Any],
    path: str,
    method: str,
    mode: GenerationMode,
    figures: Figures,
) -> None:
    """Made-up requests, valid and not: no 5xx, no undocumented status, every answer as its schema says."""
    operation = schemathesis.openapi.from_dict(document())[path][method.upper()]
    session, seen = session_of(service), Counter[int]()
    ring = "in process" if isinstance(service, InProcess) else "worker"
    positive = mode == GenerationMode.POSITIVE
    wants_window = any(
        one["name"] == "from" for one in document()["paths"][path][method].get("parameters", [])
    )
    headers = {"authorization": f"Bearer {described[KEY_OF.get(path, 'sk')]}"}

    @settings(
        max_examples=EXAMPLES[ring],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if positive and wants_window:
            case.query = {**(case.query or {}), "from": "2026-05-01", "to": "2026-06-01"}
            case.query.pop("cursor", None)
        answer = case.call(base_url=service.url, session=session, headers=headers)
        refused = (
            not positive and path not in ENDPOINTS
        )  # what is wrong with a JSON-RPC call is told with 200
        checks = [*CHECKS, negative_data_rejection] if refused else CHECKS
        case.validate_response(answer, checks=checks, headers=headers)
        seen[answer.status_code] += 1
        figures.count(f"schemathesis, {ring}: {mode.value} requests")

    ask()
    assert sum(seen.values()) >= 1
    # Which batches are made up depends on the constants of the whole source; few are valid in every event they hold.
    if positive and ring == "in process" and path != "/v1/batch":
        assert seen.keys() & {200, 202}, seen
