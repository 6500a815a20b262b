"""The guard, condition by condition: what a key may read and write, by D1's word alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from analytics.scope import Project, Scope
from analytics.store import ScopeWithdrawnError
from storage.database import Statement
from storage.guard import MAY_WRITE, check, guard
from tests.house import InProcess

HOUR_AHEAD = "unixepoch() * 1000 + 3600000"


@pytest.fixture
def house() -> InProcess:
    """Three accounts; what is asked about is the second, with two projects."""
    house = InProcess()
    house.account()
    house.account("business", "Mine", "Beside")
    house.account()
    return house


def id_of(house: InProcess, kind: str) -> str:
    query = "SELECT k.id FROM api_keys AS k JOIN projects AS p ON p.account_id = k.account_id WHERE p.slug = 'mine'"
    query += " AND k.kind = ? AND coalesce(k.project, p.number) = p.number"
    (key_id,) = house.db.connection.execute(query, [kind]).fetchone()
    return str(key_id)


def asked(house: InProcess, kind: str, slugs: str) -> tuple[Scope, dict[str, Any]]:
    """The scope, and what D1 says of it and of a write to its first project."""
    rows = {
        row["slug"]: row["number"] for row in house.db.connection.execute("SELECT slug, number FROM projects")
    }
    projects = tuple(Project(rows[slug], "", slug, "") for slug in slugs.split())
    scope = Scope(id_of(house, kind) if kind != "none" else "key_0", "", projects)
    write = Statement(f"SELECT {MAY_WRITE} AS may_write", (scope.key_id, projects[0].number))
    read, may_write = asyncio.run(house.db.batch([guard(scope), write]))
    try:
        said: Any = check(scope, read)
    except ScopeWithdrawnError as error:
        said = "project gone" if error.project_gone else "withdrawn"
    return scope, {"read": said, "write": bool(may_write.rows[0]["may_write"])}


@pytest.mark.parametrize(
    ("kind", "slugs", "read", "write"),
    [
        ("sk", "mine", False, True),
        ("ak", "mine", False, True),
        ("ak", "mine beside", False, True),
        ("ak", "beside", False, True),
        ("sk", "beside", "project gone", False),
        ("sk", "mine beside", "project gone", True),
        ("sk", "site", "project gone", False),
        ("ak", "site", "project gone", False),
        ("ak", "mine beside site", "project gone", True),
        ("none", "mine", "withdrawn", False),
    ],
)
def test_a_key_reaches_its_own_projects_and_no_other(
    house: InProcess, kind: str, slugs: str, read: Any, write: bool
) -> None:
    assert asked(house, kind, slugs)[1] == {"read": read, "write": write}


@pytest.mark.parametrize(
    ("change", "read", "write"),
    [
        ("UPDATE api_keys SET status = 'revoked'", "withdrawn", False),
        ("UPDATE accounts SET status = 'suspended'", "withdrawn", False),
        ("UPDATE api_keys SET expires_at = unixepoch() * 1000 - 1000", "withdrawn", False),
        (f"UPDATE api_keys SET expires_at = {HOUR_AHEAD}", False, True),
        ("UPDATE projects SET status = 'deleted'", "project gone", False),
        ("UPDATE projects SET status = 'deleted' WHERE slug <> 'mine'", False, True),
        (f"UPDATE api_keys SET status = 'revoked', expires_at = {HOUR_AHEAD}", "withdrawn", False),
    ],
)
@pytest.mark.parametrize("kind", ["sk", "ak"])
def test_what_is_withdrawn_ends_at_once(
    house: InProcess, kind: str, change: str, read: Any, write: bool
) -> None:
    house.db.connection.execute(change)
    assert asked(house, kind, "mine")[1] == {"read": read, "write": write}


def test_what_waits_is_that_of_the_projects_asked_about(house: InProcess) -> None:
    keys = house.account("business", "Third")["projects"][0]
    house.track(keys["sk"], {"event": "e", "anonymous_id": "v"})
    assert asked(house, "sk", "mine")[1]["read"] is False
    house.db.connection.execute(
        "UPDATE inbox SET project = (SELECT number FROM projects WHERE slug = 'mine')"
    )
    assert asked(house, "sk", "mine")[1]["read"] is True
