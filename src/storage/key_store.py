"""KeyStore on KV, with D1 behind it: KV authenticates fast and everywhere, D1 is the truth it is copied from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import NoneType
from typing import Any, Final, Protocol, get_args

from pydantic_core import from_json

from access.bucket import Bucket
from access.cache import RecordCache
from access.plans import PLANS
from access.records import AccessUnavailableError, AccountRecord, KeyRecord, OwnedProject
from access.token import Kind, Token
from analytics.scope import Project
from analytics.store import StoreNotReadyError, StoreOverloadedError
from storage.database import Database, Statement


class KeyValue(Protocol):
    """A KV namespace. May raise anything when it is down."""

    async def get(self, name: str) -> str | None:
        """The text stored under a name."""

    async def put(self, name: str, text: str, expiration_s: int | None = None) -> None:
        """Stores a text, until an instant if one is given."""


#: How long KV may take; D1 answers then (security.md T-FLT-K2).
KV_BUDGET_S: Final = 1.0
#: A record is far smaller; what is longer is not one of ours (T-FLT-K4).
MAX_RECORD_CHARACTERS: Final = 1_000_000


def look_ups() -> Bucket:
    """What an isolate may ask D1 for keys that KV does not hold: five a second, twenty at once."""
    return Bucket(burst=20, per_s=5)


KEY_COLUMNS: Final = """
SELECT k.id, k.kind, k.env, k.account_id, p.id AS project_id, k.digest, k.pepper_version, k.status, k.expires_at,
       k.version, k.prefix
  FROM api_keys AS k LEFT JOIN projects AS p ON p.number = k.project"""

_SELECT_KEY: Final = f"""{KEY_COLUMNS}
 WHERE k.prefix = ?1 AND k.kind = ?2 AND k.env = ?3"""

_SELECT_ACCOUNT: Final = "SELECT id, plan, status FROM accounts WHERE id = ?1"

_SELECT_PROJECTS: Final = """
SELECT number, id, slug, name, allowed_origins FROM projects
 WHERE account_id = ?1 AND status = 'active' ORDER BY number LIMIT 1000"""


class KvKeyStore:
    """Isolate cache, then KV, then D1; what D1 answers is not written back, KV is a projection others maintain."""

    def __init__(
        self,
        namespace: KeyValue,
        database: Database,
        keys: RecordCache[KeyRecord],
        accounts: RecordCache[AccountRecord],
        now_ms: Callable[[], int],
        look_ups: Bucket,
        kv_budget_s: float = KV_BUDGET_S,
    ) -> None:
        self._namespace = namespace
        self._database = database
        self._keys = keys
        self._accounts = accounts
        self._now_ms = now_ms
        self._look_ups = look_ups
        self._kv_budget_s = kv_budget_s

    async def key(self, token: Token) -> KeyRecord | None:
        name = key_name(token.kind, token.env, token.prefix)
        known, record = self._keys.get(name, self._now_ms())
        if known:
            return record
        record = await self._from_kv(name, key_from_json) or await self._key_from_d1(token)
        self._keys.put(name, record, self._now_ms())
        return record

    async def account(self, account_id: str) -> AccountRecord | None:
        name = account_name(account_id)
        known, record = self._accounts.get(name, self._now_ms())
        if known:
            return record
        record = await self._from_kv(name, account_from_json) or await self._account_from_d1(account_id)
        self._accounts.put(name, record, self._now_ms())
        return record

    async def _from_kv(self, name: str, read: Callable[[dict[str, Any]], Any]) -> Any:
        """The record, or None when KV has none, does not answer, or holds something unreadable: D1 decides then."""
        try:
            text = await asyncio.wait_for(self._namespace.get(name), self._kv_budget_s)
            return None if text is None or len(text) > MAX_RECORD_CHARACTERS else read(from_json(text))
        except Exception:
            return None

    async def _key_from_d1(self, token: Token) -> KeyRecord | None:
        """Errors: AccessUnavailableError also when too many unknown keys are asked for: nobody hears a false 401."""
        if not self._look_ups.take(self._now_ms()):
            raise AccessUnavailableError("too many keys that KV does not know")
        rows = (await self._ask(Statement(_SELECT_KEY, (token.prefix, token.kind, token.env))))[0]
        return key_from_row(rows[0]) if rows else None

    async def _account_from_d1(self, account_id: str) -> AccountRecord | None:
        accounts, projects = await self._ask(*select_account(account_id))
        return account_from_rows(accounts[0], projects) if accounts else None

    async def _ask(self, *statements: Statement) -> list[list[dict[str, Any]]]:
        try:
            return [result.rows for result in await self._database.batch(statements)]
        except (StoreOverloadedError, StoreNotReadyError):
            raise
        except Exception as error:
            raise AccessUnavailableError("keys can be checked neither in KV nor in D1") from error


def select_account(account_id: str) -> tuple[Statement, Statement]:
    """The statements whose rows `account_from_rows` takes."""
    return Statement(_SELECT_ACCOUNT, (account_id,)), Statement(_SELECT_PROJECTS, (account_id,))


def key_name(kind: str, env: str, prefix: str) -> str:
    """The KV name of a key's record."""
    return f"key:v1:{kind}:{env}:{prefix}"


