"""DuckDB and ClickHouse: started, filled with the same events, asked. Each in its own process on this machine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from bench.ours import Reply
from bench.programs import ROOT, JsonLines, ProgramError, cpu_ms, stop

PYTHON: Final = ROOT / "bench/.venv/bin/python"
LIBRARY: Final = ROOT / "bench/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"


class DuckDb:
    """DuckDB on a file, with as many threads as there are processors."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "events.duckdb"
        self._file.unlink(missing_ok=True)
        self._program = JsonLines([PYTHON, "bench/duckdb_program.py", self._file])

    def load(self, file: Path) -> float:
        """Seconds it took."""
        return float(self._program.ask({"load": str(file)})["ms"] / 1000)

    def ask(self, sql: str) -> Reply:
        answer = self._program.ask({"sql": sql})
        return Reply(answer["rows"], answer["ms"], answer["cpu_ms"])

    def size_bytes(self) -> int:
        return self._file.stat().st_size

    def stop(self) -> None:
        self._program.stop()


_EVENTS: Final = """
CREATE TABLE events (
  project LowCardinality(String), ts DateTime64(3), event_name LowCardinality(String), event_id UUID, anonymous_id UUID,
  user_id String, source LowCardinality(String), medium LowCardinality(String), campaign LowCardinality(String),
  country LowCardinality(String), path LowCardinality(String), url String CODEC(ZSTD(3)), referrer LowCardinality(String),
  properties String CODEC(ZSTD(3)))
ENGINE = MergeTree PARTITION BY toYYYYMM(ts)
ORDER BY (project, toDate(ts), event_name, cityHash64(anonymous_id), ts)"""

_FILL: Final = """
INSERT INTO events SELECT project, fromUnixTimestamp64Milli(ms), * EXCEPT (project, ms) FROM file('{file}', TSV,
 'project String, ms Int64, event_name String, event_id UUID, anonymous_id UUID, user_id String, source String,
  medium String, campaign String, country String, path String, url String, referrer String, properties String')"""

#: ClickHouse's usual roll-up: a state of its exact and one of its estimating distinct count per day and value.
_ROLL_UPS: Final = {
    "daily_sources": ("source", "medium"),
    "daily_countries": ("country",),
    "daily_totals": (),
}


class ClickHouse:
    """A ClickHouse server (npm @chdb/lib-linux-x64-gnu) with a MergeTree and the AggregatingMergeTrees beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "clickhouse"
        self._folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [
            sys.executable,
            "bench/clickhouse_program.py",
            str(LIBRARY),
            str(self._folder),
            str(self._port),
        ]
        with (folder / "clickhouse.log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self._connection = HTTPConnection("127.0.0.1", self._port, timeout=600)
        self._wait()

    @staticmethod
    def is_installed() -> bool:
        """Whether npm had a build for this machine."""
        return LIBRARY.exists()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connection.request("GET", "/ping")
                self._connection.getresponse().read()
                return
            except OSError:
                self._connection.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ProgramError("ClickHouse did not start; see clickhouse.log") from None
                time.sleep(0.1)

    def load(self, file: Path) -> float:
        began = time.monotonic()
        self._do(_EVENTS)
        self._do(_FILL.format(file=file))
        self._do("OPTIMIZE TABLE events FINAL")
        for table, columns in _ROLL_UPS.items():
            self._roll_up(table, columns)
        return time.monotonic() - began

    def _roll_up(self, table: str, columns: tuple[str, ...]) -> None:
        keys = ", ".join(("project", "day", *columns))
        typed = "".join(f" {column} LowCardinality(String)," for column in columns)
        self._do(
            f"CREATE TABLE {table} (project LowCardinality(String), day Date,{typed}"
            " events SimpleAggregateFunction(sum, UInt64), exact AggregateFunction(uniqExact, UUID),"
            f" estimate AggregateFunction(uniq, UUID)) ENGINE = AggregatingMergeTree ORDER BY ({keys})"
        )
        self._do(
            f"INSERT INTO {table} SELECT project, toDate(ts) AS day{''.join(f', {one}' for one in columns)},"
            f" count(), uniqExactState(anonymous_id), uniqState(anonymous_id) FROM events GROUP BY {keys}"
        )
        self._do(f"OPTIMIZE TABLE {table} FINAL")

    def ask(self, sql: str) -> Reply:
        used = cpu_ms(self._process.pid)
        text, summary = self._do(sql, "JSON")
        cpu = cpu_ms(self._process.pid) - used
        return Reply(
            json.loads(text)["data"],
            int(summary["elapsed_ns"]) / 1e6,
            max(0.0, cpu),
            int(summary["read_rows"]),
        )

    def size_bytes(self) -> int:
        rows = self.ask(
            "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND table = 'events'"
        ).rows
        return int(rows[0]["bytes"])

    def version(self) -> str:
        return str(self.ask("SELECT version() AS version").rows[0]["version"])

    def stop(self) -> None:
        self._connection.close()
        stop(self._process, signal.SIGKILL)  # in its library, it hears no other signal

    def _do(self, sql: str, form: str = "Null") -> tuple[bytes, dict[str, Any]]:
        path = f"/?default_format={form}&output_format_json_quote_64bit_integers=0&wait_end_of_query=1"
        self._connection.request("POST", path, sql.encode())
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise ProgramError(f"ClickHouse: {text[:600].decode(errors='replace')}\n{sql}")
        return text, json.loads(response.getheader("X-ClickHouse-Summary") or "{}")
