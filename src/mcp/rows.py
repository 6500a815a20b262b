"""What answers hold, as JSON Schema: a tool declares the columns of its rows, the rest of an answer is the same for all.

A list of tools has to stay short, so columns of one type share one line: `patternProperties` names them, `minProperties`
says that all of them are there. Nothing is lost by it, and no `$ref` is needed, which some clients do not follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from mcp.schema import plain_schema

Schema = dict[str, Any]
Columns = Mapping[str, Schema]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
YES_OR_NO: Final[Schema] = {"type": "boolean"}
LIST: Final[Schema] = {"type": "array"}
#: The values of a property; objects and arrays are shown as their JSON text.
SCALAR: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer of a tool: rows and what stands beside them.

    Shape: every row has all of `columns` and, where the question asks for them, `sometimes`; `named` is the type of columns
    that the question itself names. `beside` are members of the answer that are neither text nor the common envelope.
    """

    columns: Columns
    sometimes: Columns = field(default_factory=dict)
    named: Schema | None = None
    beside: Columns = field(default_factory=dict)
    across_projects: bool = False

    def row(self) -> Schema:
        """One row. On the account it carries `project_id`, where the question spans projects."""
        project = {"project_id": TEXT} if self.across_projects else {}
        return {
            "type": "object",
            **_members({**project, **self.columns, **self.sometimes}),
            "minProperties": len(self.columns),
            "additionalProperties": False if self.named is None else self.named,
        }

    def answer(self) -> Schema:
        """The whole of `structuredContent`."""
        members = {"rows": {"type": "array", "items": self.row()}, **self.beside}
        return {"type": "object", "properties": members, "required": ["rows"]}


def each(*names: str) -> Schema:
    """A list inside a row, whose items have at least these members."""
    return {"type": "array", "items": {"type": "object", "required": list(names)}}


def rows_of(model: type[BaseModel], **beside: Schema) -> Rows:
    """The rows a model describes; what is not required there is there only sometimes."""
    schema = plain_schema(model, mode="serialization")
    columns = {name: {"type": one["type"]} for name, one in schema["properties"].items()}
    required = {name: columns[name] for name in schema["required"]}
    sometimes = {name: one for name, one in columns.items() if name not in required}
    return Rows(required, sometimes, beside=beside)


def _members(columns: Columns) -> Schema:
    """Columns as `properties`, or as one pattern for all of a type."""
    of_type: dict[str, list[str]] = {}
    for name, schema in columns.items():
        of_type.setdefault(json.dumps(schema), []).append(name)
    alone = {names[0]: columns[names[0]] for names in of_type.values() if len(names) == 1}
    shared = {f"^({'|'.join(names)})$": columns[names[0]] for names in of_type.values() if len(names) > 1}
    return ({"properties": alone} if alone else {}) | ({"patternProperties": shared} if shared else {})
