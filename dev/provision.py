"""Accounts, projects and keys: what to write to D1 and KV. dev/session.mjs runs it and carries out what it asks for.

`python dev/provision.py first-run`   the demo accounts of a new state folder
`python dev/provision.py keys …`      `npm run keys -- …`: accounts, projects, and creating, listing, ending keys

It speaks JSON lines with whoever runs it (the protocol stands in dev/session.mjs); secrets come from the environment.
A change goes to D1, the truth, and to KV, the copy keys are authenticated from.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from access.plans import PLANS, PlanName
from access.records import AccountRecord, KeyRecord, OwnedProject
from access.token import Env, Kind, Token, digest, mint_token, parse_token
from analytics.scope import Project
from analytics.window import format_instant
from dev import audit
from storage.erasures import ASK as ASK_REPLAY
from storage.key_store import (
    account_name,
    account_to_json,
    expiration_s,
    key_from_row,
    key_name,
    key_to_json,
)
from storage.kv_copies import note_change

PEPPER_VERSION: Final = 1
DAY_S: Final = 86_400
#: An account key opens every project, so it never lives for ever (security.md §3.5).
ACCOUNT_KEY_DAYS: Final = 90
OVERLAPS: Final = {"0": 0, "1h": 3_600, "24h": 86_400, "72h": 259_200, "7d": 604_800}
LOCAL_ORIGINS: Final = ["http://localhost:3000", "http://localhost:5173", "http://localhost:8080"]

PROJECT_KINDS: Final[tuple[Kind, ...]] = ("pk", "sk", "rk")
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)

Change = dict[str, list[dict[str, Any]]]


class CommandError(Exception):
    """The command cannot be carried out; the message says what would be right."""


# --- talking to the runner -------------------------------------------------------------------------------------------


def ask(message: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(message), flush=True)
    answer: dict[str, Any] = json.loads(sys.stdin.readline() or '{"error": "nobody answered"}')
    if "error" in answer:
        raise CommandError(answer["error"])
    return answer


def rows(sql: str, *parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask({"query": [{"sql": sql, "params": list(parameters)}]})["rows"][0]
    return found


def apply(change: Change, **more: Any) -> None:
    """Carries out a change; what it writes to KV is noted in D1 with it, for the Worker's cron to make sure of."""
    notes = [note_change(one["key"], secrets.token_hex(8)) for one in change["kv"]]
    noted = [{"sql": one.sql, "params": list(one.parameters)} for one in notes]
    ask({"apply": {**change, "d1": [*change["d1"], *noted], **more}})


def apply_audited(action: str, target: str, change: Change) -> None:
    """Carries out a change with its entry in the audit log: both are written, or neither."""
    apply(join(change, {"d1": [audit.entry(now_ms(), action, target)]}))


def seal_log() -> None:
    """Seals what the Worker's cron has not sealed yet."""
    while entries := rows(audit.UNSEALED):
        apply({"d1": [audit.seal(rows(audit.LAST_SEAL), entries)], "kv": []})


def say(text: str) -> None:
    print(json.dumps({"print": text}), flush=True)


# --- changes ---------------------------------------------------------------------------------------------------------


def pepper() -> bytes:
    text = os.environ.get(f"KEY_PEPPER_V{PEPPER_VERSION}", "")
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise CommandError(
            f"KEY_PEPPER_V{PEPPER_VERSION} is not set: 64 hex digits, the same that the Worker has as a secret"
        )
    return bytes.fromhex(text)


def now_ms() -> int:
    return int(time.time() * 1000)


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(10)}"


def join(*changes: Change) -> Change:
    return {part: [one for change in changes for one in change.get(part, [])] for part in ("d1", "kv")}


def put_account(record: AccountRecord, name: str) -> Change:
    """A new account with its projects."""
    at = now_ms()
    statements = [
        {
            "sql": "INSERT INTO accounts (id, name, plan, created_at) VALUES (?1, ?2, ?3, ?4)",
            "params": [record.id, name, record.plan, at],
        }
    ]
    statements += [insert_project(record.id, one) for one in record.projects]
    return {"d1": statements, "kv": [account_entry(record)]}


