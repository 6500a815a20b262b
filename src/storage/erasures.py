"""Erasures outlive a restore: D1 remembers which it carried out, KV all of them, and what D1 has forgotten is done again.

A database that was restored lacks the rows of `erasures` that came later, and so shows which tombstones of KV
(tombstones.py) are to be carried out again. What arrived after an erasure stays: the person came back.
docs/decisions/0024-erasures-outlive-a-restore.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from access.audit import AuditEntry
from storage.audit_log import record
from storage.database import Database, Statement
from storage.dictionary import hash63
from storage.fold import fold
from storage.forget import sweep_numbers
from storage.forget_again import Returned, select_user_ids
from storage.tombstones import KEPT_MS, Tombstone, Tombstones
from storage.unfold import unfold_again

#: What one run writes to KV of erasures whose tombstone could not be written at once.
TOMBSTONES_PER_RUN: Final = 40
#: People whose names are worked out at a time.
PEOPLE_PER_STEP: Final = 5_000

#: ?1 is the project's number, ?2 an object: the person's hash, what it extends to, when, and whether the tombstone is still
#: to be written. Without the right of a key as a condition: what is remembered has been done.
_NOTE: Final = """
INSERT INTO erasures (project, person, anonymous, at, pending)
SELECT ?1, ?2 ->> 'person', ?2 ->> 'anonymous', ?2 ->> 'at', ?2 ->> 'pending' WHERE true
ON CONFLICT (project, person, anonymous) DO UPDATE
   SET at = max(at, excluded.at), pending = CASE WHEN excluded.at >= at THEN excluded.pending ELSE pending END"""

PENDING: Final = f"""
SELECT e.project, e.person, e.anonymous, e.at, p.id AS project_id
  FROM erasures AS e CROSS JOIN projects AS p
 WHERE e.pending = 1 AND p.number = e.project ORDER BY e.at LIMIT {TOMBSTONES_PER_RUN}"""
WRITTEN: Final = """
UPDATE erasures SET pending = 0 WHERE project = ?1 AND person = ?2 AND anonymous = ?3 AND at = ?4"""

#: Of the tombstones in ?1 those that this database knows nothing of; what erases more first, while it is known whose
#: the devices are.
MISSING: Final = """
SELECT t.key AS place, p.number AS project
  FROM json_each(?1) AS t CROSS JOIN projects AS p
       LEFT JOIN erasures AS e ON e.project = p.number AND e.person = t.value ->> 1 AND e.anonymous = t.value ->> 2
 WHERE p.id = t.value ->> 0 AND (e.at IS NULL OR e.at < t.value ->> 3)
 ORDER BY p.number, t.value ->> 2 DESC, t.value ->> 3"""

_PEOPLE: Final = """
SELECT DISTINCT CAST(person AS TEXT) AS person
  FROM people WHERE project = ?1 AND person > CAST(?2 AS INTEGER) ORDER BY people.person LIMIT ?3"""

PRUNE: Final = "DELETE FROM erasures WHERE at < ?1"

#: For `npm run keys -- replay-erasures`.
ASK: Final = "INSERT INTO replays_asked (asked_at) VALUES (?1) ON CONFLICT DO NOTHING"
_ASKED: Final = "SELECT max(asked_at) AS asked_at FROM replays_asked"
_ANSWERED: Final = "DELETE FROM replays_asked WHERE asked_at <= ?1"


def note(project: int, one: Tombstone, *, pending: bool) -> Statement:
    """The statement that remembers an erasure; to run with its end."""
    said = {
        "person": one.person,
        "anonymous": int(one.include_anonymous),
        "at": one.at_ms,
        "pending": int(pending),
    }
    return Statement(_NOTE, (project, json.dumps(said)))


class Erasures:
    """Carries out again what a restore undid. `mark` is how the audit log names a person (access/audit.py)."""

    def __init__(self, tombstones: Tombstones, database: Database, mark: Callable[[str], str]) -> None:
        self._tombstones = tombstones
        self._database = database
        self._mark = mark

    async def catch_up(self) -> int:
        """Writes some of the tombstones that KV lacks; how many. One that fails stays, and is raised at last."""
        (pending,) = await self._database.batch([Statement(PENDING)])
        done, failure = list[Statement](), None
        for row in pending.rows:
            try:
                await self._tombstones.keep(
                    Tombstone(row["project_id"], row["person"], bool(row["anonymous"]), row["at"])
                )
                key = (row["project"], row["person"], row["anonymous"], row["at"])
                done.append(Statement(WRITTEN, key))
            except Exception as error:
                failure = error
        if done:
            await self._database.batch(done)
        if failure is not None:
            raise failure
        return len(done)

    async def replay_if_asked(self) -> int | None:
        """Replays when an operator asked for it, and goes on asking until it came to its end; None when nobody did."""
        (asked,) = await self._database.batch([Statement(_ASKED)])
        asked_at = asked.rows[0]["asked_at"]
        if asked_at is None:
            return None
        erased = await self.replay()
        await self._database.batch([Statement(_ANSWERED, (asked_at,))])
        return erased

    async def replay(self) -> int:
        """Carries out again every erasure that D1 knows nothing of; how many events went. Repeatable."""
        deleted = 0
        async for page in self._tombstones.pages():
            values = [[one.project_id, one.person, int(one.include_anonymous), one.at_ms] for one in page]
            (missing,) = await self._database.batch([Statement(MISSING, (json.dumps(values),))])
            by_project = defaultdict[int, list[Tombstone]](list)
            for row in missing.rows:
                by_project[row["project"]].append(page[row["place"]])
            for number, lost in by_project.items():
                deleted += await self._replay_in(number, lost)
        return deleted

    async def prune(self) -> None:
        """Forgets the erasures whose tombstones are over."""
        await self._database.batch([Statement(PRUNE, (self._tombstones.now_ms() - KEPT_MS,))])

    async def _replay_in(self, number: int, lost: Sequence[Tombstone]) -> int:
        """In one project, whose waiting events are folded first: some of them may be theirs."""
        await self._database.batch(fold([number]))
        people, deleted = await self._find(number, lost), 0
        for one in lost:
            if one.person in people:
                deleted += await self._erase_again(number, one, people[one.person])
            await self._database.batch([note(number, one, pending=False)])
        return deleted

    async def _find(self, number: int, lost: Sequence[Tombstone]) -> Mapping[str, int]:
        """Those of the project's people whom the tombstones name."""
        project_id, wanted, found = lost[0].project_id, {one.person for one in lost}, dict[str, int]()
        last = "-1"
        while True:
            (step,) = await self._database.batch([Statement(_PEOPLE, (number, last, PEOPLE_PER_STEP))])
            for row in step.rows:
                person = int(row["person"])
                if (name := self._tombstones.person(project_id, person)) in wanted:
                    found[name] = person
            if len(step.rows) < PEOPLE_PER_STEP:
                return found
            last = step.rows[-1]["person"]

    async def _erase_again(self, number: int, one: Tombstone, person: int) -> int:
        """As `SqlEventStore.forget`, but only what had arrived by then, and for nobody's key."""
        (said,) = await self._database.batch([select_user_ids(number, person)])
        user_ids = [row["user_id"] for row in said.rows if hash63(row["user_id"]) == person]
        back, deleted = Returned(number, person, user_ids, one.include_anonymous), 0
        log = record(self._forgetting_again(one, user_ids))
        while True:
            *_, found = await self._database.batch([*fold([number]), back.find(one.at_ms)])
            if not found.rows:
                swept = [sweep_numbers([number], user_id) for user_id in user_ids]
                await self._database.batch([back.release(), *swept])
                return deleted
            undone = unfold_again(number, [row["key"] for row in found.rows])
            _, _, marked, *_ = await self._database.batch([log, *undone])
            deleted += marked.changes

    def _forgetting_again(self, one: Tombstone, user_ids: Sequence[str]) -> AuditEntry:
        """One entry for each tombstone that found something, however often it is carried out."""
        target = " ".join([one.project_id, "person", *(self._mark(user_id) for user_id in user_ids)])
        return AuditEntry(f"again {one.name}", "operator", "person.forget_again", target)