#: How long KV keeps the record of a key that has ended (security.md §3.3); never less than this from now.
_KEEPS_ENDED_S: Final = 86_400
_LEAST_S: Final = 120


def expiration_s(record: KeyRecord, now_ms: int) -> int | None:
    """When KV may drop a key's record: some time after the key has ended. Units: seconds UTC."""
    if record.expires_ms is None:
        return None
    return max(record.expires_ms // 1000 + _KEEPS_ENDED_S, now_ms // 1000 + _LEAST_S)


def account_name(account_id: str) -> str:
    """The KV name of an account's record."""
    return f"acct:v1:{account_id}"


def key_to_json(record: KeyRecord) -> str:
    """A key as KV holds it. Source: security.md §3.3."""
    return json.dumps(
        {
            "v": 1,
            "id": record.id,
            "kind": record.kind,
            "env": record.env,
            "acct": record.account_id,
            "proj": record.project_id,
            "d": record.digest.hex(),
            "pv": record.pepper_version,
            "st": record.status,
            "exp": record.expires_ms,
            "ver": record.version,
        }
    )


def key_from_json(stored: dict[str, Any]) -> KeyRecord:
    """The inverse of `key_to_json`. Errors: KeyError, TypeError, ValueError for what it did not write."""
    if stored["v"] != 1 or stored["kind"] not in get_args(Kind) or stored["st"] not in ("active", "revoked"):
        raise ValueError("a key record of another version")
    if len(stored["d"]) != 64 or not isinstance(stored["exp"], (int, NoneType)):
        raise ValueError("a broken key record")
    return KeyRecord(
        id=stored["id"],
        kind=stored["kind"],
        env=stored["env"],
        account_id=stored["acct"],
        project_id=stored["proj"],
        digest=bytes.fromhex(stored["d"]),
        pepper_version=stored["pv"],
        status=stored["st"],
        expires_ms=stored["exp"],
        version=stored["ver"],
    )


def account_to_json(record: AccountRecord) -> str:
    """An account as KV holds it."""
    projects = [
        {
            "n": one.project.number,
            "id": one.project.id,
            "slug": one.project.slug,
            "name": one.project.name,
            "origins": sorted(one.allowed_origins),
        }
        for one in record.projects
    ]
    return json.dumps(
        {"v": 1, "id": record.id, "plan": record.plan, "st": record.status, "projects": projects}
    )


def account_from_json(stored: dict[str, Any]) -> AccountRecord:
    """The inverse of `account_to_json`. Errors: KeyError, TypeError, ValueError for what it did not write."""
    if stored["v"] != 1 or stored["plan"] not in PLANS or stored["st"] not in ("active", "suspended"):
        raise ValueError("an account record of another version")
    projects = tuple(
        OwnedProject(Project(one["n"], one["id"], one["slug"], one["name"]), frozenset(one["origins"]))
        for one in stored["projects"]
    )
    return AccountRecord(stored["id"], stored["plan"], stored["st"], projects)


def key_from_row(row: dict[str, Any]) -> KeyRecord:
    """A key from its row of `api_keys`, with the `project_id` of its project beside the columns."""
    return KeyRecord(
        id=row["id"],
        kind=row["kind"],
        env=row["env"],
        account_id=row["account_id"],
        project_id=row["project_id"],
        digest=bytes.fromhex(row["digest"]),
        pepper_version=row["pepper_version"],
        status=row["status"],
        expires_ms=row["expires_at"],
        version=row["version"],
    )


def account_from_rows(account: dict[str, Any], projects: list[dict[str, Any]]) -> AccountRecord:
    """An account from the rows of `select_account`."""
    owned = tuple(
        OwnedProject(
            Project(row["number"], row["id"], row["slug"], row["name"]),
            frozenset(from_json(row["allowed_origins"])),
        )
        for row in projects
    )
    return AccountRecord(account["id"], account["plan"], account["status"], owned)
