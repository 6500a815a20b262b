"""`npm run backup`: a file of the whole database, restored into an empty one, is the same, value by value (T-BAK-1)."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev import backup, backup_file, backup_tables, provision
from dev.backup_file import BackupError
from storage import event_store
from storage.sqlite import Sqlite
from tests.house import ROOT, InProcess
from tests.runtime import NODE, Runtime

SCHEMA = (ROOT / "schema.sql").read_text()
#: Every kind of table, and one that SQLite fills itself.
ODD_SCHEMA = """
CREATE TABLE IF NOT EXISTS replays_asked (asked_at INTEGER PRIMARY KEY) STRICT;
CREATE TABLE child (id TEXT PRIMARY KEY, next TEXT REFERENCES child (id), parent INTEGER REFERENCES parent (id)) STRICT;
CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;  -- named by the one before
CREATE TABLE odd (n INTEGER, k ANY, a ANY, t TEXT, b BLOB, r REAL, PRIMARY KEY (k, n)) STRICT, WITHOUT ROWID;
CREATE TABLE loose ("a 'name", t TEXT PRIMARY KEY);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT) STRICT;
"""


class Store:
    """A database that answers as dev/session.mjs does. `before` is called with the number of each question."""

    def __init__(self, database: Sqlite, before: Callable[[int], None] = lambda _: None) -> None:
        self.database = database
        self.connection = database.connection
        self.connection.execute("PRAGMA foreign_keys = on")
        self.before = before
        self.questions = 0

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "apply" in message:
            return {"ok": self._run(message["apply"]["d1"]) is not None}
        self.questions += 1
        self.before(self.questions)
        return {"rows": json.loads(json.dumps(self._run(message["query"])))}

    def _run(self, statements: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            found = [[dict(row) for row in self.connection.execute(one["sql"])] for one in statements]
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return found

    def contents(self) -> dict[str, list[Any]]:
        return contents(self.connection)


def contents(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Every row of every table, its values with their types: texts as their bytes, numbers as they are."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf_*'"
    )
    tables = [row[0] for row in names.fetchall()]
    connection.text_factory = lambda octets: ("text", octets)
    try:
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    finally:
        connection.text_factory = str
    return {name: sorted(repr(tuple(row)) for row in found) for name, found in rows.items()}


@contextmanager
def using(store: Store, said: list[str] | None = None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provision, "ask", store.answer)
        patch.setattr(provision, "say", ([] if said is None else said).append)
        yield


def backed_up(store: Store, path: Path, overwrite: bool = False) -> int:
    with using(store):
        return backup.back_up(path, overwrite)


def restored(path: Path, schema: str = SCHEMA) -> Store:
    store = Store(Sqlite(schema=schema))
    with using(store):
        backup.restore(path)
    return store


def small_sizes(patch: pytest.MonkeyPatch) -> None:
    """Pages, pieces and statements so small that a few rows need many."""
    for module, sizes in (
        (backup, {"FIRST_ROWS": 2, "FIRST_BYTES": 40, "PAGE_BYTES": 90, "BATCH_BYTES": 120}),
        (
            backup_tables,
            {"WHOLE_VALUE_BYTES": 25, "PIECE_BYTES": 7, "STATEMENT_BYTES": 60, "STAGED_BYTES": 12},
        ),
    ):
        for name, size in sizes.items():
            patch.setattr(module, name, size)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A database of `ODD_SCHEMA`, with a few rows in each table."""
    schema = tmp_path / "schema.sql"
    schema.write_text(ODD_SCHEMA)
    monkeypatch.setattr(backup, "SCHEMA", schema)
    small_sizes(monkeypatch)
    store = Store(Sqlite(schema=ODD_SCHEMA))
    store.connection.executescript("""
        INSERT INTO parent VALUES (1), (9007199254740993);
        PRAGMA foreign_keys = off;
        INSERT INTO child VALUES ('a', 'z', 1), ('b', NULL, 9007199254740993), ('z', 'b', NULL);
        INSERT INTO odd VALUES (1, 'k', NULL, '', x'', 0.1), (9223372036854775807, 'k', 1, 'x', x'00', 1e300);
        INSERT INTO odd WITH RECURSIVE c (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 25)
          SELECT n, n % 2, NULL, printf('%.*c', n + 10, 'x'), zeroblob(n * 2), n / 7.0 FROM c;
        INSERT INTO loose (rowid, "a 'name", t) VALUES (7, 1, NULL), (9, 2, NULL), (12, 'x', 'y');
        INSERT INTO counted VALUES (5, 'five'), (6, 'six');
        DELETE FROM counted WHERE id = 6;
    """)
    return store


