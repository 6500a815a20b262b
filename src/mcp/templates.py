"""Resource templates: a URI with places to fill in, and the resource each filled-in URI names."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from pydantic import ValidationError

from analytics.questions import EventsQuestion
from analytics.store import Answer
from analytics.window import MS_PER_DAY, format_instant
from mcp.completion import Completer, known
from mcp.projects import EVERY_PROJECT, within
from mcp.resources import Resource
from mcp.tool import UNTRUSTED, Context

LISTED_EVENTS: Final = 100
LISTED_DAYS: Final = 90
MAX_VALUE: Final = 256
_PLACE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One template; `read` takes its values, `completers` suggest them. Source: RFC 6570, level 1."""

    uri_template: str
    name: str
    title: str
    description: str
    read: Callable[[Mapping[str, str], Context], Awaitable[Answer]]
    completers: Mapping[str, Completer] = field(default_factory=dict)

    def listing(self) -> dict[str, Any]:
        return {
            "uriTemplate": self.uri_template,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "mimeType": "application/json",
        }

    def resource(self, uri: str) -> Resource | None:
        """The resource a URI names, if it is of this template."""
        match = re.fullmatch(_pattern(self.uri_template), uri)
        if match is None:
            return None
        values = {name: unquote(value) for name, value in match.groupdict().items()}
        if any("\0" in value or len(value) > MAX_VALUE for value in values.values()):
            return None
        return Resource(uri, self.name, self.title, self.description, partial(self.read, values))


def _pattern(template: str) -> str:
    """A place holds anything but what ends it; the rest of a URI is taken literally."""
    parts = _PLACE.split(template)
    return "".join(
        f"(?P<{part}>[^/?#]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )


async def _of_name(values: Mapping[str, str], context: Context) -> Answer:
    return await _events(context, event=values["event_name"])


async def _of_user(values: Mapping[str, str], context: Context) -> Answer:
    newest_first = await _events(context, user_id=values["user_id"])
    return replace(newest_first, rows=newest_first.rows[::-1])


async def _events(context: Context, **filters: str) -> Answer:
    """The newest events of the last days that match; none when there can be no such event."""
    window = {
        "from": format_instant(context.now_ms - LISTED_DAYS * MS_PER_DAY),
        "to": format_instant(context.now_ms + 1),
    }
    try:
        question = EventsQuestion.model_validate({**window, **filters, "limit": LISTED_EVENTS})
    except ValidationError:
        return Answer([])
    return await context.events.events(context.scope, question)


PROJECT_TEMPLATES: Final = (
    Template(
        uri_template="events://{event_name}",
        name="events-of-a-name",
        title="Events of one name",
        description=(
            f"The last {LISTED_EVENTS} events of this name in {LISTED_DAYS} days, newest first, in the "
            f"columns of query_events. An event named recent is events://%72ecent.{UNTRUSTED}"
        ),
        read=_of_name,
        completers={"event_name": known("event_name")},
    ),
    Template(
        uri_template="users://{user_id}/journey",
        name="journey-of-a-user",
        title="Journey of a user",
        description=(
            f"What one signed-in person did, oldest first: the last {LISTED_EVENTS} events of {LISTED_DAYS} "
            "days, in the "
            f"columns of query_events.{UNTRUSTED}"
        ),
        read=_of_user,
    ),
)


def _over_projects(template: Template) -> Template:
    """A template of `/mcp` as `/mcp/account` gives it: over every project of the account."""

    async def read(values: Mapping[str, str], context: Context) -> Answer:
        return await within(context, EVERY_PROJECT, lambda chosen: template.read(values, chosen))

    return replace(template, read=read)


ACCOUNT_TEMPLATES: Final = tuple(_over_projects(template) for template in PROJECT_TEMPLATES)
