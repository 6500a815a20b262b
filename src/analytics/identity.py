"""Who counts as one: a device, or the person who was seen on it. Source: metrics.md, Identity option."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

Identity = Literal["visitor", "stitched"]

STITCHED: Final = (
    " identity stitched: for visitor read person. An event is of its own user_id, else of that of its device's latest "
    "$identify, else of the device; sessions and steps go on from one device of a person to the next."
)


def _brief(schema: dict[str, Any]) -> None:
    """The values say it; a list of tools has to stay short."""
    del schema["default"]


class PeopleQuestion(BaseModel):
    """A question that can be asked of people instead of devices."""

    identity: Annotated[Identity, Field(json_schema_extra=_brief)] = "visitor"


def defined(definition: str, identity: Identity) -> str:
    """A definition of what was counted, completed by who was."""
    return definition + STITCHED if identity == "stitched" else definition
