"""The guard: D1's word on whether a key may still do what its cached record says, in the same batch as the question; and
whether the question's answer is complete."""

from __future__ import annotations

import json
from typing import Final

from analytics.scope import Scope
from analytics.store import ScopeWithdrawnError
from storage.database import Result, Statement

#: One row: is the key live, how many of the projects in ?2 are its own, and does an event of theirs wait to be folded.
#: No row: there is no such key.
_GUARD: Final = """
SELECT k.status = 'active' AND a.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > unixepoch() * 1000)
         AS live,
       (SELECT count(*) FROM projects AS p
         WHERE p.number IN (SELECT value FROM json_each(?2)) AND p.account_id = k.account_id AND p.status = 'active'
           AND (k.project IS NULL OR k.project = p.number)) AS projects,
       EXISTS (SELECT 1 FROM inbox WHERE project IN (SELECT value FROM json_each(?2))) AS waiting
  FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id
 WHERE k.id = ?1"""

#: The same as a condition for statements that write; ?1 is the key's id, ?2 the project's number.
MAY_WRITE: Final = """EXISTS (
  SELECT 1 FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id JOIN projects AS p ON p.account_id = a.id
   WHERE k.id = ?1 AND k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > unixepoch() * 1000)
     AND a.status = 'active' AND p.number = ?2 AND p.status = 'active' AND (k.project IS NULL OR k.project = p.number))"""


def guard(scope: Scope) -> Statement:
    """The statement to put first in a batch; its result goes to `check`."""
    return Statement(_GUARD, (scope.key_id, json.dumps(scope.numbers)))


def check(scope: Scope, result: Result) -> bool:
    """Whether something waited for the scope's projects. Errors: ScopeWithdrawnError, unless D1 confirms the whole scope."""
    if not result.rows or not result.rows[0]["live"]:
        raise ScopeWithdrawnError()
    if result.rows[0]["projects"] != len(scope.projects):
        raise ScopeWithdrawnError(project_gone=True)
    return bool(result.rows[0]["waiting"])