def insert_project(account_id: str, one: OwnedProject) -> dict[str, Any]:
    project = one.project
    origins = json.dumps(sorted(one.allowed_origins))
    return {
        "sql": "INSERT INTO projects (number, id, account_id, slug, name, allowed_origins, created_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        "params": [project.number, project.id, account_id, project.slug, project.name, origins, now_ms()],
    }


def account_entry(record: AccountRecord) -> dict[str, Any]:
    return {"key": account_name(record.id), "value": account_to_json(record)}


def put_key(
    kind: Kind, env: Env, account_id: str, project: Project | None, label: str, expires_ms: int | None
) -> tuple[Token, str, Change]:
    """A newly minted key: its token, which nothing keeps, its id, and the change that makes it valid."""
    token = mint_token(kind, env, secrets.choice)
    made = digest(token, pepper())
    record = KeyRecord(
        id=new_id("key"),
        kind=kind,
        env=env,
        account_id=account_id,
        project_id=project.id if project else None,
        digest=made,
        pepper_version=PEPPER_VERSION,
        status="active",
        expires_ms=expires_ms,
        version=1,
    )
    statement = {
        "sql": "INSERT INTO api_keys (id, kind, env, prefix, last4, digest, pepper_version, account_id, project, label,"
        " expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        "params": [
            record.id, kind, env, token.prefix, token.text[-4:], made.hex(), PEPPER_VERSION, account_id,
            project.number if project else None, label, expires_ms, now_ms(),
        ],
    }  # fmt: skip
    return token, record.id, {"d1": [statement], "kv": [kv_entry(token.prefix, record)]}


def kv_entry(prefix: str, record: KeyRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "key": key_name(record.kind, record.env, prefix),
        "value": key_to_json(record),
        "metadata": {"st": record.status, "ver": record.version},
    }
    expiration = expiration_s(record, now_ms())
    return entry if expiration is None else {**entry, "expiration": expiration}


def change_key(row: dict[str, Any], **changed: Any) -> Change:
    """An existing key with some columns changed, in D1 and KV alike; a revoked one stays in KV as a tombstone."""
    row = {**row, **changed, "version": row["version"] + 1}
    statement = {
        "sql": "UPDATE api_keys SET status = ?2, expires_at = ?3, rotated_to = ?4, version = ?5, revoked_at = ?6"
        " WHERE id = ?1",
        "params": [
            row["id"], row["status"], row["expires_at"], row["rotated_to"], row["version"], row["revoked_at"],
        ],
    }  # fmt: skip
    return {"d1": [statement], "kv": [kv_entry(row["prefix"], key_from_row(row))]}


# --- first run -------------------------------------------------------------------------------------------------------


DEMO_ACCOUNTS: Final[tuple[tuple[str, PlanName, tuple[tuple[str, str], ...]], ...]] = (
    ("Demo Business", "business", (("demo-shop", "Demo Shop"), ("demo-saas", "Demo SaaS"))),
    ("Demo Free", "free", (("free-blog", "Free Blog"),)),
    ("Demo Pro", "pro", (("pro-app", "Pro App"),)),
)


def first_run() -> None:
    """The demo accounts: business with two projects, free, pro; every kind of key, real ones.

    A first start that was interrupted may have left the accounts and lost their keys: they get new ones.
    """
    found = rows("SELECT id FROM accounts ORDER BY plan = 'business' DESC, plan, created_at, id")
    if found:
        minted, changes = zip(*(renewed_keys(row["id"]) for row in found), strict=True)
    else:
        minted, changes = zip(*demo_accounts(), strict=True)
    business, *others = minted
    apply(join(*changes), dev_keys={**business, "others": others})


def demo_accounts() -> Iterator[tuple[dict[str, Any], Change]]:
    number = 1
    for name, plan, wanted in DEMO_ACCOUNTS:
        yield new_account(name, plan, wanted, LOCAL_ORIGINS, number, ak_expires_ms=None)
        number += len(wanted)


def renewed_keys(account_id: str) -> tuple[dict[str, Any], Change]:
    """New keys for an account that is there, and its record in KV, which may be missing too."""
    account = stored_account(account_id)
    keys_of_account, change = all_keys(account, ak_expires_ms=None)
    return keys_of_account, join({"kv": [account_entry(account)]}, change)