# --- the same, value by value -----------------------------------------------------------------------------------------

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**62 + 1])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "a\0b",
        "\0",
        "'",
        "''",
        "it's\n",
        "x" * 100,
        "é" * 60,
        "NULL",
        "?1",
        "--",
        "),('",
        "?text:9",
        "\x7f",
        "{",
        "\ufeff",
    ]
)
BLOBS = st.binary(max_size=60)
REALS = st.floats(allow_nan=False).map(lambda value: value + 0.0)  # -0.0 comes back as 0.0
ANYTHING = st.none() | INTEGERS | TEXTS | BLOBS | REALS


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.tuples(INTEGERS, INTEGERS | TEXTS.filter(lambda text: len(text) < 6) | st.binary(max_size=6)),
        st.tuples(ANYTHING, st.none() | TEXTS, st.none() | BLOBS, st.none() | REALS),
        max_size=12,
    ),
    st.lists(st.tuples(ANYTHING, st.none() | BLOBS), max_size=6),
)
def test_every_value_comes_back_as_it_was(rows: dict[Any, Any], loose: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small_sizes(patch)
        schema = Path(folder) / "schema.sql"
        schema.write_text(ODD_SCHEMA)
        patch.setattr(backup, "SCHEMA", schema)
        store = Store(Sqlite(schema=ODD_SCHEMA))
        store.connection.executemany(
            "INSERT INTO odd VALUES (?, ?, ?, ?, ?, ?)", [(*key, *values) for key, values in rows.items()]
        )
        # Bytes that are no UTF-8, as a text
        store.connection.executemany("INSERT OR IGNORE INTO loose VALUES (?, CAST(? AS TEXT))", loose)
        path = Path(folder) / "file"
        count = backed_up(store, path)
        again = restored(path, ODD_SCHEMA)
        assert again.contents() == store.contents()
        assert count == sum(map(len, store.contents().values()))


@settings(deadline=None)
@given(REALS.filter(math.isfinite))
def test_a_real_is_written_without_its_decimals(value: float) -> None:
    (found,) = sqlite3.connect(":memory:").execute(f"SELECT {backup_tables.exact(value)}").fetchone()
    assert found == value
    assert backup_tables.ROW.fullmatch(f"({backup_tables.exact(value)})")


def test_tables_of_every_kind_come_back_with_what_sqlite_counts(odd: Store, tmp_path: Path) -> None:
    """A row refers to one that comes later; rows without a key keep their rowid; no id is given out twice."""
    backed_up(odd, tmp_path / "file")
    again = restored(tmp_path / "file", ODD_SCHEMA)
    assert again.contents() == odd.contents()
    assert [row[0] for row in again.connection.execute("SELECT rowid FROM loose ORDER BY 1")] == [7, 9, 12]
    again.connection.execute("INSERT INTO counted (t) VALUES ('seven')")
    assert [row[0] for row in again.connection.execute("SELECT id FROM counted")] == [5, 7]
    assert again.connection.execute("PRAGMA foreign_key_check").fetchall() == []


def told(house: InProcess) -> dict[str, Any]:
    """A house with events that are folded and events that wait, one of these requests longer than a statement may be."""
    keys = house.account("business", "One", "Two")["projects"][0]
    house.track(keys["sk"], *(
        {"event": f"é{n % 3}", "event_id": f"e{n}", "anonymous_id": f"d{n % 7}", "user_id": f"u{n % 5}",
         "timestamp": f"2026-05-{1 + n % 19:02d}T10:00:00Z", "properties": {"q": "it's \u0007\U0001f600", "n": n}}
        for n in range(300)
    ))  # fmt: skip
    house.fold()
    house.track(keys["sk"], *(
        {"event": "waits", "anonymous_id": f"w{n}", "properties": {"text": "ü\u0001'" * 100}} for n in range(150)
    ))  # fmt: skip
    house.track(keys["sk"], {"event": "alone", "event_id": "1", "anonymous_id": "w"})
    return keys


def test_a_house_comes_back_with_what_is_folded_and_what_waits(
    house: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "FOLD_ONE_IN", 2**200)  # none by chance
    keys = told(house)
    store = Store(house.db)
    (longest,) = house.db.connection.execute("SELECT max(length(hex(body))) FROM inbox").fetchone()
    assert longest > backup_tables.STATEMENT_BYTES
    backed_up(store, tmp_path / "file")
    again = restored(tmp_path / "file")
    assert again.contents() == store.contents()
    window = {"from_": "2026-05-01", "to": "2026-05-21"}
    answers = [house.rows(keys["rk"], "get_stats", **window, group_by=["event_name"])]
    again.connection.backup(house.db.connection)
    answers.append(house.rows(keys["rk"], "get_stats", **window, group_by=["event_name"]))
    assert answers[0] == answers[1]
    assert sum(row["value"] for row in answers[1]) == 451


def test_every_table_of_the_schema_is_in_it(house: InProcess, tmp_path: Path) -> None:
    backed_up(Store(house.db), tmp_path / "file")
    header = json.loads(gzip.decompress((tmp_path / "file").read_bytes()).splitlines()[0])
    names = house.db.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert header["tables"].keys() == {row["name"] for row in names}
    assert {"events", "inbox", "audit_entries", "sqlite_sequence"} <= header["tables"].keys()


def test_the_first_question_stays_below_what_one_statement_may_have() -> None:
    tables = backup_tables.made_of(SCHEMA)
    asked = [backup_tables.page(table, None, 1, 1) + backup_tables.count(table) for table in tables]
    assert sum(map(len, asked)) < 100_000


# --- written to meanwhile ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["the same connection", "another connection"])
def written(
    request: pytest.FixtureRequest, odd: Store, tmp_path: Path
) -> Iterator[tuple[Store, Callable[[], None]]]:
    """A database in a file, and a way to write to it."""
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
        odd.connection.backup(other)
        other.execute("PRAGMA journal_mode = wal")
        store = Store(Sqlite(str(tmp_path / "db")))
        writer = store.connection if request.param == "the same connection" else other

        def write() -> None:
            """Takes a row away and adds another: the counts stay."""
            writer.execute("UPDATE odd SET t = t || 'x'")

        yield store, write


def questions_of(store: Store, path: Path) -> int:
    before = store.questions
    backed_up(store, path)
    return store.questions - before


def test_a_change_between_any_two_questions_is_noticed(
    written: tuple[Store, Callable[[], None]], tmp_path: Path
) -> None:
    store, write = written
    questions = questions_of(store, tmp_path / "quiet")
    assert questions > 15
    for at in range(6, questions + 1, 29):  # the first answer is the fifth
        said = list[str]()
        store.questions, store.before = 0, lambda number, at=at: write() if number == at else None  # type: ignore[misc]
        with using(store, said):
            backup.back_up(tmp_path / "file", overwrite=True)
        assert said == ["Something was written meanwhile: try 1 of 3 is void."], at
        assert restored(tmp_path / "file", ODD_SCHEMA).contents() == store.contents()


def test_a_database_that_is_written_to_all_the_time_is_given_up_and_leaves_no_file(
    written: tuple[Store, Callable[[], None]], tmp_path: Path
) -> None:
    store, write = written
    store.before = lambda _: write()
    with pytest.raises(BackupError, match="during each of 3 tries"):
        backed_up(store, tmp_path / "file")
    assert [one.name for one in tmp_path.iterdir() if "file" in one.name] == []


def test_a_connection_that_is_not_the_same_any_more_is_noticed(odd: Store, tmp_path: Path) -> None:
    """Its counters begin again: they may say anything."""
    with closing(sqlite3.connect(tmp_path / "db")) as file:
        odd.connection.backup(file)
    store = Store(Sqlite(str(tmp_path / "db")))

    def reconnect(number: int) -> None:
        if number == 6:
            changes = store.connection.execute("SELECT total_changes()").fetchone()[0]
            store.database = Sqlite(str(tmp_path / "db"))
            store.connection = store.database.connection
            for _ in range(changes):
                store.connection.execute("UPDATE odd SET t = 'changed' WHERE n = 1")

    store.before, said = reconnect, list[str]()
    with using(store, said):
        backup.back_up(tmp_path / "file", overwrite=False)
    assert len(said) == 1
    assert restored(tmp_path / "file", ODD_SCHEMA).contents() == store.contents()


def test_what_is_small_needs_no_quiet(house: InProcess, tmp_path: Path) -> None:
    house.account()
    store = Store(house.db)
    store.before = lambda number: (
        store.connection.execute("INSERT INTO retention VALUES (?, 1)", [number]) and None
    )
    assert questions_of(store, tmp_path / "file") == 5


# --- refused ----------------------------------------------------------------------------------------------------------


def lines_of(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def refused(path: Path, said: str, schema: str = ODD_SCHEMA) -> None:
    store = Store(Sqlite(schema=schema))
    with using(store), pytest.raises(BackupError, match=said):
        backup.restore(path)
    assert not any(store.contents().values()), "nothing was restored"


def test_a_file_that_is_cut_anywhere_is_refused(odd: Store, tmp_path: Path) -> None:
    backed_up(odd, tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "file").write_bytes(whole[:size])
        refused(tmp_path / "file", "cut or altered|is no backup")
    lines = gzip.decompress(whole).splitlines(keepends=True)
    for count in range(len(lines)):
        (tmp_path / "file").write_bytes(gzip.compress(b"".join(lines[:count])))
        refused(tmp_path / "file", "cut or altered|is no backup")


def test_a_file_with_a_changed_byte_is_refused(odd: Store, tmp_path: Path) -> None:
    backed_up(odd, tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    for at in range(10, len(whole), 3):
        (tmp_path / "file").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        refused(tmp_path / "file", "cut or altered|is no backup|of another version")


def test_a_file_that_was_edited_is_refused_line_by_line(odd: Store, tmp_path: Path) -> None:
    backed_up(odd, tmp_path / "file")
    lines = lines_of(tmp_path / "file")
    for at, line in enumerate(lines):
        edits = [
            [],
            [line, line],
            [line.replace(b"1", b"2", 1)],
            [lines[at - 1], line],
            [b"(1);DROP TABLE odd\n"],
        ]
        for edit in edits:
            if edit == [line]:
                continue
            (tmp_path / "file").write_bytes(gzip.compress(b"".join([*lines[:at], *edit, *lines[at + 1 :]])))
            refused(tmp_path / "file", "cut or altered|is no backup|of another version")


def test_a_file_of_another_schema_is_refused_by_the_name_of_the_table(
    odd: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(odd, tmp_path / "file")
    other = (
        ODD_SCHEMA.replace("counted (id", "counted (more TEXT, id")
        + "CREATE TABLE new (id INTEGER PRIMARY KEY);"
    )
    backup.SCHEMA.write_text(other)
    refused(tmp_path / "file", "with other tables counted, new: restore it with the version", other)
    backup.SCHEMA.write_text(ODD_SCHEMA.replace("-- named by the one before", "\n  -- another comment"))
    assert restored(tmp_path / "file", ODD_SCHEMA).contents() == odd.contents()


def test_a_database_with_other_tables_than_the_schema_is_refused(odd: Store, tmp_path: Path) -> None:
    odd.connection.executescript("DROP TABLE loose; CREATE TABLE theirs (a)")
    with pytest.raises(BackupError, match=r"other tables than schema\.sql: loose, theirs"):
        backed_up(odd, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_database_that_holds_anything_is_not_restored_into(odd: Store, tmp_path: Path) -> None:
    backed_up(odd, tmp_path / "file")
    target = Store(Sqlite(schema=ODD_SCHEMA))
    target.connection.execute("INSERT INTO parent VALUES (4)")
    before = target.contents()
    with using(target), pytest.raises(BackupError, match="not empty: there are rows in parent"):
        backup.restore(tmp_path / "file")
    assert target.contents() == before


def test_what_is_read_back_must_be_what_the_file_holds(odd: Store, tmp_path: Path) -> None:
    backed_up(odd, tmp_path / "file")
    target = Store(Sqlite(schema=ODD_SCHEMA))
    target.connection.execute(
        "CREATE TRIGGER meddles AFTER INSERT ON counted BEGIN UPDATE counted SET t = 'x' WHERE id = new.id; END"
    )
    with using(target), pytest.raises(BackupError, match="read back, counted is not what the file holds"):
        backup.restore(tmp_path / "file")


def test_the_file_is_its_owners_alone_and_replaced_only_when_told(
    odd: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    with using(odd):
        assert backup.main([str(path)]) == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        first = path.read_bytes()
        odd.connection.execute("DELETE FROM odd")
        assert backup.main([str(path)]) == 1
        assert "is there already; choose another name, or say --overwrite" in capsys.readouterr().err
        assert path.read_bytes() == first
        assert backup.main([str(path), "--overwrite"]) == 0
        assert path.read_bytes() != first
        assert backup.main([str(tmp_path / "no" / "file")]) == 1
        assert "is not a folder" in capsys.readouterr().err
        assert backup.main(["restore", str(tmp_path / "none")]) == 1
        assert "there is no file" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            backup.main(["restore", str(path), "--overwrite"])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "schema.sql"]
    assert backup_file.FORMAT["version"] == 1


# --- the drill --------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, "dev/run.mjs", "backup", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def database_of(state: Path) -> dict[str, list[Any]]:
    (file,) = (one for one in (state / "v3/d1").rglob("*.sqlite") if one.name != "metadata.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        return contents(connection)


@pytest.mark.worker
def test_the_database_of_a_worker_comes_back_in_a_new_state_and_answers_the_same(tmp_path: Path) -> None:
    """The drill. The server is running and idle while it is backed up; what waits in the inbox then is part of it."""
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "file"
    server = Runtime(old, "--no-demo")
    window = {"from_": "2026-05-01", "to": "2026-06-01"}
    try:
        keys = server.account("business", "One", "Two")["projects"][0]
        rotated = server.manage("rotate", keys["rk"])["key"]

        def events(name: str, count: int) -> list[dict[str, Any]]:
            return [
                {"event": name, "event_id": f"{name} {n}", "anonymous_id": f"d{n % 9}", "user_id": f"it's ü{n % 4}",
                 "timestamp": f"2026-05-{1 + n % 28:02d}T10:00:00Z", "properties": {"text": "é\u0001'\U0001f600" * 30}}
                for n in range(count)
            ]  # fmt: skip

        server.track(keys["sk"], *events("folded", 700))
        server.rows(rotated, "get_stats", **window)
        waiting = 0
        while not (before := database_of(old))["inbox"]:  # some requests fold what waits by chance
            waiting += 1
            server.track(keys["sk"], *events(f"waits {waiting}", 150))
        done = command(str(file), "--persist", str(old))
        assert done.returncode == 0, done.stderr + done.stdout
        assert len(before["events"]) >= 700

        def answers() -> list[Any]:
            asked = {"user_id": "it's ü1", "include_anonymous": True}
            return [
                server.rows(rotated, "get_stats", **window, group_by=["event_name"]),
                server.rows(rotated, "query_events", **window, limit=200),
                server.rows(rotated, "timeseries", **window, metric="visitors"),
                server.post("/v1/export", asked, keys["sk"]).json["rows"],
            ]

        wanted = answers()
        server.stop()
        new.mkdir()
        for name in ("dev-secrets.json", "dev-keys.json"):
            shutil.copy(old / name, new / name)
        done = command("restore", str(file), "--persist", str(new))
        assert done.returncode == 0, done.stderr + done.stdout
        after = database_of(new)
        assert {name: len(rows) for name, rows in after.items()} == {
            name: len(rows) for name, rows in before.items()
        }
        assert after == before
        again = command("restore", str(file), "--persist", str(new))
        assert (again.returncode, "there are rows in" in again.stderr) == (1, True)
        server = Runtime(new, "--no-demo")
        assert answers() == wanted
        assert sum(row["value"] for row in wanted[0]) == 700 + 150 * waiting
    finally:
        server.stop()
