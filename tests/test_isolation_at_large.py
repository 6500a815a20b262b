"""Isolation, by sheer number: eight accounts with three projects each, every value of theirs a canary, and each answer
to each kind of key searched for the canaries of others.

Source: security.md T-ISO-1 and T-ISO-3. A part furnishes its house once and shares it: what its calls write is sent again
with the same ids, so that it stays as it was, and at the end it is looked at. Answers are searched, not understood.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from mcp.tools import ACCOUNT_TOOLS, PROJECT_TOOLS
from tests.figures import Figures
from tests.house import InProcess
from tests.leaks import scanned
from tests.scale import scale
from web.messages import Request, Response

ACCOUNTS, PROJECTS = range(8), range(3)
#: Each with a house and a seed of its own; they may run side by side.
PARTS = range(4)
CASES = scale(20_000, 1_000_000) // len(PARTS)
WINDOW = {"from": "2026-05-01", "to": "2026-05-20"}
#: Account, project, and where it was put: a canary that the request itself named may come back, no other one of its project.
CANARY = re.compile(r"canary[-_ +](\d)[-_ +](\d)[-_ +](\d+)", re.IGNORECASE)
NAME, EVENT, PATH, SOURCE, CAMPAIGN, USER, VISITOR, VALUE, KEY, ID, OTHER_EVENT, MEDIUM = range(12)
Place = tuple[int, int]
Canary = tuple[str, ...]


def canary(place: Place, where: int) -> str:
    return f"canary-{place[0]}-{place[1]}-{where}"


def canaries(text: str) -> set[Canary]:
    return {match.groups() for match in CANARY.finditer(text)}


def foreign(answer: str, request: str, seen_by: set[Place]) -> set[Canary]:
    """The canaries in an answer that its key may not see, but for those the request itself named."""
    visible = {(str(account), str(project)) for account, project in seen_by}
    return {one for one in canaries(answer) if one[:2] not in visible} - canaries(request)


def events_of(place: Place) -> list[dict[str, Any]]:
    """The same in every project, but for the canaries."""
    said = "https://site.example/{}?utm_source={}&utm_medium={}&utm_campaign={}"
    url = said.format(*(canary(place, one) for one in (PATH, SOURCE, MEDIUM, CAMPAIGN)))
    return [
        {
            "event": canary(place, EVENT if number % 3 else OTHER_EVENT),
            "event_id": f"e{number}" if number % 2 else f"{canary(place, ID)}-{number}",
            "timestamp": f"2026-05-{2 + number:02}T09:00:00Z" if number < 11 else "2026-05-20T11:55:00Z",
            "anonymous_id": f"{canary(place, VISITOR)}-{number % 4}",
            **({"user_id": f"{canary(place, USER)}-{number % 2}"} if number % 4 < 2 else {}),
            **({"url": url} if number % 3 == 0 else {"path": f"/{canary(place, PATH)}"}),
            "properties": {"amount": number, "plan": canary(place, VALUE), canary(place, KEY): True},
        }
        for number in range(12)
    ]  # fmt: skip


class Town:
    """All accounts in one house, and its requests on one event loop."""

    def __init__(self) -> None:
        self.house = InProcess()
        self.keys: dict[tuple[Place, str], str] = {}
        self.ids: dict[Place, str] = {}
        for account in ACCOUNTS:
            keys = self.house.account(
                "business", *(f"Canary {account} {project} {NAME}" for project in PROJECTS)
            )
            for number, project in enumerate(keys["projects"]):
                place = (account, number)
                self.ids[place] = project["id"]
                self.keys |= {(place, kind): project[kind] for kind in ("pk", "sk", "rk")}
                self.keys[place, "ak"] = keys["account"]["ak"]
                self.house.track(project["sk"], *events_of(place))
        self.house.fold()
        self.loop = asyncio.new_event_loop()

    def send(self, key: str, path: str, body: bytes | None) -> Response:
        async def read_body(_limit: int) -> bytes:
            return body or b""

        headers = {
            "host": "localhost:8787", "authorization": f"Bearer {key}", "content-type": "application/json",
            **({"origin": "https://site.example"} if key.startswith("pk") else {}),
        }  # fmt: skip
        request = Request("GET" if body is None else "POST", self.house.url + path, headers, read_body)

        async def run() -> Response:
            response = await self.house.app.handle(request)
            while self.house.deferred:
                await self.house.deferred.pop(0)
            return response

        return self.loop.run_until_complete(run())

    def stored(self) -> list[tuple[Any, ...]]:
        """How many events each project has, with and without a person."""
        self.house.fold()
        query = "SELECT project, count(*), count(user_id) FROM events GROUP BY project"
        return [tuple(row) for row in self.house.db.connection.execute(query)]


#: What each tool has to be told; the rest of its arguments is drawn.
REQUIRED: dict[str, Callable[[Callable[[int], str]], dict[str, Any]]] = {
    "funnel": lambda named: {"steps": [named(EVENT), named(OTHER_EVENT)]},
    "breakdown": lambda _named: {"by": "source"},
    "retention": lambda named: {"born_event": named(EVENT), "return_event": named(OTHER_EVENT)},
    "compare_segments": lambda named: {
        "goal": named(EVENT),
        "a": [{"field": "source", "op": "eq", "value": named(SOURCE)}],
        "b": [{"field": "path", "op": "neq", "value": "/" + named(PATH)}],
    },
    "user_journey": lambda named: {"user_id": named(USER) + "-0"},
    "forget_user": lambda named: {"user_id": named(USER) + "-0"},
    "revenue": lambda named: {"event": named(EVENT)},
    "channel_roi": lambda named: {"event": named(EVENT)},
    "attribution": lambda named: {"event": named(EVENT)},
}
#: Arguments that may be added wherever a tool has them.
OPTIONAL: dict[str, Callable[[Callable[[int], str]], Any]] = {
    "event": lambda named: named(EVENT),
    "goal": lambda named: named(EVENT),
    "source": lambda named: named(SOURCE),
    "filters": lambda named: [{"field": "source", "op": "eq", "value": named(SOURCE)}],
    "by": lambda _named: "campaign",
    "breakdown": lambda _named: "source",
    "group_by": lambda named: ["path", "event_name"] if named(0)[-3] < "4" else ["source", "campaign"],
    "limit": lambda named: 1 + int(named(0)[-3]),
    "include_anonymous": lambda _named: True,
}
TOOLS = {"/mcp": PROJECT_TOOLS, "/mcp/account": ACCOUNT_TOOLS}
TAKES = {
    (path, tool.name): frozenset(tool.listing()["inputSchema"]["properties"])
    for path, tools in TOOLS.items() for tool in tools
}  # fmt: skip
WITHOUT_WINDOW = {"list_projects", "realtime", "track_event", "forget_user"}


def anyone(chance: random.Random) -> Place:
    return chance.choice(ACCOUNTS), chance.choice(PROJECTS)


def tool_call(chance: random.Random, town: Town, place: Place, path: str) -> tuple[str, dict[str, Any]]:
    """A tool and its arguments; in a third of the calls, what they name is somebody else's."""
    _, tool = chance.choice([one for one in TAKES if one[0] == path])
    takes = TAKES[path, tool]
    whose = place if chance.random() < 2 / 3 else anyone(chance)

    def named(where: int) -> str:
        return canary(whose, where)

    if tool == "track_event":
        return tool, chance.choice(events_of(place))  # as it is stored: a duplicate
    arguments: dict[str, Any] = {} if tool in WITHOUT_WINDOW else dict(WINDOW)
    arguments |= REQUIRED.get(tool, lambda _named: {})(named)
    for name, value in OPTIONAL.items():
        if name in takes and name not in arguments and chance.random() < 0.25:
            arguments[name] = value(named)
    if path == "/mcp/account" and "project_id" in takes:
        arguments["project_id"] = town.ids[place if chance.random() < 2 / 3 else anyone(chance)]
    elif chance.random() < 0.02:
        arguments["project_id"] = town.ids[anyone(chance)]  # T-ISO-2: there is no such argument
    return tool, arguments


