"""DuckDB as a program of its own, in the benchmark's own environment. JSON lines in, JSON lines out. A query is prepared
when it is first asked, as in our engine.

{"load": "events.tsv"} → {"seconds", "rows"};  {"sql": "…"} → {"rows": [{…}], "ms", "cpu_ms"}
"""

import json
import sys
import time

import duckdb
import memory

LOAD = """
CREATE TABLE events AS
SELECT project, make_timestamp(ts * 1000) AS ts, event_name, event_id, anonymous_id, nullif(user_id, '') AS user_id,
       source, medium, nullif(campaign, '') AS campaign, country, path, url, nullif(referrer, '') AS referrer, properties
  FROM read_csv(?, delim = '\t', header = false, quote = '', escape = '', nullstr = '\\N', columns = {
    'project': 'VARCHAR', 'ts': 'BIGINT', 'event_name': 'VARCHAR', 'event_id': 'UUID', 'anonymous_id': 'UUID',
    'user_id': 'VARCHAR', 'source': 'VARCHAR', 'medium': 'VARCHAR', 'campaign': 'VARCHAR', 'country': 'VARCHAR',
    'path': 'VARCHAR', 'url': 'VARCHAR', 'referrer': 'VARCHAR', 'properties': 'VARCHAR'})
 ORDER BY project, ts"""


def main(path: str) -> None:
    memory.keep()
    connection = duckdb.connect(path)
    prepared: dict[str, str] = {}
    for line in sys.stdin:
        message = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        if "load" in message:
            connection.execute("DROP TABLE IF EXISTS events")
            connection.execute(LOAD, [message["load"]])
            connection.execute("CHECKPOINT")
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
            answer = {"rows": count}
        else:
            sql = message["sql"]
            if sql not in prepared:
                prepared[sql] = f"query{len(prepared)}"
                connection.execute(f"PREPARE {prepared[sql]} AS {sql}")
            cursor = connection.execute(f"EXECUTE {prepared[sql]}")
            names = [column[0] for column in cursor.description]
            answer = {"rows": [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]}
        answer |= {
            "ms": (time.perf_counter() - began) * 1000,
            "cpu_ms": (time.process_time() - cpu) * 1000,
        }
        print(json.dumps(answer, default=str), flush=True)


main(sys.argv[1])
