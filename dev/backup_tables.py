"""Tables as a backup reads and writes them: which there are, and rows as SQL literals, both ways. No I/O.

An integer of SQLite has 63 bits, one of JavaScript 53, so every value crosses as the text of a literal that SQLite wrote.
A row is one text, `(1,'shop',NULL)`, and stands so in the file: printable ASCII in one line.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

#: Bytes of one value that may stand in its row while it is read: SQLite's texts end at 2 MB, and hex digits double them.
WHOLE_VALUE_BYTES: Final = 300_000
#: Of a longer one, read at a time.
PIECE_BYTES: Final = 400_000
#: Bytes of SQL in one statement that restores; D1 takes 100 KB.
STATEMENT_BYTES: Final = 80_000
#: Values in it: each takes a step or three of SQLite's program, of which D1 takes 25,000.
STATEMENT_VALUES: Final = 5_000
#: Of a row that is longer than a statement, values from this on are put together in the database, from pieces.
STAGED_BYTES: Final = 4_000
_STAGE: Final = "backup_pieces"

_NUMBER: Final = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TEXT: Final = r"'[^']*(?:''[^']*)*'"
_HEX: Final = r"X'(?:[0-9A-F]{2})*'"
_EXACT_REAL: Final = r"\(CAST\(-?\d+ AS REAL\)(?:[*/]CAST\(\d+ AS REAL\))*\)"
#: What `complete` has to put in: the kind of a value and how many bytes it has.
_MISSING: Final = r"\?(text|blob|real):(\d+)"
_LITERAL: Final = rf"NULL|{_NUMBER}|{_TEXT}|{_HEX}|CAST\({_HEX} AS TEXT\)|{_EXACT_REAL}"
ROW: Final = re.compile(rf"\((?:{_LITERAL})(?:,(?:{_LITERAL}))*\)")
_EACH: Final = re.compile(rf"{_LITERAL}|{_MISSING}")
MISSING: Final = re.compile(_MISSING)


@dataclass(frozen=True)
class Table:
    """`columns` as they stand in a row; `key`: the places of those that order rows and tell them apart; `integers`: the
    columns that hold nothing else; `linked`: it refers to a table, or is referred to. `digest` is of its definition."""

    name: str
    columns: tuple[str, ...]
    key: tuple[int, ...]
    integers: frozenset[str]
    linked: bool
    digest: str


def made_of(schema: str) -> list[Table]:
    """The tables that a schema makes, in the order in which they can be filled."""
    database = sqlite3.connect(":memory:")
    database.executescript(schema)
    found = database.execute(
        "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
    )
    definitions = dict(found.fetchall())
    links = {name: _referred_to(database, name) for name in definitions}
    linked = {name for name, others in links.items() if others} | {
        one for others in links.values() for one in others
    }
    tables = [_table(database, name, sql, name in linked) for name, sql in definitions.items()]
    # What is linked is filled at once, behind the large tables; what SQLite counts for AUTOINCREMENT is set at last.
    return sorted(tables, key=lambda table: (table.name.startswith("sqlite_"), table.linked))


def digest_of(sql: str) -> str:
    """Of a definition, whatever its comments and spaces are."""
    bare = re.sub(r"\s+", " ", re.sub(r"--.*", "", sql).replace("IF NOT EXISTS ", ""))
    return sha256(re.sub(r" ?([(),]) ?", r"\1", bare).strip().encode()).hexdigest()[:16]


def different(digests: Mapping[str, str], tables: Sequence[Table]) -> str:
    """The names of the tables that are not the same there, or only on one side, with commas; empty when all are."""
    known = {table.name: table.digest for table in tables}
    return ", ".join(
        sorted(name for name in digests.keys() | known.keys() if digests.get(name) != known.get(name))
    )


def _referred_to(database: sqlite3.Connection, name: str) -> set[str]:
    return {row[2] for row in database.execute(f"PRAGMA foreign_key_list({quoted(name)})")}


def _table(database: sqlite3.Connection, name: str, sql: str, linked: bool) -> Table:
    columns = [
        (row[1], row[2].upper(), row[5]) for row in database.execute(f"PRAGMA table_info({quoted(name)})")
    ]
    (_, _, _, _, without_rowid, strict) = database.execute(f"PRAGMA table_list({quoted(name)})").fetchone()
    names = tuple(column for column, _, _ in columns)
    integers = frozenset(column for column, declared, _ in columns if strict and declared == "INTEGER")
    place_in_key = {column: place for column, _, place in columns if place}
    key = sorted(place_in_key, key=lambda column: place_in_key[column])
    if not without_rowid and not (len(key) == 1 and (key[0], "INTEGER") in {one[:2] for one in columns}):
        # Only its rowid tells its rows apart for certain.
        names, key, integers = ("rowid", *names), ["rowid"], integers | {"rowid"}
    return Table(name, names, tuple(names.index(one) for one in key), integers, linked, digest_of(sql))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- reading ---------------------------------------------------------------------------------------------------------


def page(table: Table, after: str | None, rows: int, size_bytes: int) -> str:
    """The rows behind the row `after`, in the order of the key, as `line`: so many, or as many as fill so many bytes."""
    keys = _keys(table)
    behind = "" if after is None else f"WHERE ({keys}) > ({_key_of(table, after)})"
    lines = f"SELECT {_line(table)} AS line FROM {quoted(table.name)} {behind} ORDER BY {keys} LIMIT {rows}"
    sized = f"SELECT line, sum(length(line)) OVER (ROWS UNBOUNDED PRECEDING) - length(line) AS before FROM ({lines})"
    return f"SELECT line FROM ({sized}) WHERE before < {size_bytes}"


def count(table: Table) -> str:
    return f"SELECT count(*) AS count FROM {quoted(table.name)}"


def pieces(table: Table, line: str, place: int, size_bytes: int) -> Iterator[str]:
    """The statements that read one value of a row, as the hex digits `value`, one after the other."""
    for start in range(1, size_bytes + 1, PIECE_BYTES):
        yield _one(
            table, line, f"hex(substr(CAST({quoted(table.columns[place])} AS BLOB), {start}, {PIECE_BYTES}))"
        )


def real(table: Table, line: str, place: int) -> str:
    """The statement that reads a REAL as the number `value`: those of JavaScript are the same."""
    return _one(table, line, quoted(table.columns[place]))


def _one(table: Table, line: str, what: str) -> str:
    return (
        f"SELECT {what} AS value FROM {quoted(table.name)} WHERE ({_keys(table)}) = ({_key_of(table, line)})"
    )


def exact(value: float) -> str:
    """A finite REAL as its 53 bits, times or by powers of two: no parser of decimals may round it."""
    fraction, exponent = math.frexp(value)
    steps, left = divmod(abs(exponent - 53), 62)
    sign = "*" if exponent > 53 else "/"
    powers = [f"{sign}CAST({1 << one} AS REAL)" for one in (*[62] * steps, left) if one]
    return f"(CAST({int(fraction * 2**53)} AS REAL){''.join(powers)})"


def missing(line: str) -> list[tuple[int, str, int]]:
    """Which values of a row are still to be read: their places, kinds and bytes."""
    found = enumerate(_EACH.finditer(line, 1))
    return [(place, match[1], int(match[2])) for place, match in found if match[1]]


def completed(line: str, values: Mapping[int, str]) -> str:
    """The row with literals at places where they were missing."""
    return f"({','.join(values.get(place, one) for place, one in enumerate(_literals(line)))})"


def as_literal(kind: str, digits: str) -> str:
    return f"X'{digits}'" if kind == "blob" else f"CAST(X'{digits}' AS TEXT)"


def _literals(line: str) -> list[str]:
    return [match[0] for match in _EACH.finditer(line, 1)]


def _keys(table: Table) -> str:
    return ", ".join(quoted(table.columns[place]) for place in table.key)


def _key_of(table: Table, line: str) -> str:
    literals = _literals(line)
    return ", ".join(literals[place] for place in table.key)


def _line(table: Table) -> str:
    """The expression that writes a row. A tree, because a chain of a hundred `||` is deeper than D1 allows."""
    commas = ["'('", *(["','"] * (len(table.columns) - 1))]
    values = [_literal_of(quoted(name), name in table.integers) for name in table.columns]
    parts = [part for pair in zip(commas, values, strict=True) for part in pair]
    return _joined([*parts, "')'"])


def _joined(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle])}||{_joined(parts[middle:])})"


def _literal_of(column: str, integer: bool) -> str:
    """The expression that writes a value as its literal.

    quote() ends a text at NUL, and JSON loses what is no UTF-8, so such texts cross in hex digits: plain ones have as many
    characters as bytes, all of them printable. quote() rounds some REALs, and older ones write infinity as a name.
    """
    if integer:
        return f"quote({column})"
    octets = f"length(CAST({column} AS BLOB))"
    in_hex = f"'CAST(X''' || hex({column}) || ''' AS TEXT)'"
    is_odd = f"{octets} <> length({column}) OR {column} GLOB '*[^ -~]*'"
    return f"""CASE typeof({column})
 WHEN 'real' THEN CASE WHEN {column} = 9e999 THEN '9e999' WHEN {column} = -9e999 THEN '-9e999'
 WHEN CAST(quote({column}) AS REAL) = {column} THEN quote({column}) ELSE '?real:0' END
 WHEN 'text' THEN CASE WHEN {octets} > {WHOLE_VALUE_BYTES} THEN '?text:' || {octets}
 WHEN {is_odd} THEN {in_hex} ELSE quote({column}) END
 WHEN 'blob' THEN CASE WHEN {octets} > {WHOLE_VALUE_BYTES} THEN '?blob:' || {octets} ELSE quote({column}) END
 ELSE quote({column}) END"""


# --- writing ---------------------------------------------------------------------------------------------------------


def inserts(table: Table, lines: Sequence[str]) -> Iterator[str]:
    """The statements that put rows into a table."""
    head = f"INSERT INTO {quoted(table.name)} ({', '.join(map(quoted, table.columns))}) VALUES "
    waiting, size = list[str](), 0
    for line in lines:
        is_full = (
            size + len(line) > STATEMENT_BYTES or (len(waiting) + 1) * len(table.columns) > STATEMENT_VALUES
        )
        if waiting and is_full:
            yield head + ",".join(waiting)
            waiting, size = [], 0
        if len(line) > STATEMENT_BYTES:
            yield from _staged(head, line)
        else:
            waiting.append(line)
            size += len(line) + 1
    if waiting:
        yield head + ",".join(waiting)


def _staged(head: str, line: str) -> Iterator[str]:
    """A row longer than a statement may be: its long values go into a table of pieces, and are put together in there."""
    yield f"CREATE TABLE {_STAGE} (place INTEGER, number INTEGER, piece BLOB, PRIMARY KEY (place, number)) STRICT"
    literals = _literals(line)
    for place, literal in enumerate(literals):
        if len(literal) <= STAGED_BYTES or not literal.startswith(("'", "X'", "CAST(X'")):
            continue
        content, step = _bytes_of(literal), STATEMENT_BYTES // 2
        parts = [content[start : start + step] for start in range(0, len(content), step)]
        for number, part in enumerate(parts):
            yield f"INSERT INTO {_STAGE} VALUES ({place}, {number}, X'{part.hex()}')"
        found = [
            f"(SELECT piece FROM {_STAGE} WHERE place = {place} AND number = {number})"
            for number in range(len(parts))
        ]
        literals[place] = f"CAST({_joined(found)} AS {'BLOB' if literal.startswith('X') else 'TEXT'})"
    yield f"{head}({','.join(literals)})"
    yield f"DROP TABLE {_STAGE}"


def _bytes_of(literal: str) -> bytes:
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'").encode()
    return bytes.fromhex(literal[literal.index("'") + 1 : literal.rindex("'")])
