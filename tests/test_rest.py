"""REST v1 line by line: success codes, errors, keys, CORS, methods. Source: contract.md §2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage.sqlite import Sqlite
from tests.house import Answer, InProcess, Service

SITE = "https://site.example"
WINDOW = "from=2026-05-01&to=2026-06-01"
INGEST = ["/v1/track", "/v1/batch", "/v1/identify"]
READS = ["/v1/query", "/v1/stats", "/v1/sources"]
BODIES: dict[str, Any] = {
    "/v1/track": {"event": "signup", "anonymous_id": "ada", "event_id": "e-1"},
    "/v1/batch": {"events": [{"event": "signup", "anonymous_id": "ada"}]},
    "/v1/identify": {"anonymous_id": "ada", "user_id": "u-ada"},
}
STATUS = {"/v1/track": 202, "/v1/batch": 202, "/v1/identify": 200}


@pytest.fixture
def keys(shared: dict[str, Any]) -> dict[str, str]:
    return {"ak": shared["account"]["ak"], **shared["projects"][0]}


@pytest.fixture
def empty(account: dict[str, Any]) -> dict[str, str]:
    """A project that no other test writes to."""
    keys: dict[str, str] = account["projects"][0]
    return keys


@pytest.fixture
def project(house: InProcess) -> dict[str, str]:
    """A project of the house in process."""
    keys = house.account("business")
    return {"ak": keys["account"]["ak"], **keys["projects"][0]}


def test_the_documented_answers_word_for_word(service: Service, empty: dict[str, str]) -> None:
    at = "2026-05-10T09:00:00Z"
    seen = {
        "event": "$pageview",
        "anonymous_id": "ada",
        "timestamp": at,
        "event_id": "e-1",
        "url": f"{SITE}/?gclid=1",
    }
    tracked = service.post("/v1/track", seen, empty["sk"])
    assert (tracked.status, tracked.json) == (202, {"ok": True, "event_id": "e-1"})
    again = service.post("/v1/track", seen, empty["sk"])
    assert (again.status, again.json) == (202, {"ok": True, "event_id": "e-1", "duplicate": True})
    two = [{"event": "signup", "anonymous_id": one, "timestamp": at} for one in ("ada", "bob")]
    batch = service.post("/v1/batch", {"events": two}, empty["sk"])
    assert (batch.status, batch.json) == (202, {"ok": True, "count": 2})
    query = service.get(f"/v1/query?{WINDOW}&event=$pageview", empty["rk"])
    (row,) = query.json.pop("rows")
    assert list(row.items()) == [
        ("timestamp", "2026-05-10T09:00:00.000Z"), ("event_name", "$pageview"), ("anonymous_id", "ada"),
        ("user_id", None), ("source", "google"), ("medium", "paid"), ("campaign", None),
        ("source_confidence", "high"), ("referrer", None), ("url", f"{SITE}/?gclid=1"), ("path", "/"),
        ("country", row["country"]), ("device_type", "desktop"), ("properties", "{}"),
    ]  # fmt: skip
    stats = service.get(f"/v1/stats?{WINDOW}&group_by=source,medium", empty["rk"])
    assert (stats.status, stats.json) == (200, {
        "metric": "count",
        "rows": [
            {"source": "direct", "medium": "direct", "value": 2},
            {"source": "google", "medium": "paid", "value": 1},
        ],
    })  # fmt: skip
    sources = service.get(f"/v1/sources?{WINDOW}", empty["rk"])
    assert (sources.status, sources.json) == (200, {
        "breakdown": "source_medium",
        "rows": [
            {"source": "direct", "medium": "direct", "events": 2, "uniques": 2, "paid_share": 0},
            {"source": "google", "medium": "paid", "events": 1, "uniques": 1, "paid_share": 1},
        ],
    })  # fmt: skip
    by_source = service.get(f"/v1/sources?{WINDOW}&breakdown=source&limit=1", empty["rk"])
    assert by_source.json == {
        "breakdown": "source",
        "rows": [{"source": "direct", "events": 2, "uniques": 2, "paid_share": 0}],
    }
    identified = service.post(
        "/v1/identify", {"anonymous_id": "ada", "user_id": "u-ada", "traits": {"plan": "pro"}}, empty["sk"]
    )
    assert (identified.status, identified.json) == (200, {"ok": True})


def test_stats_with_an_interval_orders_by_bucket_then_value(service: Service, empty: dict[str, str]) -> None:
    service.track(
        empty["sk"],
        {"event": "a", "anonymous_id": "v", "timestamp": "2026-05-02T10:00:00Z"},
        {"event": "b", "anonymous_id": "v", "timestamp": "2026-05-01T10:00:00Z"},
        {"event": "a", "anonymous_id": "w", "timestamp": "2026-05-01T11:00:00Z"},
        {"event": "b", "anonymous_id": "w", "timestamp": "2026-05-01T12:00:00Z"},
    )
    answer = service.get(f"/v1/stats?{WINDOW}&metric=uniques&interval=day&group_by=event_name", empty["rk"])
    assert answer.json["metric"] == "uniques"
    assert [(row["bucket"][8:10], row["event_name"], row["value"]) for row in answer.json["rows"]] == [
        ("01", "b", 2), ("01", "a", 1), ("02", "a", 1),
    ]  # fmt: skip


# --- what is wrong with a request ---


def test_a_missing_event_is_answered_as_the_contract_prints_it(
    service: Service, keys: dict[str, str]
) -> None:
    answer = service.post("/v1/track", {}, keys["sk"])
    assert answer.status == 400
    assert answer.json == {"error": "invalid_payload", "details": {"fieldErrors": {"event": ["Required"]}}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event": ""}, "event"),
        ({"event": "x" * 129}, "event"),
        ({"event": 7}, "event"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"event_id": ""}, "event_id"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-05-21T12:00:00.001Z"}, "timestamp"),
        ({"anonymous_id": ""}, "anonymous_id"),
        ({"anonymous_id": "x" * 129}, "anonymous_id"),
        ({"user_id": "x" * 257}, "user_id"),
        ({"session_id": "x" * 129}, "session_id"),
        ({"url": "not a url"}, "url"),
        ({"url": "https://site.example/" + "x" * 2048}, "url"),
        ({"path": "x" * 2049}, "path"),
        ({"referrer": "x" * 2049}, "referrer"),
        ({"properties": []}, "properties"),
        ({"properties": {"text": "x" * 8182}}, "properties"),
    ],
)
def test_every_limit_of_an_event_is_named_by_its_field(
    house: InProcess, project: dict[str, str], change: dict[str, Any], field: str
) -> None:
    answer = house.post("/v1/track", {"event": "signup", **change}, project["sk"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_payload")
    assert list(answer.json["details"]["fieldErrors"]) == [field]


@pytest.mark.parametrize(
    "change",
    [
        {"event": "x" * 128, "event_id": "x" * 128, "anonymous_id": "x" * 128, "session_id": "x" * 128},
        {"user_id": "x" * 256, "path": "x" * 2048, "referrer": "x" * 2048},
        {"url": "https://site.example/" + "x" * 2027},
        {"properties": {"text": "x" * (8192 - len('{"text":""}'))}},
        {"timestamp": "2026-05-21T12:00:00Z"},
        {"source": 1, "medium": [], "country": {}, "ip_hash": None, "browser": "x", "never_heard_of": 1},
    ],
)
def test_what_just_fits_is_taken_and_what_the_server_decides_is_ignored(
    house: InProcess, project: dict[str, str], change: dict[str, Any]
) -> None:
    assert house.post("/v1/track", {"event": "signup", **change}, project["sk"]).status == 202


def test_a_batch_is_all_or_nothing_and_names_the_bad_index(service: Service, empty: dict[str, str]) -> None:
    good = {"event": "signup", "anonymous_id": "ada", "timestamp": "2026-05-10T09:00:00Z"}
    answer = service.post(
        "/v1/batch", {"events": [good, good, {"anonymous_id": "ada"}, {"event": ""}]}, empty["sk"]
    )
    assert (answer.status, answer.json["error"]) == (400, "invalid_payload")
    details = answer.json["details"]
    assert details["index"] == 2
    assert details["fieldErrors"]["events[2].event"] == ["Required"]
    assert list(details["fieldErrors"]) == ["events[2].event", "events[3].event"]
    assert service.get(f"/v1/stats?{WINDOW}", empty["rk"]).json["rows"] == [{"value": 0}]


@pytest.mark.parametrize(("count", "status"), [(0, 400), (1, 202), (1000, 202), (1001, 400)])
def test_a_batch_holds_one_to_a_thousand_events(
    house: InProcess, project: dict[str, str], count: int, status: int
) -> None:
    answer = house.post("/v1/batch", {"events": [{"event": "e"}] * count}, project["sk"])
    assert answer.status == status
    assert answer.json.get("error") == (None if status == 202 else "invalid_payload")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("to=2026-06-01", "from"),
        ("from=2026-05-01", "to"),
        ("from=2026-06-01&to=2026-05-01", "to"),
        ("from=2026-05-01&to=2026-05-01", "to"),
        ("from=someday&to=2026-05-01", "from"),
        ("from=2026-02-30&to=2026-05-01", "from"),
        (f"{WINDOW}&limit=0", "limit"),
        (f"{WINDOW}&limit=1001", "limit"),
        (f"{WINDOW}&limit=ten", "limit"),
        (f"{WINDOW}&metric=sum", "metric"),
        (f"{WINDOW}&interval=minute", "interval"),
        (f"{WINDOW}&group_by=source,source", "group_by"),
        (f"{WINDOW}&group_by=source,medium,country,os", "group_by"),
        (f"{WINDOW}&grup_by=source", "grup_by"),
        (f"{WINDOW}&project_id=prj", "project_id"),
    ],
)
def test_every_bad_parameter_is_named(
    house: InProcess, project: dict[str, str], query: str, field: str
) -> None:
    answer = house.get(f"/v1/stats?{query}", project["rk"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_params")
    assert list(answer.json["details"]["fieldErrors"]) == [field]


def test_all_bad_parameters_are_named_at_once_with_the_nearest_match(
    house: InProcess, project: dict[str, str]
) -> None:
    answer = house.get("/v1/stats?to=2026-06-01&metric=unique&group_by=sorce&lmit=1", project["rk"])
    assert answer.json == {"error": "invalid_params", "details": {"fieldErrors": {
        "from": ["Required"],
        "metric": ["is not one of the allowed values; allowed: count, uniques; did you mean 'uniques'?"],
        "group_by[0]": [
            "is not one of the allowed values; allowed: event_name, source, medium, campaign, country, device_type, "
            "browser, os, path; did you mean 'source'?"
        ],
        "lmit": [
            "unknown argument; allowed: from, to, metric, event, group_by, interval, sample, limit; did you mean 'limit'?"
        ],
    }}}  # fmt: skip


@pytest.mark.parametrize(
    "columns", ["nope", "source,nope", "source;drop table events", "SOURCE", "project_id", "count(*)"]
)
def test_an_unknown_column_gets_the_allowed_ones(
    service: Service, keys: dict[str, str], columns: str
) -> None:
    answer = service.request(
        "GET",
        f"/v1/stats?{WINDOW}&group_by={columns.replace(' ', '%20').replace(';', '%3B')}",
        headers={"authorization": f"Bearer {keys['rk']}"},
    )
    assert answer.status == 400
    allowed = [
        "event_name",
        "source",
        "medium",
        "campaign",
        "country",
        "device_type",
        "browser",
        "os",
        "path",
    ]
    assert answer.json == {"error": "invalid_group_by", "details": {"allowed": allowed}}


@pytest.mark.parametrize(
    "query", ["&".join(f"a{n}=1" for n in range(80)), f"{WINDOW}&event=a%00b", "%FF=%FE", "&&==&"]
)
def test_odd_query_strings_are_bad_parameters(service: Service, keys: dict[str, str], query: str) -> None:
    answer = service.get(f"/v1/query?{query}", keys["rk"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_params")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_payload"),
        (b"{", 400, "invalid_payload"),
        (b"[]", 400, "invalid_payload"),
        (b"null", 400, "invalid_payload"),
        (b'{"event":NaN}', 400, "invalid_payload"),
        (b"\xff\xfe", 400, "invalid_payload"),
        (b'{"event":"a\\u0000b"}', 400, "invalid_payload"),
        (b'{"event":"e","properties":' + b'{"a":' * 40 + b"1" + b"}" * 41, 400, "invalid_payload"),
        (b" " * 1_048_577, 413, "payload_too_large"),
    ],
)
def test_bodies_that_are_no_event_are_refused_by_name(
    service: Service, keys: dict[str, str], body: bytes, status: int, code: str
) -> None:
    headers = {"authorization": f"Bearer {keys['sk']}", "content-type": "application/json"}
    answer = service.request("POST", "/v1/track", headers=headers, body=body)
    assert (answer.status, answer.json["error"]) == (status, code)


@pytest.mark.parametrize("path", INGEST)
@pytest.mark.parametrize(
    ("media_type", "taken"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("text/plain", True),
        ("text/plain;charset=UTF-8", True),
        ("application/x-www-form-urlencoded", False),
        ("application/json; charset=utf-16", False),
        ("", False),
    ],
)
def test_ingest_takes_json_and_the_plain_text_of_beacons(
    house: InProcess, project: dict[str, str], path: str, media_type: str, taken: bool
) -> None:
    answer = house.post(path, BODIES[path], project["sk"], content_type=media_type)
    assert answer.status == (STATUS[path] if taken else 415)
    assert taken or answer.json["error"] == "unsupported_media_type"


# --- keys ---


def ask(service: Service, path: str, key: str | None, **headers: str) -> Answer:
    if path in INGEST:
        return service.post(path, BODIES[path], key, **headers)
    return service.get(f"{path}?{WINDOW}", key, **headers)


@pytest.mark.parametrize("kind", ["pk", "sk", "rk", "ak"])
def test_each_kind_of_key_does_what_its_row_says(service: Service, keys: dict[str, str], kind: str) -> None:
    """The REST columns of the table of contract.md §1."""
    headers = {"origin": SITE} if kind == "pk" else {}
    for path in INGEST:
        answer = ask(service, path, keys[kind], **headers)
        if kind in ("pk", "sk"):
            assert answer.status == STATUS[path]
        else:
            assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")
    for path in READS:
        answer = ask(service, path, keys[kind], **headers)
        assert answer.status == (200 if kind == "rk" else 403)
        assert kind == "rk" or answer.json["error"] == "insufficient_scope"


@pytest.mark.parametrize("path", INGEST + READS)
@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_bearer_token"),
        ("", "missing_bearer_token"),
        ("Bearer", "missing_bearer_token"),
        ("Basic dXNlcjpwYXNz", "missing_bearer_token"),
        ("Bearer hello", "malformed_api_key"),
        ("Bearer xk_live_0123abcd_secret", "malformed_api_key"),
        ("Bearer {kind}_live_0123abcd_" + "x" * 49, "invalid_api_key"),
        ("Bearer {kind}_live_0123abcd_se-cr_et", "invalid_api_key"),
    ],
)
def test_a_bad_key_is_401_with_its_code_and_a_challenge(
    house: InProcess, path: str, authorization: str | None, code: str
) -> None:
    kind = "sk" if path in INGEST else "rk"
    answer = ask(
        house,
        path,
        None,
        **({} if authorization is None else {"authorization": authorization.format(kind=kind)}),
    )
    assert (answer.status, answer.json) == (401, {"error": code})
    bare = 'Bearer realm="millimetric"'
    assert answer.headers["www-authenticate"] == (
        bare if code == "missing_bearer_token" else f'{bare}, error="invalid_token"'
    )


def test_a_record_of_another_kind_is_a_mismatch(house: InProcess, project: dict[str, str]) -> None:
    prefix = project["sk"].split("_")[2]
    (name,) = [name for name in house.kv.entries if name.endswith(prefix)]
    house.kv.entries[name] = json.dumps(json.loads(house.kv.entries[name]) | {"kind": "rk"})
    answer = ask(house, "/v1/track", project["sk"])
    assert (answer.status, answer.json) == (401, {"error": "key_kind_mismatch"})


# --- browsers ---


@pytest.mark.parametrize("path", INGEST)
def test_a_preflight_of_ingest_is_granted_to_any_page_and_tells_nothing(service: Service, path: str) -> None:
    headers = {
        "origin": "https://anywhere.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = service.request("OPTIONS", path, headers=headers)
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["access-control-allow-origin"] == "https://anywhere.example"
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert {"authorization", "content-type"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", READS)
def test_reads_are_not_for_pages(service: Service, keys: dict[str, str], path: str) -> None:
    preflight = service.request(
        "OPTIONS", path, headers={"origin": SITE, "access-control-request-method": "GET"}
    )
    assert (preflight.status, preflight.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert not any(name.startswith("access-control") for name in preflight.headers)
    answer = service.get(f"{path}?{WINDOW}", keys["rk"], origin=SITE)
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", INGEST)
def test_an_allowed_page_may_read_every_answer(service: Service, keys: dict[str, str], path: str) -> None:
    good = service.post(path, BODIES[path], keys["pk"], origin=SITE)
    bad = service.post(path, {}, keys["pk"], origin=SITE)
    no_key = service.post(path, {}, None, origin=SITE)
    wrong_type = service.post(path, {}, keys["pk"], origin=SITE, content_type="text/html")
    wrong_method = service.request("PUT", path, headers={"origin": SITE})
    answers = [good, bad, no_key, wrong_type, wrong_method]
    assert [answer.status for answer in answers] == [STATUS[path], 400, 401, 415, 405]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == SITE
        assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://evil.example",
        "http://site.example",
        "https://site.example.evil",
        f"{SITE}/",
        f"{SITE}:8443",
    ],
)
def test_a_browser_key_works_only_from_the_origins_of_its_project(
    service: Service, keys: dict[str, str], origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    for path in INGEST:
        answer = service.post(path, BODIES[path], keys["pk"], **headers)
        assert (answer.status, answer.json) == (403, {"error": "origin_not_allowed"})
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_can_read_that_the_store_is_down(house: InProcess, project: dict[str, str]) -> None:
    class Broken(Sqlite):
        async def batch(self, statements: Any) -> Any:
            raise RuntimeError("secret detail")

    house.db = Broken()
    house.app = type(house.app)(house.wiring())
    answer = house.post("/v1/track", BODIES["/v1/track"], project["sk"], origin=SITE)
    assert (answer.status, answer.json["error"]) == (500, "internal_error")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "secret" not in answer.text


# --- methods and paths ---


@pytest.mark.parametrize("path", [*INGEST, *READS, "/healthz"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_route_answers_its_methods_and_refuses_the_rest(
    house: InProcess, project: dict[str, str], path: str, method: str
) -> None:
    key = project["sk"] if path in INGEST else project["rk"]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    allowed = ["POST"] if path in INGEST else ["GET", "HEAD"]
    answer = house.request(method, f"{path}?{WINDOW}", headers=headers, body=b"{}")
    if method == "OPTIONS":
        assert (answer.status, answer.text, answer.headers["allow"]) == (
            204,
            "",
            ", ".join([*allowed, "OPTIONS"]),
        )
    elif method in allowed:
        assert answer.status in (200, 400)
        assert (answer.text == "") == (method == "HEAD")
    else:
        assert answer.status == 405
        assert answer.headers["allow"] == ", ".join([*allowed, "OPTIONS"])
        if method != "HEAD":
            assert answer.json == {"error": "method_not_allowed", "details": {"allowed": allowed}}


def test_methods_on_the_worker_itself(service: Service, keys: dict[str, str]) -> None:
    head = service.request("HEAD", f"/v1/stats?{WINDOW}", headers={"authorization": f"Bearer {keys['rk']}"})
    assert (head.status, head.text, head.headers["content-type"]) == (200, "", "application/json")
    assert service.get("/v1/track", keys["sk"]).headers["allow"] == "POST, OPTIONS"
    assert service.post("/v1/stats", {}, keys["rk"]).headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/track/", "/v2/track", "/V1/track", "/mcp/", "/mcp/other",
             "/favicon.ico", "/.well-known/oauth-protected-resource", "/authorize"],
)  # fmt: skip
def test_an_unknown_path_is_404_in_json(service: Service, path: str) -> None:
    answer = service.get(path)
    assert (answer.status, answer.json) == (404, {"error": "not_found"})
    assert answer.headers["content-type"] == "application/json"


def test_healthz_answers_without_a_key(service: Service) -> None:
    answer = service.get("/healthz")
    assert (answer.status, answer.json) == (200, {"ok": True})


def test_answers_belong_to_the_holder_of_the_key(service: Service, keys: dict[str, str]) -> None:
    for path in READS:
        assert ask(service, path, keys["rk"]).headers["cache-control"] == "private, no-store"
