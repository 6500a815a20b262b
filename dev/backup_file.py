"""The file of a backup: gzip of lines, written once and whole, readable by its owner alone, checked before it is believed.

{"format": "millimetric backup", "version": 1, "at": …, "tables": {name: digest of its definition}}
{"table": "accounts", "columns": […]}
('acc_1','Acme',…)                                    one line a row, in the order of the key (dev/backup_tables.py)
{"end": "accounts", "rows": 1, "sha256": …}           of the lines of these rows
{"end": "backup", "rows": …, "sha256": …}             of all lines above in braces
"""

from __future__ import annotations

import gzip
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from dev.backup_tables import ROW, Table, different

FORMAT: Final = {"format": "millimetric backup", "version": 1}
_COMPRESSION: Final = 5


class BackupError(Exception):
    """The file or the database is not what it should be; the message says what would be right."""


class Total:
    """How many rows, and what tells them from others."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = sha256()

    def add(self, line: str) -> None:
        self.rows += 1
        self._hash.update(line.encode() + b"\n")

    def as_end(self, name: str) -> dict[str, Any]:
        return {"end": name, "rows": self.rows, "sha256": self._hash.hexdigest()}


class BackupWriter:
    """Writes a backup beside the place it is for; `keep` puts it there. Left without `keep`, there is nothing."""

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.exists() and not overwrite:
            raise BackupError(f"{path} is there already; choose another name, or say --overwrite")
        if not path.parent.is_dir():
            raise BackupError(f"{path.parent} is not a folder; make it first")
        self._path = path
        self._part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        self._raw = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._gzip, self._said = self._compressed(), Total()

    def __enter__(self) -> BackupWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._gzip.close()
        self._raw.close()
        with suppress(FileNotFoundError):
            self._part.unlink()

    def begin(self) -> None:
        """Forgets what was written."""
        self._gzip.close()  # it still has something to write
        self._raw.seek(0)
        self._raw.truncate()
        self._gzip, self._said = self._compressed(), Total()

    def _compressed(self) -> gzip.GzipFile:
        return gzip.GzipFile("", "wb", _COMPRESSION, self._raw, mtime=0)

    def row(self, line: str) -> None:
        self._gzip.write(line.encode() + b"\n")

    def say(self, **what: Any) -> None:
        line = json.dumps(what)
        self._said.add(line)
        self.row(line)

    def keep(self, rows: int) -> None:
        self.row(json.dumps({**self._said.as_end("backup"), "rows": rows}))
        self._gzip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._part.replace(self._path)


def checked(path: Path, tables: Sequence[Table]) -> dict[str, dict[str, Any]]:
    """How each table ends, of a file that is whole and of this schema. Errors: BackupError."""
    lines, said, ends = _lines(path), Total(), dict[str, dict[str, Any]]()
    header = _in_braces(next(lines, ""), said)
    if {name: header.get(name) for name in FORMAT} != FORMAT:
        raise BackupError(f"{path} is no backup of this version: it begins with {json.dumps(header)[:80]}")
    if other := different(header.get("tables", {}), tables):
        raise BackupError(
            f"{path} is of another version of schema.sql, with other tables {other}: restore it with the version"
            " of this project that made it, then update"
        )
    for table in tables:
        if _in_braces(next(lines, ""), said) != {"table": table.name, "columns": list(table.columns)}:
            raise _altered(path, f"{table.name} does not begin where it should")
        total, line = Total(), ""
        for line in lines:
            if line.startswith("{"):
                break
            if not ROW.fullmatch(line):
                raise _altered(path, f"row {total.rows + 1} of {table.name} is no row")
            total.add(line)
        ends[table.name] = _in_braces(line, said)
        if ends[table.name] != total.as_end(table.name):
            raise _altered(path, f"the rows of {table.name} are not those that were written")
    wanted = {**said.as_end("backup"), "rows": sum(end["rows"] for end in ends.values())}
    if _in_braces(next(lines, ""), Total()) != wanted or next(lines, None) is not None:
        raise _altered(path, "its end is not the one that was written")
    return ends


def rows_of(path: Path) -> Iterator[tuple[str, str]]:
    """The rows of a file that was checked, each with the name of its table."""
    name = ""
    for line in _lines(path):
        if line.startswith("("):
            yield name, line
        else:
            name = json.loads(line).get("table", "")


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="ascii", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")
    except FileNotFoundError:
        raise BackupError(f"there is no file {path}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise _altered(path, str(error)) from error


def _in_braces(line: str, said: Total) -> dict[str, Any]:
    said.add(line)
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _altered(path: Path, why: str) -> BackupError:
    return BackupError(f"{path} was cut or altered since it was written: {why}. Nothing was restored")
