"""What an isolate cannot get done in time is refused at once, and slow clients keep nobody out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.house import InProcess
from web.app import App
from web.concurrency import ConcurrencyLimit
from web.messages import Request, Response

MOST = 3
EVENT = json.dumps({"event": "view", "anonymous_id": "a"}).encode()


class Body:
    """A body that arrives when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.arrived = asyncio.Event()

    async def read(self, _limit: int) -> bytes | None:
        self.asked.set()
        await self.arrived.wait()
        return EVENT


class Busy:
    """A house whose database answers when it is told to."""

    def __init__(self) -> None:
        self.house = InProcess()
        self.key = self.house.account()["projects"][0]["sk"]
        self.waiting = 0
        self.go_on = asyncio.Event()
        database = self.house.faults.of(self.house.db)
        answer = database.batch

        async def batch(statements: Any) -> Any:
            self.waiting += 1
            await self.go_on.wait()
            return await answer(statements)

        wiring = self.house.wiring()
        wiring.events._database.batch = batch  # type: ignore[attr-defined]
        self.app = App(replace(wiring, concurrency=ConcurrencyLimit(MOST)))

    def send(self, read: Any = None, path: str = "/v1/track", method: str = "POST") -> asyncio.Task[Response]:
        async def at_once(_limit: int) -> bytes:
            return EVENT

        headers = {
            "host": "localhost:8787",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
        }
        request = Request(method, self.house.url + path, headers, read or at_once)
        return asyncio.ensure_future(self.app.handle(request))

    async def end(self) -> None:
        """Finishes what was put off."""
        while self.house.deferred:
            await self.house.deferred.pop()

    async def until(self, waiting: int) -> None:
        while self.waiting < waiting:
            await asyncio.sleep(0)


def test_more_than_an_isolate_can_do_at_once_is_refused_at_once_and_nothing_begun_is_lost() -> None:
    async def run() -> None:
        busy = Busy()
        begun = [busy.send() for _ in range(MOST)]
        await busy.until(MOST)
        for refused in (await busy.send(), await busy.send(path="/v1/stats?from=7d&to=now", method="GET")):
            assert (refused.status, refused.headers["retry-after"]) == (503, "2")
            assert json.loads(refused.body) == {"error": "overloaded", "details": {"at_once": MOST}}
        busy.go_on.set()
        assert [(await one).status for one in begun] == [202] * MOST
        assert [(await busy.send()).status for _ in range(2 * MOST)] == [202] * 2 * MOST
        await busy.end()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_bodies_that_are_still_arriving_keep_nobody_out() -> None:
    async def run() -> None:
        busy = Busy()
        bodies = [Body() for _ in range(5 * MOST)]
        slow = []
        for body in bodies:
            slow.append(busy.send(body.read))
            await body.asked.wait()
        quick = [busy.send() for _ in range(MOST)]
        await busy.until(MOST)
        for body in bodies:
            body.arrived.set()
        assert {(await one).status for one in slow} == {503}
        busy.go_on.set()
        assert [(await one).status for one in quick] == [202] * MOST
        assert (await busy.send()).status == 202
        await busy.end()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("failure", [asyncio.CancelledError, ConnectionError])
def test_a_client_that_goes_away_gives_its_place_back(failure: type[BaseException]) -> None:
    async def gone(_limit: int) -> bytes:
        raise failure

    async def run() -> None:
        busy = Busy()
        busy.go_on.set()
        for _ in range(2 * MOST):
            await asyncio.wait([busy.send(gone)])
        assert (await busy.send()).status == 202
        await busy.end()

    asyncio.run(asyncio.wait_for(run(), 60))
