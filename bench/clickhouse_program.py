"""A ClickHouse server on 127.0.0.1, from the library that npm delivers. It serves until it is killed.

Usage: clickhouse_program.py <libchdb.so> <data folder> <HTTP port>
"""

import ctypes
import sys


def main(library: str, folder: str, port: str) -> None:
    serve = ctypes.CDLL(library).chdb_query_cmdline
    serve.restype = ctypes.c_void_p
    serve.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    # A query that never ends keeps the process; the listener answers beside it.
    script = "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size = 1 FORMAT Null"
    words = [
        "clickhouse",
        f"--path={folder}",
        "--listen_host=127.0.0.1",
        f"--http_port={port}",
        f"--query={script}",
    ]
    serve(len(words), (ctypes.c_char_p * len(words))(*(word.encode() for word in words)))


main(*sys.argv[1:])