def rpc(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def drawn(chance: random.Random, town: Town, place: Place, kind: str) -> tuple[str, str, bytes | None]:
    """What is asked, where, and with which body."""
    path = "/mcp/account" if kind == "ak" else "/mcp"
    if chance.random() < 0.03:
        path = chance.choice(("/mcp", "/mcp/account"))
    whose = place if chance.random() < 2 / 3 else anyone(chance)
    how = chance.random()
    if how < 0.80:
        tool, arguments = tool_call(chance, town, place, path)
        return tool, path, rpc("tools/call", name=tool, arguments=arguments)
    if how < 0.86:
        uri = chance.choice((
            "events://recent", "schema://events", "projects://all", f"events://{canary(whose, EVENT)}",
            f"users://{canary(whose, USER)}-0/journey",
        ))  # fmt: skip
        return "resources/read", path, rpc("resources/read", uri=uri)
    if how < 0.90:
        typed = {"name": chance.choice(("event_name", "source", "path")), "value": chance.choice(("", "c"))}
        ref = {"type": "ref/resource", "uri": "events://{event_name}"}
        return "completion/complete", path, rpc("completion/complete", ref=ref, argument=typed)
    if how < 0.92:
        return (method := chance.choice(("resources/list", "tools/list", "prompts/list"))), path, rpc(method)
    if how < 0.98:
        question = chance.choice((
            ("/v1/query", {"event": canary(whose, EVENT)}), ("/v1/query", {"user_id": canary(whose, USER) + "-0"}),
            ("/v1/query", {}), ("/v1/stats", {"group_by": "event_name,path"}), ("/v1/sources", {}),
        ))  # fmt: skip
        return question[0], f"{question[0]}?{urlencode(WINDOW | question[1])}", None
    if how < 0.995:
        return "/v1/track", "/v1/track", json.dumps(chance.choice(events_of(place))).encode()
    stranger = chance.choice([one for one in ACCOUNTS if one != place[0]]), place[1]
    return "/v1/forget", "/v1/forget", json.dumps({"user_id": canary(stranger, USER) + "-0"}).encode()


@pytest.mark.parametrize("part", PARTS)
def test_no_answer_holds_what_its_key_may_not_see(part: int, figures: Figures) -> None:
    """T-ISO-1: a case is one answer, headers and body, to a request drawn anew, searched for every canary of others."""
    chance, town = random.Random(20261128 + part), Town()
    stored = town.stored()
    assert len(stored) == len(ACCOUNTS) * len(PROJECTS)
    answered: Counter[tuple[str, str]] = Counter()
    own: set[Canary] = set()
    for number in range(CASES):
        place, kind = anyone(chance), chance.choice(("pk", "sk", "rk", "rk", "ak", "ak"))
        seen_by = {(place[0], one) for one in PROJECTS} if kind == "ak" else {place}
        what, path, body = drawn(chance, town, place, kind)
        response = town.send(town.keys[place, kind], path, body)
        text = "\n".join([*response.headers.values(), response.body])
        asked = path + (body or b"").decode()
        assert foreign(text, asked, seen_by) == set(), (kind, place, asked, text[:3000])
        assert response.status < 500, (asked, text[:500])
        scanned(response.status, response.headers, response.body)
        if response.status < 300 and '"isError":true' not in text and '"error"' not in text:
            answered[kind, what] += 1
            if number < 20_000:
                own |= canaries(text) - canaries(asked)
        if number % 1000 == 999:
            town.house.faults.reset()  # it remembers every statement
            figures.count("isolation: answers searched for canaries of others", 1000)
    assert town.house.log == []
    assert town.stored() == stored, "what is sent again is not stored again, and nobody forgets for others"
    unanswered = {
        ("rk", tool.name) for tool in PROJECT_TOOLS if tool.name not in ("track_event", "forget_user")
    }
    unanswered |= {("sk", "track_event"), ("sk", "forget_user"), ("pk", "/v1/track"), ("sk", "/v1/forget")}
    unanswered |= {("ak", tool.name) for tool in ACCOUNT_TOOLS} | {("rk", "/v1/query"), ("rk", "/v1/stats")}
    assert unanswered - answered.keys() == set(), "each tool has to answer to be searched"
    everywhere = {(str(account), str(project)) for account in ACCOUNTS for project in PROJECTS}
    assert {one[:2] for one in own} == everywhere, "each project shows its own canaries to its own keys"
    shown = {int(one[2]) for one in own}
    assert shown >= {NAME, EVENT, PATH, SOURCE, CAMPAIGN, USER, VISITOR, VALUE, KEY}, (
        "no answer tells an event's id"
    )


def test_the_search_finds_what_it_looks_for() -> None:
    ours, theirs = (1, 2), (3, 0)
    both = f'{{"rows":[{{"path":"/{canary(ours, PATH)}"}},{{"path":"/{canary(theirs, PATH)}"}}]}}'
    assert foreign(both, "", {ours}) == {("3", "0", str(PATH))}
    assert foreign(both, canary(theirs, EVENT), {ours}) == {("3", "0", str(PATH))}
    assert foreign(both, canary(theirs, PATH), {ours}) == set()
    assert foreign("Canary 3 0 0", "", {ours}) == {("3", "0", "0")}


def test_without_a_scope_the_search_finds_others() -> None:
    """The same question, asked of another's project by a house whose keys were mixed up: the search must notice."""
    town = Town()
    body = rpc("tools/call", name="query_events", arguments=WINDOW)
    answer = town.send(town.keys[(3, 0), "rk"], "/mcp", body)
    assert {one[:2] for one in foreign(answer.body, body.decode(), {(1, 2)})} == {("3", "0")}
