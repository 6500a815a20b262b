"""`npm run backup -- FILE` and `npm run backup -- restore FILE`: the whole of D1 in one file, value by value, and back.

It asks for rows and hands over statements as JSON lines (the protocol stands in dev/session.mjs).
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from analytics.window import format_instant
from dev import backup_tables as sql
from dev import provision
from dev.backup_file import FORMAT, BackupError, BackupWriter, Total, checked, rows_of
from dev.backup_tables import Table

SCHEMA: Final = Path(__file__).parent.parent / "schema.sql"
TRIES: Final = 3
#: An answer of one page, and what all first pages together make one answer of.
PAGE_BYTES: Final = 1_000_000
FIRST_BYTES: Final = 60_000
FIRST_ROWS: Final = 100
MAX_ROWS: Final = 5_000
#: SQL of one transaction of a restore.
BATCH_BYTES: Final = 1_500_000

_STAMP: Final = (
    "SELECT CAST(last_insert_rowid() AS TEXT) AS mark, total_changes() AS changes",
    "PRAGMA data_version",
)


class ChangedError(Exception):
    """Somebody wrote while the database was being read."""


def query(*statements: str) -> list[list[dict[str, Any]]]:
    """What each finds, all of them in one transaction."""
    asked = [{"sql": one, "params": []} for one in statements]
    found: list[list[dict[str, Any]]] = provision.ask({"query": asked})["rows"]
    return found


def apply(statements: Sequence[str]) -> None:
    provision.ask({"apply": {"d1": [{"sql": one, "params": []} for one in statements], "kv": []}})


class Quiet:
    """Asks a database that nobody may write to between the first question and the last.

    A change comes through this connection or through another. `PRAGMA data_version` is another number once another one has
    committed; `total_changes()` grows with every row that this one writes. Both hold for one connection only. So a number
    is drawn, and a row of it inserted and deleted in one transaction: `last_insert_rowid()` is that number from then on,
    unless somebody inserts, which is a change, or the connection is a new one. Where all three agree, no row was written.

    The local runtime notes each request in a table of its own, by which `total_changes()` grows by one. Whether it does is
    seen at the start; a database to which exactly one row was written between any two questions would look the same.
    """

    def __init__(self) -> None:
        number = -1 - secrets.randbelow(2**52)
        query(
            f"INSERT INTO replays_asked (asked_at) VALUES ({number})",
            f"DELETE FROM replays_asked WHERE asked_at = {number}",
        )
        self._mark = str(number)
        before, self._after = _stamp(query(*_STAMP)), _stamp(query(*_STAMP))
        self._own = self._after[2] - before[2]

    def first(self, *statements: str) -> list[list[dict[str, Any]]]:
        """The first answer: one transaction, of which nothing before can be a part."""
        *found, mark, version = query(*statements, *_STAMP)
        self._after = _stamp([mark, version])
        return found

    def ask(self, *statements: str) -> list[list[dict[str, Any]]]:
        """Errors: ChangedError when anything was written since the first answer."""
        *found, mark, version = query(*statements, *_STAMP)
        before, self._after = self._after, _stamp([mark, version])
        expected = (self._mark, before[1], before[2] + self._own)
        if self._own not in (0, 1) or before[0] != self._mark or self._after != expected:
            raise ChangedError
        return found


def _stamp(found: list[list[dict[str, Any]]]) -> tuple[str, int, int]:
    """The last number that was inserted, how often others committed, how many rows this connection wrote."""
    ((own,), (others,)) = found
    return own["mark"], others["data_version"], own["changes"]


# --- reading ---------------------------------------------------------------------------------------------------------


def tables_of_schema() -> list[Table]:
    return sql.made_of(SCHEMA.read_text())


def check_schema(tables: Sequence[Table]) -> None:
    """The database must have the tables of schema.sql and no other. Errors: BackupError."""
    (found,) = query("SELECT name, coalesce(sql, '') AS sql FROM sqlite_master WHERE type = 'table'")
    there = {row["name"]: sql.digest_of(row["sql"]) for row in found if not row["name"].startswith("_cf_")}
    if other := sql.different(there, tables):
        raise BackupError(
            f"the database has other tables than schema.sql: {other}. `npm run deploy` applies it"
        )


def contents(tables: Sequence[Table]) -> Iterator[tuple[Table, Iterator[str]]]:
    """Every row of every table as they were at one instant.

    Errors: ChangedError when somebody wrote meanwhile. What is small comes in one transaction and needs no quiet.
    """
    quiet = Quiet()
    first = quiet.first(*(
        one for table in tables for one in (sql.page(table, None, FIRST_ROWS, FIRST_BYTES), sql.count(table))
    ))  # fmt: skip
    for place, table in enumerate(tables):
        lines = [row["line"] for row in first[2 * place]]
        yield table, _rows(quiet, table, lines, first[2 * place + 1][0]["count"])


def _rows(quiet: Quiet, table: Table, lines: list[str], count: int) -> Iterator[str]:
    """The rows of a table, from its first page on, page by page until there are as many as were counted."""
    found = 0
    while lines:
        yield from (_complete(quiet, table, line) for line in lines)
        found += len(lines)
        if found >= count:
            break
        average = sum(map(len, lines)) // len(lines)
        ((*more,),) = quiet.ask(
            sql.page(table, lines[-1], min(MAX_ROWS, PAGE_BYTES // average + 1), PAGE_BYTES)
        )
        lines = [row["line"] for row in more]
    if found != count:
        raise BackupError(
            f"{table.name} has {count} rows, and {found} were read: this is a fault of this program"
        )


def _complete(quiet: Quiet, table: Table, line: str) -> str:
    """The row with its long values, which are read piece by piece."""
    if not sql.MISSING.search(line):
        return line
    values = {}
    for place, kind, size in sql.missing(line):
        if kind == "real":
            values[place] = sql.exact(quiet.ask(sql.real(table, line, place))[0][0]["value"])
        else:
            parts = [quiet.ask(one)[0][0]["value"] for one in sql.pieces(table, line, place, size)]
            values[place] = sql.as_literal(kind, "".join(parts))
    return sql.completed(line, values)


def back_up(path: Path, overwrite: bool) -> int:
    """Writes the file; how many rows it holds. Errors: BackupError."""
    tables = tables_of_schema()
    check_schema(tables)
    with BackupWriter(path, overwrite) as file:
        for number in range(1, TRIES + 1):
            try:
                file.begin()
                rows = _write(file, tables)
            except ChangedError:
                provision.say(f"Something was written meanwhile: try {number} of {TRIES} is void.")
                continue
            file.keep(rows)
            return rows
    raise BackupError(
        f"the database was written to during each of {TRIES} tries; back it up when it is quieter"
    )


def _write(file: BackupWriter, tables: Sequence[Table]) -> int:
    at = format_instant(provision.now_ms())
    file.say(**FORMAT, at=at, tables={table.name: table.digest for table in tables})
    rows = 0
    for table, lines in contents(tables):
        file.say(table=table.name, columns=list(table.columns))
        total = Total()
        for line in lines:
            total.add(line)
            file.row(line)
        file.say(**total.as_end(table.name))
        rows += total.rows
    return rows


# --- restoring -------------------------------------------------------------------------------------------------------


def restore(path: Path) -> int:
    """Puts a file into an empty database and reads it back; how many rows. Errors: BackupError."""
    tables = tables_of_schema()
    ends = checked(path, tables)
    check_schema(tables)
    found = query(*(f"SELECT 1 AS found FROM {sql.quoted(table.name)} LIMIT 1" for table in tables))
    full = [table.name for table, rows in zip(tables, found, strict=True) if rows]
    if full:
        raise BackupError(
            f"the database is not empty: there are rows in {', '.join(full)}. Restore into a new one"
        )
    _load(path, tables)
    _compare(tables, ends)
    return sum(end["rows"] for end in ends.values())


def _load(path: Path, tables: Sequence[Table]) -> None:
    by_name = {table.name: table for table in tables}
    together = ["PRAGMA defer_foreign_keys = on"]  # tables that refer to each other become true together
    for name, rows in groupby(rows_of(path), key=lambda row: row[0]):
        table = by_name[name]
        for lines in _portions(line for _, line in rows):
            statements = list(sql.inserts(table, lines))
            if table.linked:
                together += statements
            elif name == "sqlite_sequence":
                _apply_linked(together)
                apply([f"DELETE FROM {sql.quoted(name)}", *statements])
            else:
                apply(statements)
    _apply_linked(together)


def _apply_linked(together: list[str]) -> None:
    if together:
        apply(together)
        together.clear()


def _portions(lines: Iterator[str]) -> Iterator[list[str]]:
    portion, size = list[str](), 0
    for line in lines:
        portion.append(line)
        size += len(line)
        if size > BATCH_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _compare(tables: Sequence[Table], ends: dict[str, dict[str, Any]]) -> None:
    """Reads back what was restored. Errors: BackupError where it is not what the file holds."""
    other = []
    try:
        for table, lines in contents(tables):
            total = Total()
            for line in lines:
                total.add(line)
            if total.as_end(table.name) != ends[table.name]:
                other.append(table.name)
    except ChangedError:
        raise BackupError(
            "somebody wrote to the database while it was being restored: begin again with a new one"
        ) from None
    if other:
        raise BackupError(
            f"read back, {', '.join(other)} is not what the file holds: begin again with a new database"
        )


# --- npm run backup --------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    # --remote and --persist are dev/operate.mjs's own: it picks the store before this program runs.
    made = argparse.ArgumentParser(
        prog="npm run backup --",
        usage="npm run backup -- FILE [--overwrite] | restore FILE   [--persist FOLDER | --remote]",
        description="The whole database in one file, exactly; `restore` puts such a file into an empty database. "
        "--persist: the state in this folder; --remote: the deployed database. The file holds customers' data.",
    )
    made.add_argument(
        "words", nargs="+", metavar="FILE", help="the file; with `restore` before it, the one to restore"
    )
    made.add_argument("--overwrite", action="store_true", help="replace FILE when it is there already")
    return made


def main(arguments: Sequence[str]) -> int:
    asked = parser().parse_args(arguments)
    *command, name = asked.words
    path = Path(name).absolute()
    try:
        if command == []:
            rows = back_up(path, asked.overwrite)
            provision.say(
                f"{path}: {rows:,} rows, {path.stat().st_size:,} bytes, readable by you alone. It holds customers' data."
            )
        elif command == ["restore"] and not asked.overwrite:
            provision.say(
                f"{restore(path):,} rows restored and read back. Next: npm run keys -- replay-erasures"
            )
        else:
            parser().error("expected FILE, or `restore` and FILE")
    except (BackupError, provision.CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
