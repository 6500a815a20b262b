"""REST v1, what is stored about a person. Decision: docs/decisions/0012-forgetting.md."""

from __future__ import annotations

from typing import Any

from access.gate import Principal, Refusal
from analytics.problems import InvalidArgumentsError
from analytics.subject_export import ExportQuestion
from web.arguments import flattened, payload
from web.bodies import read_json_object
from web.house import House
from web.messages import Request, Response, json_response


async def export(request: Request, house: House, principal: Principal) -> Response:
    """POST /v1/export. 200 `{"ok":true,"rows":[…]}`, with `next_cursor` until everything was shown."""
    question = payload(ExportQuestion, await read_json_object(request), house.now_ms())
    try:
        page = await house.exports.read(principal.scope(), question, house.request_id)
    except InvalidArgumentsError as error:
        raise Refusal(400, "invalid_payload", flattened(error.problems)) from error
    body: dict[str, Any] = {"ok": True, "rows": page.answer.rows}
    return json_response(200, body if page.next_cursor is None else body | {"next_cursor": page.next_cursor})
