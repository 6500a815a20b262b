"""What a Worker in Python takes for the statement alone, on the same runtime as ours: bench/bare_server.mjs in Python."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import js
from pyodide.ffi import to_js
from workers import WorkerEntrypoint, import_from_javascript

_ENV = import_from_javascript("cloudflare:workers").env
_DAY_S = 86_400


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK carries no types
    async def fetch(self, request: Any) -> Any:
        sent = request.js_object
        asked = json.loads((await sent.arrayBuffer()).to_bytes())["params"]["arguments"]
        template = json.loads(_ENV.STATEMENT)
        limit = asked["limit"]
        values = {
            "projects": f"[{sent.headers.get('x-project')}]",
            "first": _day(asked["from"]),
            "last": _day(asked["to"]) - 1,
            "limit": limit + 1,
        }
        statement = _ENV.DB.prepare(template["sql"]).bind(*(values[name] for name in template["parameters"]))
        (found,) = json.loads(js.JSON.stringify(await _ENV.DB.batch(to_js([statement]))))
        rows = [
            {
                "source": source,
                "medium": medium,
                "events": events,
                "uniques": uniques,
                "paid_share": paid / events,
            }
            for source, medium, events, uniques, paid in json.loads(found["results"][0]["bundle"])[:limit]
        ]
        return js.Response.new(json.dumps({"result": {"content": [{"text": json.dumps(rows)}]}}))


def _day(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp()) // _DAY_S
