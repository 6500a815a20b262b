"""Runs inside Pyodide: compiles a folder of packages and packs it, bytecode included, into one container."""

import json
import struct
from pathlib import Path
from py_compile import PycInvalidationMode, compile


def compile_packages(folder):
    root = Path(folder)
    for path in root.rglob("*.py"):
        compile(str(path), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    files = [path.read_bytes() for path in paths]
    index = json.dumps(
        [[str(p.relative_to(root)), len(f)] for p, f in zip(paths, files, strict=True)]
    ).encode()
    return b"".join([struct.pack(">I", len(index)), index, *files])


compile_packages
