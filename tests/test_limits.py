"""Rate limits: exact at the numbers of the contract, two hints on every 429, open or closed when the platform fails."""

from __future__ import annotations

import json
import random
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from access.rate_limits import RATES, Buckets, Guard, Rate, RateLimits
from analytics.window import format_instant, parse_instant
from tests.house import ROOT, Answer, InProcess
from tests.runtime import Runtime
from web.app import App

WRANGLER, ENTRY = ROOT / "wrangler.toml", ROOT / "src/entry.py"


@pytest.fixture
def house() -> InProcess:
    return InProcess(limits=RateLimits(Buckets()))


EVENT = {"event": "view", "anonymous_id": "a"}


def later(house: InProcess, ms: int) -> None:
    house.now = format_instant(parse_instant(house.now) + ms)


def statuses(house: InProcess, path: str, key: str, count: int) -> list[int]:
    body = {"events": [EVENT]} if path == "/v1/batch" else EVENT
    return [house.post(path, body, key).status for _ in range(count)]


@pytest.mark.parametrize(("path", "burst", "per_s"), [("/v1/track", 200, 50), ("/v1/batch", 20, 5)])
def test_the_burst_and_then_the_rate_pass_and_not_one_more(
    house: InProcess, path: str, burst: int, per_s: int
) -> None:
    one, two = house.account("business", "One", "Two")["projects"]
    assert statuses(house, path, one["sk"], burst) == [202] * burst
    refused = house.post(path, {"events": [EVENT]}, one["sk"])
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json == {
        "error": "rate_limited",
        "details": {"route": path.removeprefix("/v1/"), "per_s": per_s, "burst": burst},
        "retry_after_s": 1,
    }
    assert statuses(house, path, two["sk"], 1) == [202]
    later(house, 1000 // per_s - 1)
    assert statuses(house, path, one["sk"], 1) == [429]
    later(house, 1)
    assert statuses(house, path, one["sk"], 2) == [202, 429]
    later(house, 1000)
    assert statuses(house, path, one["sk"], per_s + 1) == [202] * per_s + [429]
    later(house, 3_600_000)
    assert statuses(house, path, one["sk"], burst + 1) == [202] * burst + [429]


def test_track_event_shares_the_count_of_track(house: InProcess) -> None:
    keys = house.account("business")["projects"][0]
    statuses(house, "/v1/track", keys["sk"], 200)
    call = {"name": "track_event", "arguments": EVENT}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    answer = house.post("/mcp", message, keys["sk"])
    assert (answer.status, answer.json["error"], answer.json["retry_after_s"]) == (429, "rate_limited", 1)
    assert house.rows(keys["sk"], "get_stats", from_="2026-05-01", to="2026-06-01") == [{"value": 200}]


def test_reads_have_a_limit_of_their_own(house: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = house.account("business")["projects"][0]
    house.app = App(replace(house.wiring(), limits=RateLimits(Buckets(), rates={"read": Rate(1, 2)})))
    stats = "/v1/stats?from=2026-05-01&to=2026-06-01"
    assert [house.get(stats, keys["rk"]).status for _ in range(3)] == [200, 200, 429]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert house.post("/mcp", ping, keys["rk"]).status == 429
    assert house.post("/v1/track", EVENT, keys["sk"]).status == 202


def test_a_bucket_never_lets_more_through_than_burst_and_rate_whatever_the_clock_does() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        rate, buckets = Rate(chance.choice([1, 3, 5, 50]), chance.choice([1, 7, 200])), Buckets()
        now = first = 1_000_000
        passed: list[int] = []
        for _ in range(600):
            now += chance.choice([0, 0, 0, 1, 7, 300, -40])
            first = min(first, now)
            wait_ms = buckets.take("track", "p", rate, now)
            if wait_ms == 0:
                passed.append(now)
            else:
                copy = Buckets()
                copy._buckets = buckets._buckets.copy()
                latest = max(now, buckets._buckets["track", "p"][1])
                assert copy.take("track", "p", rate, latest + wait_ms) == 0
                assert buckets.take("track", "p", rate, latest + wait_ms - 1) > 0
                now = max(now, latest + wait_ms - 1)
        assert len(passed) <= rate.burst + (max(passed) - first) * rate.per_s / 1000


class Platform:
    """A limiter of the platform that answers with what it is told to, and remembers what it was asked."""

    def __init__(self, *, allows: bool | None) -> None:
        self.answer, self.asked = allows, list[str]()

    async def __call__(self, key: str) -> bool:
        self.asked.append(key)
        if self.answer is None:
            raise RuntimeError("the limiter is away")
        return self.answer


@pytest.mark.parametrize(("allows", "status"), [(True, 202), (False, 429), (None, 202)])
def test_behind_the_bucket_the_platform_decides_and_when_it_is_away_a_verified_key_passes(
    house: InProcess, allows: bool | None, status: int
) -> None:
    project = house.account("business")["projects"][0]
    platform = Platform(allows=allows)
    limits = RateLimits(Buckets(), guards={"track": Guard(platform, 10)})
    house.app = App(replace(house.wiring(), limits=limits))
    answer = house.post("/v1/track", EVENT, project["sk"])
    assert answer.status == status
    assert platform.asked == [f"track:{project['id']}"]
    if status == 429:
        assert (answer.headers["retry-after"], answer.json["retry_after_s"]) == ("10", 10)
        assert answer.json["details"] == {"route": "track"}


def test_the_platform_is_asked_for_several_calls_at_a_time_and_none_is_lost(house: InProcess) -> None:
    one, two = house.account("business", "One", "Two")["projects"]
    platform = Platform(allows=True)
    guards = {"track": Guard(platform, 10, calls=3)}
    buckets = Buckets()

    def call(key: str, isolate: Buckets = buckets) -> int:
        house.app = App(replace(house.wiring(), limits=RateLimits(isolate, guards=guards)))
        return house.post("/v1/track", EVENT, key).status

    first, second = (f"track:{project['id']}" for project in (one, two))
    assert [call(key) for key in (one["sk"], two["sk"], one["sk"], one["sk"], one["sk"])] == [202] * 5
    assert platform.asked == [first, second, first]
    assert call(one["sk"], Buckets()) == 202
    assert platform.asked == [first, second, first, first], "another isolate asks for itself"
    platform.answer = False
    assert [call(one["sk"]) for _ in range(4)] == [202, 202, 429, 429], (
        "what was granted is kept, and no more"
    )
    assert call(two["sk"]) == 202


def test_prepaid_calls_of_the_most_recent_projects_are_kept_and_no_more() -> None:
    buckets = Buckets()
    for number in range(10_500):
        buckets.prepay(str(number), 1)
    assert len(buckets._prepaid) == 10_000
    assert [buckets.spend(str(number)) for number in (499, 500)] == [False, True]
    assert len(buckets._prepaid) == 9_999, "nothing is kept of those that are spent"
    assert not buckets.spend("500")


def test_one_isolate_alone_never_meets_a_limit_of_the_platform() -> None:
    """What wrangler.toml allows in its period, in calls, is what the bucket allows in any such time."""
    simple = {one["name"]: one["simple"] for one in tomllib.loads(WRANGLER.read_text())["ratelimits"]}
    text = ENTRY.read_text()
    for route, name in (("track", "INGEST_LIMIT"), ("batch", "BATCH_LIMIT"), ("read", "READ_LIMIT")):
        wired = re.search(rf'_guard\(env, "{name}", (\d+)(?:, calls=(\d+))?\)', text)
        assert wired is not None
        assert int(wired[1]) == simple[name]["period"]
        rate = RATES[route]
        assert simple[name]["limit"] * int(wired[2] or 1) == rate.burst + rate.per_s * int(wired[1])


@pytest.mark.parametrize(("allows", "status"), [(True, 401), (False, 429), (None, 429)])
def test_too_many_failed_authentications_are_told_so_but_a_valid_key_passes(
    house: InProcess, allows: bool | None, status: int
) -> None:
    project = house.account("business")["projects"][0]
    platform = Platform(allows=allows)
    house.app = App(replace(house.wiring(), limits=RateLimits(Buckets(), sign_ins=Guard(platform, 60))))
    wrong: list[Any] = [None, "nonsense", "sk_live_00000000_" + "x" * 43]
    for path in ("/v1/track", "/mcp"):
        for key in wrong:
            answer = house.post(path, EVENT, key, cf_connecting_ip="203.0.113.9")
            assert answer.status == status, (path, key)
            assert ("www-authenticate" in answer.headers) == (status == 401)
    assert platform.asked == ["203.0.113.9"] * 6
    assert house.post("/v1/track", EVENT, project["sk"], cf_connecting_ip="203.0.113.9").status == 202
    assert house.post("/v1/track", EVENT, None, cf_connecting_ip="127.0.0.1").status == 401
    assert len(platform.asked) == 6


def test_an_isolate_keeps_the_most_recent_buckets_and_no_more() -> None:
    buckets = Buckets()
    for number in range(10_500):
        assert buckets.take("batch", f"prj_{number}", RATES["batch"], 0) == 0
    assert len(buckets._buckets) == 10_000


def test_the_buckets_that_are_kept_are_those_last_used() -> None:
    buckets, rate = Buckets(), Rate(1, 1)
    for number in range(10_000):
        buckets.take("batch", f"prj_{number}", rate, 0)
    assert buckets.take("batch", "prj_0", rate, 1) == 999
    buckets.take("batch", "one more", rate, 1)
    assert [buckets.take("batch", name, rate, 1) for name in ("prj_0", "prj_1")] == [999, 0]


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    buckets, rate = Buckets(), Rate(500, 2)
    assert [buckets.take("read", "p", rate, now_ms) for now_ms in (1_000, 990, 990, 1_001)] == [0, 0, 2, 1]


@pytest.mark.worker
def test_the_worker_limits_batches_and_its_platform_limits_failed_authentications(worker: Runtime) -> None:
    keys = worker.account("pro")["projects"][0]

    def post(path: str, value: Any, key: str, address: str = "127.0.0.1") -> Answer:
        headers = {"authorization": f"Bearer {key}", "cf-connecting-ip": address}
        headers["content-type"] = "application/json"
        return worker.request("POST", path, headers=headers, body=json.dumps(value).encode())

    answers: list[Answer] = []
    with ThreadPoolExecutor(
        8
    ) as clients:  # at once: one after the other, a slow machine stays within the limit
        while len(answers) < 800 and not any(answer.status == 429 for answer in answers):
            answers += clients.map(lambda _: post("/v1/batch", {"events": [EVENT]}, keys["sk"]), range(40))
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {202, 429}
    assert all(
        answer.headers["retry-after"] == "1" and answer.json["retry_after_s"] == 1 for answer in refused
    )
    address = f"203.0.113.{random.randrange(256)}"
    failed = [post("/v1/track", EVENT, "nonsense", address) for _ in range(62)]
    assert {answer.status for answer in failed} == {401, 429}
    assert post("/v1/track", EVENT, keys["sk"], address).status == 202
