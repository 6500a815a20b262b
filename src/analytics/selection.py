"""Which of a key's projects a question is about: one definition of the selectors, mixed into any question."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

MAX_SELECTED: Final = 100


def _given(value: Any) -> Any:
    """A selector that is there has to choose: null would otherwise read as "left out", as every project."""
    if value is None:
        raise PydanticCustomError("selector", "must name a project; leave it out to ask about all of them")
    return value


def _shortest(schema: dict[str, Any]) -> None:
    """Of the selectors, which every tool takes, the one that rows carry is listed; the others are accepted."""
    for unlisted in ("project_slug", "project_ids"):
        del schema["properties"][unlisted]
    del schema["additionalProperties"]


ProjectName = Annotated[str, Field(min_length=1, max_length=256)]


class ProjectSelection(BaseModel):
    """The selectors of `/mcp/account`; without any, a question is about every project the key sees.

    Source: contract.md §3, /mcp/account.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, json_schema_extra=lambda schema: _shortest(schema)
    )

    project_id: Annotated[ProjectName | None, BeforeValidator(_given)] = None
    project_slug: Annotated[ProjectName | None, BeforeValidator(_given)] = None
    project_ids: Annotated[list[ProjectName] | None, BeforeValidator(_given)] = Field(
        default=None, min_length=1, max_length=MAX_SELECTED
    )


Question = TypeVar("Question", bound=BaseModel)


def of_projects(question: type[Question]) -> type[Question]:
    """The same question with the selectors; what it makes is a `ProjectSelection` too."""
    made = create_model(f"{question.__name__}OfProjects", __base__=(ProjectSelection, question))
    return cast(type[Question], made)
