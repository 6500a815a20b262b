"""forget_user: erases a person in two steps. The erasure is that of POST /v1/forget."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from analytics.erasure import TOKEN_LIFE_MS, Erasure, Subject
from analytics.event import UserId
from analytics.problems import InvalidArgumentsError
from analytics.window import format_instant
from mcp.asking import Asking, answered, may_ask
from mcp.boundary import invalid_params
from mcp.rows import TEXT_OR_NULL, WHOLE, Schema
from mcp.tool import Context, Hints, Reading, Result, Tool


class ForgetQuestion(BaseModel):
    """Who is to be erased, and how far the caller has come."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    user_id: UserId
    include_anonymous: bool = Field(
        False, description="Also their devices' events without user_id; not later."
    )
    step: Literal["prepare", "execute"] = "prepare"
    token: str | None = Field(None, max_length=256)


async def _run(wanted: ForgetQuestion, context: Context) -> Result:
    erasure = Erasure(context.scope, wanted.user_id, wanted.include_anonymous)
    subject = await context.events.subject(
        context.scope, wanted.user_id, include_anonymous=wanted.include_anonymous
    )
    if wanted.step == "prepare":
        token = context.erasures.issue(erasure, subject, context.now_ms)
        ends = format_instant(context.now_ms + TOKEN_LIFE_MS)
        return _answer("prepared", **subject.described(), token=token, expires_at=ends)
    if wanted.token is not None:
        context.erasures.check(wanted.token, erasure, subject, context.now_ms)
        return await _erase(erasure, wanted.token, context)
    return await _ask(erasure, subject, context)


async def _ask(erasure: Erasure, subject: Subject, context: Context) -> Result:
    """Without a token a person has to say yes; a client that cannot be asked is told what to do instead."""
    said = answered(context)
    if said is not None:
        try:
            context.erasures.check(said.state, erasure, subject, context.now_ms)
        except InvalidArgumentsError as error:
            raise invalid_params(f"requestState {error.problems[0]['reason']}") from error
        return await _erase(erasure, said.state, context) if said.yes else _answer("declined", events=0)
    if may_ask(context):
        token = context.erasures.issue(erasure, subject, context.now_ms)
        return Asking(_said(erasure, subject), "Erase for good", token)
    reason = "Required to execute; nothing was erased. Prepare, show a person what would go, then execute with its token"
    raise InvalidArgumentsError([{"field": "token", "reason": reason}])


async def _erase(erasure: Erasure, token: str, context: Context) -> Result:
    """The same token again is the same erasure: it goes on where the last one stopped, and is one entry of the audit log."""
    await context.admit("batch")
    deleted = await context.events.forget(
        erasure.scope,
        erasure.user_id,
        include_anonymous=erasure.include_anonymous,
        request_id=context.request_id,
        entry=hashlib.sha256(token.encode()).hexdigest()[:16],
    )
    return _answer("erased", events=deleted)


def _answer(status: str, **more: Any) -> Reading:
    answer = {"status": status, **more}
    return Reading(answer, answer)


def _said(erasure: Erasure, subject: Subject) -> str:
    span = "" if subject.events == 0 else " from {from} to {to}".format(**subject.described())
    rest = (
        "" if erasure.include_anonymous else f" {subject.anonymous_events} anonymous events of theirs stay."
    )
    return (
        f"Erase {erasure.user_id} from {erasure.scope.projects[0].name}? {subject.events} events on {subject.devices} "
        f"devices{span} will be deleted for good.{rest}"
    )


_OUTPUT: Final[Schema] = {
    "type": "object",
    "properties": {"status": {"enum": ["prepared", "erased", "declined"]}},
    "patternProperties": {
        "^(events|visitor_days|devices|anonymous_events)$": WHOLE,
        "^(from|to|token|expires_at)$": TEXT_OR_NULL,
    },
    "required": ["status", "events"],
    "additionalProperties": False,
}

FORGET_USER = Tool(
    name="forget_user",
    title="Forget user",
    description=(
        "Erases a person: prepare counts what would go; execute needs its token or your user's yes. "
        'Example: {"user_id":"u_1"}.'
    ),
    input=ForgetQuestion,
    output=_OUTPUT,
    requires="ingest",
    run=_run,
    hints=Hints(read_only=False, destructive=True),
)
