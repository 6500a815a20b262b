"""Models as the plain JSON Schema that clients and models read: no `$ref`, no generated titles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel


def plain_schema(
    model: type[BaseModel],
    mode: Literal["validation", "serialization"] = "validation",
    *,
    nullable: bool = False,
) -> dict[str, Any]:
    """A model as plain JSON Schema: no `$ref`, no generated titles; of an input, only where `nullable`, the null that
    means the same as leaving it out.
    """
    schema = model.model_json_schema(mode=mode)
    nulls = nullable or mode == "serialization"
    plain: dict[str, Any] = _Plain(schema.pop("$defs", {}), nullable=nulls).of(schema)
    plain.pop("description", None)
    return plain


def brief(node: Any) -> Any:
    """A schema without what everybody expects: that a limit is not negative, that what is not asked for
    is off, that an object may have any members.
    """
    if isinstance(node, list):
        return [brief(item) for item in node]
    if not isinstance(node, dict):
        return node
    limited = node.get("type") in ("integer", "array")
    return {
        key: brief(value)
        for key, value in node.items()
        if not (limited and key in ("minimum", "minItems") and value in (0, 1))
        and not (key == "default" and value is False)
        and not (key == "additionalProperties" and value is True)
    }


@dataclass(frozen=True, slots=True)
class _Plain:
    definitions: Mapping[str, Any]
    nullable: bool

    def of(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.of(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = self.definitions[node["$ref"].rsplit("/", 1)[1]]
            docstring_less = {key: value for key, value in target.items() if key != "description"}
            return self.of({**docstring_less, **{key: node[key] for key in node if key != "$ref"}})
        members = {key: self._member(key, value) for key, value in node.items() if not _noise(key, value)}
        return _in_one_type(members) if self.nullable else _without_null(members)

    def _member(self, key: str, value: Any) -> Any:
        """Names inside `properties` are the caller's and are kept, whatever they are called."""
        if key == "properties":
            return {name: self.of(schema) for name, schema in value.items()}
        return self.of(value)


def _noise(key: str, value: Any) -> bool:
    return (
        (key == "title" and isinstance(value, str))
        or (key == "default" and value in (None, "", [], {}, ()))
        or key in ("minLength", "maxLength")
    )


def _in_one_type(node: dict[str, Any]) -> dict[str, Any]:
    """`anyOf` a type and null, in fewer words."""
    match node.get("anyOf"):
        case [{"type": str(kind)} as one, {"type": "null"}] if len(one) == 1:
            others = {key: value for key, value in node.items() if key != "anyOf"}
            return {"type": [kind, "null"], **others}
    return node


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    options = node.get("anyOf")
    if not isinstance(options, list) or {"type": "null"} not in options:
        return node
    rest = [option for option in options if option != {"type": "null"}]
    others = {key: value for key, value in node.items() if key != "anyOf"}
    return {**rest[0], **others} if len(rest) == 1 else {"anyOf": rest, **others}
