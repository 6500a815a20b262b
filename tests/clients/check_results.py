"""A program of its own: lines `[version, method, result]` against the official models. See tests/answers.py."""

import json
import sys

from mcp_types import methods
from pydantic import ValidationError

faults = 0
for line in sys.stdin:
    version, method, result = json.loads(line)
    try:
        methods.validate_server_result(method, version, result)
    except (ValidationError, KeyError, ValueError) as error:
        faults += 1
        if faults <= 5:
            print(f"{method} at {version}: {error!r}"[:800], json.dumps(result)[:400], sep="\n")
sys.exit(f"{faults} results are not what the protocol says" if faults else 0)