def new_account(
    name: str,
    plan: PlanName,
    wanted: Sequence[tuple[str, str]],
    origins: list[str],
    first_number: int,
    ak_expires_ms: int | None,
) -> tuple[dict[str, Any], Change]:
    """An account with projects of the given slugs and names, and every kind of key: the keys, and the change."""
    projects = [
        Project(first_number + place, new_id("prj"), slug, title)
        for place, (slug, title) in enumerate(wanted)
    ]
    owned = tuple(OwnedProject(project, frozenset(origins)) for project in projects)
    account = AccountRecord(new_id("acc"), plan, "active", owned)
    keys_of_account, change = all_keys(account, ak_expires_ms)
    return keys_of_account, join(put_account(account, name), change)


def all_keys(account: AccountRecord, ak_expires_ms: int | None) -> tuple[dict[str, Any], Change]:
    """One account key and the three keys of each project, in the shape of dev-keys.json."""
    token, _id, ak_change = put_key("ak", "live", account.id, None, "", ak_expires_ms)
    described, changes = [], [ak_change]
    for one in account.projects:
        entry, change = project_keys(account.id, one.project)
        described.append(entry)
        changes.append(change)
    head = {"id": account.id, "plan": account.plan, "ak": token.text}
    return {"account": head, "projects": described}, join(*changes)


def project_keys(account_id: str, project: Project) -> tuple[dict[str, str], Change]:
    """The three keys a new project gets. Source: contract.md §1."""
    entry = {"id": project.id, "slug": project.slug, "name": project.name}
    changes = []
    for kind in PROJECT_KINDS:
        token, _id, change = put_key(kind, "live", account_id, project, "", None)
        entry[kind] = token.text
        changes.append(change)
    return entry, join(*changes)


# --- npm run keys ----------------------------------------------------------------------------------------------------

_KEY_COLUMNS: Final = (
    "SELECT k.*, p.id AS project_id, p.slug AS project_slug FROM api_keys AS k"
    " LEFT JOIN projects AS p ON p.number = k.project"
)


def keys(arguments: list[str]) -> None:
    options = parser().parse_args(arguments)
    output = COMMANDS[options.command](options)
    say(json.dumps(output, indent=2) if options.json else readable(output))


def create_account(options: argparse.Namespace) -> dict[str, Any]:
    wanted = [(slug_of(text), text) for text in options.project]
    if len({slug for slug, _title in wanted}) != len(wanted):
        raise CommandError("each --project needs a name of its own")
    expires_ms = now_ms() + ACCOUNT_KEY_DAYS * DAY_S * 1000
    output, change = new_account(
        options.name, options.plan, wanted, origins_of(options.origin), next_number(), expires_ms
    )
    apply_audited("account.create", output["account"]["id"], change)
    return output


def create_project(options: argparse.Namespace) -> dict[str, Any]:
    account = stored_account(account_of(options.account))
    project = Project(next_number(), new_id("prj"), slug_of(options.name), options.name)
    if any(one.project.slug == project.slug for one in account.projects):
        raise CommandError(f"the account already has a project {project.slug!r}")
    owned = OwnedProject(project, frozenset(origins_of(options.origin)))
    entry, change = project_keys(account.id, project)
    extended = replace(account, projects=(*account.projects, owned))
    change = join({"d1": [insert_project(account.id, owned)], "kv": [account_entry(extended)]}, change)
    apply_audited("project.create", project.id, change)
    return entry


def set_plan(options: argparse.Namespace) -> dict[str, Any]:
    account = replace(stored_account(account_of(options.account)), plan=options.plan)
    update = {"sql": "UPDATE accounts SET plan = ?2 WHERE id = ?1", "params": [account.id, account.plan]}
    change = {"d1": [update], "kv": [account_entry(account)]}
    apply_audited(f"account.plan={account.plan}", account.id, change)
    return {"account": account.id, "plan": account.plan}


def set_origins(options: argparse.Namespace) -> dict[str, Any]:
    account_id, project = place_of(options)
    origins = origins_of(options.origin)
    account = stored_account(account_id)
    owned = tuple(
        replace(one, allowed_origins=frozenset(origins)) if project and one.project.id == project.id else one
        for one in account.projects
    )
    update = {
        "sql": "UPDATE projects SET allowed_origins = ?2 WHERE number = ?1",
        "params": [project.number if project else None, json.dumps(sorted(origins))],
    }
    change = {"d1": [update], "kv": [account_entry(replace(account, projects=owned))]}
    apply_audited("project.origins", project.id if project else account_id, change)
    return {"project": project.slug if project else None, "allowed_origins": sorted(origins)}


