"""What a Worker in Python can do here at most: `/read` reads one row, `/write` inserts one; no key, no protocol."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import js
from workers import WorkerEntrypoint, import_from_javascript

_ENV = import_from_javascript("cloudflare:workers").env
_STATEMENTS = {
    "/prepare": "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    "/read": "SELECT max(id) AS id FROM bare",
    "/write": "INSERT INTO bare (body) VALUES ('one event')",
}


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK carries no types
    async def fetch(self, request: Any) -> Any:
        statement = _STATEMENTS[urlsplit(request.js_object.url).path]
        found = await _ENV.DB.prepare(statement).all()
        return js.Response.new(js.JSON.stringify(found.results))
