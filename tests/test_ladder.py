"""Every rung of the protocol's ladder, over raw HTTP, in process and on the Worker itself."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.answers import watch
from tests.data.ladder import ABSENT, CASES, PRESENT, Case
from tests.house import Answer, InProcess, Service


def test_every_rung_answers_as_the_ladder_says(service: Service, account: dict[str, Any]) -> None:
    """One test for all cases: a new account for each would take longer than everything they ask."""
    key = account["projects"][0]["rk"]
    wrong = [f"{case.name}: {fault}" for case in CASES for fault in faults(case, ask(service, key, case))]
    assert not wrong, "\n".join(wrong)


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50


def ask(service: Service, key: str, case: Case) -> Answer:
    headers = {name: value.replace("KEY", key) for name, value in case.headers.items()}
    if isinstance(service, InProcess):
        answer = service.request(case.verb, "/mcp", headers=headers, body=case.body)
    else:
        answer = over_the_wire(service.url, case.verb, headers, case.body)
    watch("/mcp", headers, case.body, answer)
    return answer


def over_the_wire(url: str, verb: str, headers: dict[str, str], body: bytes) -> Answer:
    """One request on a connection of its own, header values as they are: httpx would refuse some of them."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(verb, "/mcp", body, headers)
        response = connection.getresponse()
        given = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, given, response.read().decode())
    finally:
        connection.close()


def faults(case: Case, answer: Answer) -> list[str]:
    """What is wrong with an answer: its status, its headers, and where its body says something else."""
    found = [] if answer.status == case.status else [f"status {answer.status}, not {case.status}"]
    for name, value in case.given.items():
        if value not in answer.headers.get(name, ""):
            found.append(f"header {name} is {answer.headers.get(name)!r}")
    if "mcp-session-id" in answer.headers:
        found.append("a session id nobody needs")
    if case.says is None:
        return [*found, *([f"a body: {answer.text}"] if answer.text else [])]
    for path, value in case.says.items():
        got = at(answer.json, path)
        if (got is ABSENT) if value is PRESENT else (got != value or type(got) is not type(value)):
            found.append(f"{path} is {got!r}, not {value!r} in {answer.text[:200]}")
    return found


def at(value: Any, path: str) -> Any:
    """The member at a dotted path; the rest of a path may itself be a name with dots."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for end in (place for place, character in enumerate(path) if character == "."):
        if isinstance(value, dict) and path[:end] in value:
            return at(value[path[:end]], path[end + 1 :])
    head, _, rest = path.partition(".")
    if isinstance(value, list) and head.isdigit() and int(head) < len(value):
        return at(value[int(head)], rest) if rest else value[int(head)]
    return ABSENT
