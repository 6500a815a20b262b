"""What REST v1 is asked with: bodies and query strings to models, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from access.gate import Refusal
from analytics.problems import problems_of
from analytics.questions import WindowQuestion
from web.messages import Request

Model = TypeVar("Model", bound=BaseModel)
Question = TypeVar("Question", bound=WindowQuestion)


def payload(model: type[Model], body: dict[str, Any], now_ms: int) -> Model:
    """What a body says. Errors: Refusal 400 `invalid_payload`."""
    try:
        return model.model_validate(body, context={"now_ms": now_ms})
    except ValidationError as error:
        raise Refusal(400, "invalid_payload", flattened(_problems(error, model))) from error


def asked(model: type[Question], request: Request, now_ms: int) -> Question:
    """A question from a query string, by the same model that serves the tool.

    Errors: Refusal 400 `invalid_group_by` when an unknown column is all that is wrong, else `invalid_params`.
    """
    try:
        return TypeAdapter(model).validate_strings(
            _parameters(request), strict=False, context={"now_ms": now_ms}
        )
    except ValidationError as error:
        problems = _problems(error, model)
    if all(problem["field"].startswith("group_by[") and "allowed" in problem for problem in problems):
        raise Refusal(400, "invalid_group_by", {"allowed": problems[0]["allowed"]})
    raise Refusal(400, "invalid_params", flattened(problems))


def _parameters(request: Request) -> dict[str, str]:
    """The query string's values; of a name that comes twice, the first."""
    try:
        pairs = request.query
    except ValueError as error:
        raise Refusal(
            400, "invalid_params", {"formErrors": ["too many parameters"], "fieldErrors": {}}
        ) from error
    if any("\0" in text for pair in pairs for text in pair):
        raise Refusal(
            400, "invalid_params", {"formErrors": ["holds the character U+0000"], "fieldErrors": {}}
        )
    return dict(reversed(pairs))


def flattened(problems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All problems in the shape of the contract: texts by field, nested ones as `events[3].event`.

    `index` is the place of the first bad event of a batch. Source: contract.md §2, HTTP rules.
    """
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(problem["field"], []).append(_said(problem))
    details: dict[str, Any] = {"fieldErrors": fields}
    places = [field.partition("[")[2].partition("]")[0] for field in fields if field.startswith("events[")]
    return details | {"index": min(map(int, places))} if places else details


def _said(problem: Mapping[str, Any]) -> str:
    """A problem in one line: what is wrong, what is allowed, what was probably meant."""
    allowed, meant = problem.get("allowed"), problem.get("did_you_mean")
    text: str = problem["reason"] + (f"; allowed: {', '.join(allowed)}" if allowed else "")
    return f"{text}; did you mean {meant!r}?" if meant else text


def _problems(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
    return problems_of(error, model)
