"""What is wrong with arguments, said so that the sender can put it right: field, value, what is allowed, nearest match."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

MAX_ECHO: Final = 80
#: Comparing takes a time that grows with the square of the length, or more: strangers may have chosen the texts.
MAX_COMPARED: Final = 64
#: What pydantic calls the branches of a union of simple types.
_BRANCHES: Final = frozenset({"str", "int", "float", "bool"})


class InvalidArgumentsError(ValueError):
    """Arguments that do not fit. Shape: `problems` holds one entry for each, all of them at once."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("invalid arguments")
        self.problems = problems


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
    """One `{field, reason, value?, allowed?, did_you_mean?}` for each thing pydantic found.

    The value is the sender's own, cut short; pydantic's texts that quote input are not used.
    """
    problems: dict[str, dict[str, Any]] = {}
    for one in error.errors(include_url=False):
        problem = _problem(one, model)
        known = problems.setdefault(problem["field"], problem)
        if known is not problem and problem["reason"] not in known["reason"]:  # another branch of a union
            known["reason"] += f", or: {problem['reason']}"
    return list(problems.values())


def _problem(found: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    kind, context = found["type"], found.get("ctx", {})
    place = _place(found["loc"]) or context.get("field", "")
    problem: dict[str, Any] = {"field": place}
    if kind == "missing":
        return problem | {"reason": "Required"}
    if kind == "extra_forbidden":
        known = _fields_beside(model, found["loc"])
        problem |= {"reason": "unknown argument", **_echo(found.get("input")), "allowed": known}
        return problem | _nearest(found["loc"][-1], known)
    reason = _unlike(kind, model, found["loc"]) or found["msg"]
    problem |= {"reason": reason, **(_echo(found.get("input")) if found["loc"] else {})}
    if kind == "literal_error":
        allowed = [part.strip().strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
        return (
            problem
            | {"reason": "is not one of the allowed values", "allowed": allowed}
            | _nearest(found.get("input"), allowed)
        )
    if "nearest" in context:
        return problem | _nearest(found.get("input"), context["nearest"])
    if "allowed" in context:
        return problem | {"allowed": context["allowed"]} | _nearest(found.get("input"), context["allowed"])
    return problem


def _unlike(kind: str, model: type[BaseModel], location: tuple[str | int, ...]) -> str | None:
    """What belongs where a list or an object was expected, with the members of the object."""
    if kind == "model_type":
        return f"must be {_shape(_model_at(model, location))}"
    if kind not in ("tuple_type", "list_type"):
        return None
    field = _model_at(model, location[:-1]).model_fields.get(str(location[-1])) if location else None
    items = [one for one in get_args(field.annotation) if isinstance(one, type)] if field else []
    objects = [one for one in items if issubclass(one, BaseModel)]
    return f"must be a list of {_shape(objects[0])}" if objects else "must be a list"


def _shape(model: type[BaseModel]) -> str:
    return f"{{{','.join(_names(model))}}}"


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _fields_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """What could stand where an unknown argument does: the fields of the model that it was given to."""
    return _names(_model_at(model, location[:-1]))


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel]:
    """The model of what stands at a place, or of what it stands in."""
    for part in location:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        model = next(_models_in(fields.get(str(part))), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _place(location: tuple[str | int, ...]) -> str:
    """`('steps', 1, 'event')` as `steps[1].event`; names that pydantic gives to branches of a union are left out."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and part not in _BRANCHES:
            text += f".{part}" if text else part
    return text


def _echo(value: Any) -> dict[str, Any]:
    if isinstance(value, (list, tuple, dict)):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if isinstance(value, str):
        shown = "".join(
            character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value
        )
        return {"value": shown if len(shown) <= MAX_ECHO else shown[:MAX_ECHO] + "…"}
    return {"value": value} if isinstance(value, (int, float)) or value is None else {}


def _nearest(value: Any, allowed: Sequence[str]) -> dict[str, Any]:
    meant = nearest(value, allowed) if isinstance(value, str) else None
    return {} if meant is None else {"did_you_mean": meant}


def nearest(text: str, allowed: Sequence[str]) -> str | None:
    """Which of some texts was probably meant, capitals or not, by how they begin; None when none is near."""
    by_letters = {one[:MAX_COMPARED].lower(): one for one in reversed(allowed)}
    close = difflib.get_close_matches(text[:MAX_COMPARED].lower(), by_letters, n=1)
    return by_letters[close[0]] if close else None
