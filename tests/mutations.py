"""The lines that isolation and secrecy hang on: each taken away, and the test that must fail then.

`old` stands exactly once in its file (a test checks it on every change); `npm run test:nightly` takes each away in a copy
of the source and runs the test (tests/test_mutations.py). `python -m tests.mutations` prints docs/mutations.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """`new` in place of `old` in a file of src. `test` is what pytest is given, without the Worker."""

    name: str
    file: str
    old: str
    new: str
    test: str


ISOLATION = "tests/test_isolation.py"
EXPORT = "tests/test_export.py"
RESTORE = "tests/test_restore.py"
SWEEP = "tests/test_fault_sweep.py"
REVOKED = "tests/test_account.py tests/test_keys_command.py"

MUTATIONS = [
    # The scope clause, statement by statement.
    Mutation(
        "event lists of every project",
        "storage/event_rows.py",
        "WHERE e.project = (SELECT project FROM rest){conditions}",
        "WHERE ?1 = ?1{conditions}",
        ISOLATION,
    ),
    Mutation(
        "the newest events of every project",
        "storage/latest.py",
        "WHERE l.project = ?1 AND",
        "WHERE ?1 = ?1 AND",
        ISOLATION,
    ),
    Mutation(
        "single events of every project",
        "storage/sql_parts.py",
        "  WHERE e.project = p.value AND {_between(binder, window)}",
        "  WHERE {_between(binder, window)}",
        ISOLATION,
    ),
    Mutation(
        "visitor days of every project",
        "storage/counting_rows.py",
        "   WHERE v.project = span.project AND v.day BETWEEN",
        "   WHERE v.day BETWEEN",
        ISOLATION,
    ),
    Mutation(
        "totals of every project",
        "storage/counting_rows.py",
        "WHERE r.project = span.project AND r.kind = {kind}",
        "WHERE r.kind = {kind}",
        ISOLATION,
    ),
    Mutation(
        "sums of eight days of every project",
        "storage/octets.py",
        "AND r.project = octet_total.project AND r.kind",
        "AND r.kind",
        "tests/test_octets.py",
    ),
    Mutation(
        "eight days at once and each of them again",
        "storage/octets.py",
        "     AND NOT (day_total.day / {OCTET_DAYS} {_WITHIN} AND {_IS_ADDED_UP})\n",
        "",
        "tests/test_octets.py",
    ),
    Mutation(
        "sums of eight days that count whoever is forgotten",
        "storage/unfold.py",
        "    _EMPTY_OCTETS,\n",
        "",
        "tests/test_octets.py",
    ),
    Mutation(
        "paths of every project",
        "storage/paths.py",
        "WHERE r.project = piece.project AND r.octet",
        "WHERE r.octet",
        ISOLATION,
    ),
    Mutation(
        "edge days of every project",
        "storage/counting_rows.py",
        "WHERE e.project = edge.project AND e.day = edge.day",
        "WHERE e.day = edge.day",
        ISOLATION,
    ),
    Mutation(
        "texts of every project",
        "storage/dictionary.py",
        "text.project = p.value AND text.kind",
        "text.kind",
        ISOLATION,
    ),
    Mutation(
        "notes that visitors wrote",
        "storage/annotations.py",
        "AND e.origin <> {_BROWSER}",
        "AND e.origin >= 0",
        "tests/test_annotations.py",
    ),
    Mutation(
        "the first person of a device",
        "storage/identity.py",
        "ORDER BY e.ts DESC, e.event DESC) AS nth",
        "ORDER BY e.ts, e.event) AS nth",
        "tests/test_identity.py -k person",
    ),
    Mutation(
        "devices of another project",
        "storage/identity.py",
        "ON identified.project = p.value AND identified.visitor",
        "ON identified.visitor",
        "tests/test_identity.py -k project",
    ),
    Mutation(
        "a token of any erasure",
        "analytics/erasure.py",
        "if not hmac.compare_digest(seal, self._seal(erasure, body)):",
        "if not seal:",
        "tests/test_forget_user.py",
    ),
    Mutation(
        "an erasure of more than was told",
        "analytics/erasure.py",
        "if any(there > seen for there, seen in zip(now, shown, strict=True)):",
        "if now is shown:",
        "tests/test_forget_user.py",
    ),
    Mutation(
        "sites that only a forgotten person brought stay",
        "storage/unfold.py",
        "OR NOT EXISTS (SELECT 1 FROM path_counts AS r WHERE r.project = t.project AND r.site = t.id))",
        "OR false)",
        "tests/test_forget.py",
    ),
    Mutation(
        "forgetting in every project",
        "storage/forget.py",
        "SELECT visitor FROM people WHERE project = ?2 AND",
        "SELECT visitor FROM people WHERE ?2 = ?2 AND",
        ISOLATION,
    ),
    Mutation(
        "exporting what happened on devices of every project",
        "storage/subject_export.py",
        "WHERE d.project = ?1 AND d.person",
        "WHERE d.person",
        EXPORT,
    ),
    Mutation(
        "exporting somebody else's events of the same device",
        "storage/subject_export.py",
        """       AND {theirs("?2")}""",
        "",
        EXPORT,
    ),
    Mutation(
        "a cursor of any person's export",
        "analytics/subject_export.py",
        "projects, question.user_id, question.include_anonymous]",
        "projects]",
        EXPORT,
    ),
    Mutation(
        "an erasure that a restore undoes",
        "storage/event_store.py",
        "            await self._tombstones.keep(one)\n",
        "            pass\n",
        RESTORE,
    ),
    Mutation(
        "a tombstone that is lost when KV fails",
        "storage/event_store.py",
        "note(scope.projects[0].number, one, pending=True)",
        "note(scope.projects[0].number, one, pending=False)",
        RESTORE,
    ),
    Mutation(
        "a tombstone that tells whom to anybody",
        "storage/tombstones.py",
        "hmac.digest(self._secret, ",
        'hmac.digest(b"", ',
        RESTORE,
    ),
    Mutation(
        "erasing again what came later",
        "storage/forget_again.py",
        "AND e.visitor = v.visitor AND {_BY_THEN}",
        "AND e.visitor = v.visitor",
        RESTORE,
    ),
    Mutation(
        "erasing again on devices that became theirs later",
        "storage/forget_again.py",
        "AND e.user_id IS NULL AND v.by_then",
        "AND e.user_id IS NULL",
        RESTORE,
    ),
    Mutation(
        "erasing again what this database has done",
        "storage/erasures.py",
        "AND (e.at IS NULL OR e.at < t.value ->> 3)",
        "",
        RESTORE,
    ),
    Mutation(
        "duplicates of every project, timed",
        "storage/inbox.py",
        "WHERE e.project = ?2 AND e.day = mine.day",
        "WHERE e.day = mine.day",
        ISOLATION,
    ),
    Mutation(
        "duplicates of every project, untimed",
        "storage/inbox.py",
        "WHERE a.project = ?2 AND a.event = mine.event",
        "WHERE a.event = mine.event",
        ISOLATION,
    ),
    # D1 authorises.
    Mutation(
        "no guard before questions",
        "storage/event_store.py",
        "        return not check(scope, verdict), results",
        '        return not verdict.rows[0]["waiting"], results',
        "tests/test_account.py tests/test_keys_command.py",
    ),
    Mutation(
        "the guard takes any key for live",
        "storage/guard.py",
        "SELECT k.status = 'active' AND a.status",
        "SELECT a.status",
        "tests/test_account.py tests/test_keys_command.py",
    ),
    Mutation(
        "the guard takes a foreign project",
        "storage/guard.py",
        " AND p.account_id = k.account_id AND p.status",
        " AND p.status",
        ISOLATION,
    ),
    Mutation(
        "writes without D1's word",
        "storage/guard.py",
        "WHERE k.id = ?1 AND k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > unixepoch() * 1000)\n"
        "     AND",
        "WHERE k.id = ?1 AND",
        ISOLATION,
    ),
    Mutation(
        "the guard takes another project of the account",
        "storage/guard.py",
        "(k.project IS NULL OR k.project = p.number)) AS projects",
        "true) AS projects",
        ISOLATION,
    ),
    Mutation(
        "writes to another project of the account",
        "storage/guard.py",
        'AND p.status = \'active\' AND (k.project IS NULL OR k.project = p.number))"""',
        'AND p.status = \'active\')"""',
        ISOLATION,
    ),
    # Keys.
    Mutation(
        "any secret opens",
        "access/gate.py",
        "return hmac.compare_digest(made, expected) and pepper is not None",
        "return pepper is not None",
        "tests/test_refusals.py",
    ),
    Mutation(
        "a comparison that takes its time",
        "access/gate.py",
        "hmac.compare_digest(made, expected)",
        "(made == expected)",
        ISOLATION,
    ),
    Mutation(
        "keys for ever",
        "access/gate.py",
        "record.expires_ms is None or now_ms < record.expires_ms",
        "True",
        ISOLATION,
    ),
    Mutation(
        "a key lives a moment too long",
        "access/gate.py",
        "now_ms < record.expires_ms",
        "now_ms <= record.expires_ms",
        ISOLATION,
    ),
    Mutation(
        "a scope of anybody's projects",
        "access/gate.py",
        "if not set(chosen) <= set(self.projects):",
        "if False:",
        ISOLATION,
    ),
    Mutation(
        "no checksum",
        "access/token.py",
        "if match is None or _checksum(text[:-_CHECK_LENGTH]) != match[5]:",
        "if match is None:",
        "tests/unit/test_access.py",
    ),
    Mutation(
        "digests without a pepper",
        "access/token.py",
        'hmac.digest(pepper, _DOMAIN + token.text.encode(), "sha256")',
        'hmac.digest(b"", _DOMAIN + token.text.encode(), "sha256")',
        "tests/unit/test_access.py",
    ),
    Mutation(
        "any page may send with a browser key",
        "web/rest.py",
        'request.headers.get("origin") not in principal.allowed_origins',
        "False",
        "tests/test_refusals.py",
    ),
    # Bodies and texts.
    Mutation(
        "the standard library's parser",
        "analytics/intake.py",
        "value = from_json(body, allow_inf_nan=False)",
        "value = __import__('json').loads(body)",
        "tests/unit/test_intake.py tests/test_architecture.py",
    ),
    Mutation(
        "no walk after the parser",
        "analytics/intake.py",
        "    _walk(value)\n    return value",
        "    return value",
        "tests/test_bad_input.py",
    ),
    Mutation(
        "invisible characters stay",
        "analytics/text.py",
        "    if text.isprintable():\n        return text",
        "    return text",
        "tests/test_strangers.py",
    ),
    # The audit log.
    Mutation(
        "an entry for what was not allowed",
        "storage/audit_log.py",
        '_RECORD_WRITE: Final = _insert("?3", MAY_WRITE)',
        '_RECORD_WRITE: Final = _insert("?3", "true")',
        "tests/test_audit.py",
    ),
    Mutation(
        "forgetting without an entry",
        "storage/event_store.py",
        "[log, *look_for(",
        "[*look_for(",
        "tests/test_audit.py",
    ),
    Mutation(
        "exporting without an entry",
        "storage/event_store.py",
        "[log, *asked]",
        "[asked[0], *asked]",
        EXPORT,
    ),
    Mutation(
        "an entry for each page of an export",
        "storage/event_store.py",
        '"person.export", scope, user_id, request_id, entry',
        '"person.export", scope, user_id, request_id, ""',
        EXPORT,
    ),
    Mutation(
        "a seal that does not look at its entries",
        "access/audit.py",
        "if there and _sha256",
        "if False and _sha256",
        "tests/test_audit.py",
    ),
    Mutation(
        "an entry twice when a reply is lost",
        "storage/event_store.py",
        """        log = record_write(scope, self._about_person("person.forget", scope, user_id, request_id, entry))
        while True:
            looked_ms""",
        """        while True:
            log = record_write(scope, self._about_person("person.forget", scope, user_id, request_id, entry))
            looked_ms""",
        "tests/test_audit.py",
    ),
    Mutation(
        "an entry for each refusal",
        "access/watch.py",
        "if times not in MARKS or (actor is None and times == 1):",
        "if False:",
        "tests/test_watch.py",
    ),
    Mutation(
        "an entry for each isolate",
        "access/watch.py",
        'f"{now_ms // HOUR_MS} {who} {code} {times}"',
        'f"{now_ms // HOUR_MS} {who} {code} {times} {request_id}"',
        "tests/test_watch.py",
    ),
    # KV follows D1.
    Mutation(
        "a change that came meanwhile is forgotten",
        "storage/kv_copies.py",
        "DELETE FROM kv_pending WHERE name = ?1 AND change = ?2",
        "DELETE FROM kv_pending WHERE name = ?1 AND ?2 = ?2",
        "tests/test_kv_copies.py",
    ),
    # Faults.
    Mutation(
        "everything is tried again",
        "storage/patient.py",
        'if fault == "transient" and',
        "if",
        "tests/test_fault_sweep.py",
    ),
    Mutation(
        "retries without a budget",
        "storage/patient.py",
        " or not self.budget.spend()",
        "",
        "tests/test_fault_sweep.py",
    ),
    Mutation(
        "forgetting without the fold",
        "storage/event_store.py",
        "await self._folded(scope, [log, *look_for(",
        "await self._asked(scope, [log, *look_for(",
        "tests/test_fault_sweep.py",
    ),
    Mutation(
        "an id of its own in the answer",
        "web/app.py",
        '{"request_id": self._house.request_id}',
        '{"request_id": "req_1"}',
        "tests/test_fault_sweep.py",
    ),
    Mutation(
        "keys in the log",
        "access/token.py",
        'return _SECRET.sub(r"\\1_[REDACTED]", text)',
        "return text",
        "tests/test_leaks.py",
    ),
]


def as_markdown() -> str:
    """The list as a page."""
    lines = [f"| {one.name} | `src/{one.file}` | {_tests(one)} |" for one in MUTATIONS]
    return "\n".join([*HEAD, *lines]) + "\n"


def _tests(one: Mutation) -> str:
    return f"`{one.test}`"


HEAD = [
    "# Mutations",
    "",
    "Lines that isolation, secrecy and the rest of [SECURITY.md](../SECURITY.md) hang on. Each is taken away",
    "or turned round in a copy of the source, and the tests beside it must fail; without the change they must pass there.",
    "`npm run test:nightly` does it for all; what stands in place of what: `tests/mutations.py`.",
    "",
    "Scope clauses need no list: whatever statement any test sends through the house, SQLite's plan for it must reach the",
    "tables of events by `project` alone, or the run fails (`tests/plans.py`). The clauses:",
    "`python -m tests.scope_mutations`.",
    "",
    "| Without it | In | Fails |",
    "|---|---|---|",
]

if __name__ == "__main__":
    print(as_markdown(), end="")