def stored_account(account_id: str) -> AccountRecord:
    (row,) = rows("SELECT id, plan, status FROM accounts WHERE id = ?1", account_id)
    found = rows(
        "SELECT * FROM projects WHERE account_id = ?1 AND status = 'active' ORDER BY number", account_id
    )
    projects = tuple(
        OwnedProject(
            Project(one["number"], one["id"], one["slug"], one["name"]),
            frozenset(json.loads(one["allowed_origins"])),
        )
        for one in found
    )
    return AccountRecord(row["id"], row["plan"], row["status"], projects)


def next_number() -> int:
    return int(rows("SELECT coalesce(max(number), 0) + 1 AS number FROM projects")[0]["number"])


def slug_of(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not SLUG.fullmatch(slug):
        raise CommandError(f"{name!r} makes no slug; use 1 to 63 letters, digits and spaces")
    return slug


def origins_of(texts: list[str]) -> list[str]:
    for text in texts:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", text):
            raise CommandError(f"{text!r} is not an origin; write https://shop.example, without a path")
    return texts


def create(options: argparse.Namespace) -> dict[str, Any]:
    account, project = place_of(options)
    days = options.expires_days or (ACCOUNT_KEY_DAYS if options.kind == "ak" else None)
    expires_ms = now_ms() + days * DAY_S * 1000 if days else None
    token, key_id, change = put_key(options.kind, options.env, account, project, options.label, expires_ms)
    apply_audited("key.create", key_id, change)
    return {"id": key_id, "key": token.text, "prefix": token.prefix, "expires_at": shown(expires_ms)}


def place_of(options: argparse.Namespace) -> tuple[str, Project | None]:
    """The account, and for all but account keys the project, that a new key belongs to."""
    if options.kind == "ak":
        return account_of(options.account), None
    if not options.project:
        raise CommandError(
            f"a {options.kind} key belongs to a project: --project <id or slug>, one of {slugs()}"
        )
    found = rows(
        "SELECT * FROM projects WHERE status = 'active' AND (id = ?1 OR slug = ?1)"
        " AND (?2 IS NULL OR account_id = ?2)",
        options.project, options.account,
    )  # fmt: skip
    if len(found) != 1:
        problem = "no project" if not found else "more than one project"
        raise CommandError(f"{problem} is called {options.project!r}; --project takes one of {slugs()}")
    row = found[0]
    return row["account_id"], Project(row["number"], row["id"], row["slug"], row["name"])


def account_of(account_id: str | None) -> str:
    known = [row["id"] for row in rows("SELECT id FROM accounts ORDER BY created_at, id LIMIT 20")]
    if account_id is None and len(known) == 1:
        return str(known[0])
    if account_id not in known:
        raise CommandError(f"an ak key belongs to an account: --account <id>, one of {', '.join(known)}")
    return str(account_id)


def slugs() -> str:
    found = rows("SELECT slug FROM projects WHERE status = 'active' ORDER BY slug LIMIT 20")
    return ", ".join(row["slug"] for row in found) or "(there is none yet)"


def list_keys(options: argparse.Namespace) -> dict[str, Any]:
    found = rows(f"{_KEY_COLUMNS} ORDER BY k.account_id, k.project, k.kind, k.created_at LIMIT 1000")
    return {
        "keys": [
            {
                "id": row["id"],
                "key": f"{row['kind']}_{row['env']}_{row['prefix']}_…{row['last4']}",
                "account": row["account_id"],
                "project": row["project_slug"],
                "status": state_of(row),
                "expires_at": shown(row["expires_at"]),
                "last_used_at": shown(row["last_used_at"]),
                "label": row["label"],
            }
            for row in found
            if options.project in (None, row["project_slug"], row["project_id"])
        ]
    }


def revoke(options: argparse.Namespace) -> dict[str, Any]:
    """Once more for a key that is revoked: nothing happens to it and nothing is logged, but KV is written again."""
    row = found_key(options.key)
    if row["status"] == "revoked":
        apply(revoked(row))
    else:
        apply_audited("key.revoke", row["id"], revoked(row))
    return {"id": row["id"], "status": "revoked"}


def revoked(row: dict[str, Any]) -> Change:
    """The end of a key; one that has ended keeps its instant."""
    return change_key(row, status="revoked", revoked_at=row["revoked_at"] or now_ms())


def report_leak(options: argparse.Namespace) -> dict[str, Any]:
    """Ends a key that was found where it should not be. Only its whole text does: a prefix is public, and proves nothing."""
    token = parse_token(options.key)
    if token is None:
        raise CommandError("not a whole key: kind_env_prefix_secret, with its checksum")
    row = found_key(options.key)
    if not hmac.compare_digest(digest(token, pepper()).hex(), row["digest"]):
        raise CommandError(f"the secret is not that of {row['id']}; nothing was changed")
    was = state_of(row)
    apply_audited("key.leaked", row["id"], revoked(row))
    return {"id": row["id"], "status": "revoked", "was": was, "last_used_at": shown(row["last_used_at"])}


def check_audit(_options: argparse.Namespace) -> dict[str, Any]:
    """Errors: CommandError where a seal does not hold."""
    seal_log()
    found, seals = rows(audit.EVERY_ENTRY), rows(audit.EVERY_SEAL)
    broken = audit.first_broken(seals, found, now_ms(), whole=True)
    if broken is not None:
        raise CommandError(f"the audit log was tampered with: the seal over entry {broken} does not hold")
    entries = [{**one, "at": shown(one["at"])} for one in found]
    return {"entries": entries, "intact": True, "last_hash": seals[-1]["hash"] if seals else audit.NOTHING}


def replay_erasures(_options: argparse.Namespace) -> dict[str, Any]:
    """For after a restore of the database: the Worker's next cron carries out again what the restore undid."""
    asked_at = now_ms()
    change: Change = {"d1": [{"sql": ASK_REPLAY, "params": [asked_at]}], "kv": []}
    apply_audited("erasures.replay", "every project", change)
    return {
        "asked_at": shown(asked_at),
        "carried_out": "by the cron of the Worker, within five minutes; on the local server, which has no clock for it, "
        "by GET /cdn-cgi/local/scheduled?cron=*/5+*+*+*+*",
    }


def rotate(options: argparse.Namespace) -> dict[str, Any]:
    """A new key with the same grants; the old one works on for the overlap, so that nobody is cut off."""
    row = found_key(options.key)
    if state_of(row) != "active":
        raise CommandError(f"{row['id']} is {state_of(row)}; create a new key instead")
    project = None
    if row["project"] is not None:
        one = rows("SELECT * FROM projects WHERE number = ?1", row["project"])[0]
        project = Project(one["number"], one["id"], one["slug"], one["name"])
    lifetime_ms = row["expires_at"] - row["created_at"] if row["expires_at"] else None
    expires_ms = now_ms() + lifetime_ms if lifetime_ms else None
    token, key_id, change = put_key(
        row["kind"], row["env"], row["account_id"], project, row["label"], expires_ms
    )
    ends_ms = now_ms() + OVERLAPS[options.overlap] * 1000
    ends_ms = min(ends_ms, row["expires_at"]) if row["expires_at"] else ends_ms
    change = join(change, change_key(row, expires_at=ends_ms, rotated_to=key_id))
    apply_audited("key.rotate", f"{row['id']} to {key_id}", change)
    return {"id": key_id, "key": token.text, "replaces": row["id"], "old_key_expires_at": shown(ends_ms)}


def found_key(name: str) -> dict[str, Any]:
    """A key by its id, its prefix, or its whole text. Errors: CommandError."""
    match = re.fullmatch(r"(?:pk|sk|rk|ak)_(?:live|test)_([0-9a-f]{8})(?:_\S*)?", name)
    found = rows(f"{_KEY_COLUMNS} WHERE k.id = ?1 OR k.prefix = ?2", name, match[1] if match else name)
    if not found:
        raise CommandError("no such key; `npm run keys -- list` shows ids and prefixes")
    return found[0]


def state_of(row: dict[str, Any]) -> str:
    if row["status"] == "active" and row["expires_at"] is not None and row["expires_at"] <= now_ms():
        return "expired"
    return str(row["status"])


def shown(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def readable(output: dict[str, Any]) -> str:
    if "keys" not in output and any(isinstance(value, (dict, list)) for value in output.values()):
        return json.dumps(output, indent=2)
    if "keys" in output:
        lines = [
            f"{key['id']}  {key['key']:<30}  {key['status']:<8}  {key['project'] or key['account']:<28}"
            f"  expires {key['expires_at'] or 'never'}  used {key['last_used_at'] or 'never'}"
            for key in output["keys"]
        ]
        return "\n".join(lines) or "no keys"
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in output.items() if value is not None]
    if "key" in output:
        lines.append("The key is shown this once; only a keyed hash of it is kept.")
    return "\n".join(lines)


COMMANDS: Final = {
    "create": create,
    "list": list_keys,
    "revoke": revoke,
    "rotate": rotate,
    "report-leak": report_leak,
    "audit": check_audit,
    "replay-erasures": replay_erasures,
    "create-account": create_account,
    "create-project": create_project,
    "set-plan": set_plan,
    "set-origins": set_origins,
}


def parser() -> argparse.ArgumentParser:
    # --remote and --persist are dev/operate.mjs's own: it picks the store before this program runs.
    root = argparse.ArgumentParser(
        prog="npm run keys --",
        description="Accounts, projects and their API keys. --remote: those of the deployed Worker.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON for scripts")
    commands = root.add_subparsers(dest="command", required=True)
    make = commands.add_parser("create", parents=[common], help="mint a key; its secret is shown once")
    make.add_argument("--kind", choices=["pk", "sk", "rk", "ak"], required=True)
    make.add_argument("--project", help="id or slug (pk, sk, rk)")
    make.add_argument("--account", help="id (ak, or where a slug is not enough)")
    make.add_argument("--env", choices=["live", "test"], default="live")
    make.add_argument("--label", default="", help="a note to tell keys apart by")
    make.add_argument(
        "--expires-days", type=int, choices=range(1, 3651), metavar="N", help="ak: 90 unless told"
    )
    listing = commands.add_parser("list", parents=[common], help="show all keys, without their secrets")
    listing.add_argument("--project", help="id or slug")
    end = commands.add_parser("revoke", parents=[common], help="end a key at once")
    end.add_argument("key", help="id or prefix")
    leak = commands.add_parser("report-leak", parents=[common], help="end a key that was found in the open")
    leak.add_argument("key", help="the whole key, as it was found")
    commands.add_parser(
        "audit", parents=[common], help="show what was changed, and check that it is all there"
    )
    commands.add_parser(
        "replay-erasures",
        parents=[common],
        help="after a restore of the database: erase again who was erased",
    )
    swap = commands.add_parser("rotate", parents=[common], help="replace a key; both work during the overlap")
    swap.add_argument("key", help="id or prefix")
    swap.add_argument("--overlap", choices=list(OVERLAPS), default="24h")
    plans = list(PLANS)
    account = commands.add_parser(
        "create-account", parents=[common], help="a new account with projects and all keys"
    )
    account.add_argument("--name", required=True)
    account.add_argument("--plan", choices=plans, default="business")
    account.add_argument("--project", action="append", required=True, help="name; may be repeated")
    account.add_argument(
        "--origin", action="append", default=[], help="https://… that browsers may send from"
    )
    project = commands.add_parser(
        "create-project", parents=[common], help="a new project with its three keys"
    )
    project.add_argument("--name", required=True)
    project.add_argument("--account", help="id; not needed when there is only one")
    project.add_argument(
        "--origin", action="append", default=[], help="https://… that browsers may send from"
    )
    plan = commands.add_parser("set-plan", parents=[common], help="put an account on another plan")
    plan.add_argument("--account", help="id; not needed when there is only one")
    plan.add_argument("--plan", choices=plans, required=True)
    origin = commands.add_parser("set-origins", parents=[common], help="replace a project's allowed origins")
    origin.add_argument("--project", required=True, help="id or slug")
    origin.add_argument("--account", help="id, where a slug is not enough")
    origin.add_argument("--origin", action="append", required=True)
    origin.set_defaults(kind="pk")
    return root


def main() -> int:
    command, *arguments = sys.argv[1:] or [""]
    try:
        if command == "first-run":
            first_run()
        elif command == "keys":
            keys(arguments)
        else:
            raise CommandError("usage: provision.py first-run | keys …")
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
