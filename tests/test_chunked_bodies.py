"""Bodies sent in pieces, without a length: taken within the limit, cut off beyond it, on the runtime itself."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from urllib.parse import urlsplit

import pytest

from tests.runtime import Runtime

pytestmark = pytest.mark.worker


def send(worker: Runtime, path: str, key: str, pieces: Iterable[bytes]) -> int:
    where = urlsplit(worker.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", path, body=iter(pieces), headers=headers, encode_chunked=True)
    return connection.getresponse().status


def test_a_body_in_pieces_is_read_to_its_limit_and_no_further(worker: Runtime) -> None:
    keys = worker.account()["projects"][0]
    assert send(worker, "/v1/track", keys["sk"], [b'{"event":', b'"in pieces"}']) == 202
    assert send(worker, "/v1/track", keys["sk"], [b"["] * 3) == 400
    assert send(worker, "/v1/track", keys["sk"], [b" " * 65_536] * 17) == 413
    assert send(worker, "/mcp", keys["rk"], [b" " * 70_000]) == 413
    assert worker.read(keys["rk"], "schema://events") == [{"event_name": "in pieces", "count": 1}]
