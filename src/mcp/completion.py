"""Completions: values a client may suggest while its user fills in a prompt or the URI of a template."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from analytics.filters import Dimension
from mcp.tool import Context

#: The most values one answer may hold. Source: specification 2025-11-25, CompleteResult.
MAX_VALUES: Final = 100

#: Values that begin with a text, one more than MAX_VALUES at most, so that it shows when there are more.
Completer = Callable[[str, Context], Awaitable[Sequence[str]]]


def known(kind: Dimension) -> Completer:
    """Completes with what events of the scope's projects carry, from an indexed list."""

    async def complete(prefix: str, context: Context) -> Sequence[str]:
        return await context.events.values(context.scope, kind, prefix, MAX_VALUES + 1)

    return complete


def one_of(values: Sequence[str]) -> Completer:
    """Completes from a fixed list."""

    async def complete(prefix: str, _context: Context) -> Sequence[str]:
        return [value for value in values if value.startswith(prefix)]

    return complete


async def project_slugs(prefix: str, context: Context) -> Sequence[str]:
    """Completes with the slugs of the projects the key sees."""
    return sorted(one.slug for one in context.principal.projects if one.slug.startswith(prefix))[
        : MAX_VALUES + 1
    ]
