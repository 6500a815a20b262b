"""Which projects a call on `/mcp/account` touches: selectors resolve inside what the key sees, nowhere else.

A project of somebody else and one that does not exist get the same answer, from the same lines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from analytics.problems import InvalidArgumentsError
from analytics.scope import Project
from analytics.selection import ProjectSelection, of_projects
from analytics.store import ScopeWithdrawnError
from mcp.protocol import NO_PROJECTS, UNKNOWN_PROJECT, RpcError
from mcp.rows import Rows
from mcp.tool import Context, Result, Tool

Read = TypeVar("Read")

EVERY_PROJECT: Final = ProjectSelection()


def over_projects(tool: Tool[Any]) -> Tool[Any]:
    """A tool of `/mcp` as `/mcp/account` serves it: with selectors."""

    async def run(asked: Any, context: Context) -> Result:
        return await within(context, asked, lambda chosen: tool.run(asked, chosen))

    return replace(
        tool,
        input=of_projects(tool.input),
        output=replace(tool.output, across_projects=True) if isinstance(tool.output, Rows) else tool.output,
        requires="account_read",
        run=run,
    )


async def within(
    context: Context, selection: ProjectSelection, read: Callable[[Context], Awaitable[Read]]
) -> Read:
    """What `read` gives for the chosen projects.

    Errors: RpcError -32004 for a project the key does not see, or no longer, -32005 when it sees none;
    InvalidArgumentsError for selectors that disagree.
    """
    scope = context.principal.scope(chosen(selection, context.principal.projects))
    try:
        return await read(replace(context, scope=scope))
    except ScopeWithdrawnError as error:
        if not error.project_gone:
            raise
        raise _unknown(selection) from error


def chosen(selection: ProjectSelection, visible: tuple[Project, ...]) -> tuple[Project, ...]:
    """The visible projects the selectors name, each once, in the key's order; without selectors all."""
    if not visible:
        raise RpcError(NO_PROJECTS, "no_projects_visible")
    named = _named(selection, visible)
    if not named:
        return visible
    (field, projects), *others = named.items()
    for other, also in others:
        if also != projects:
            raise InvalidArgumentsError([_disagreement(field, other), _disagreement(other, field)])
    return tuple(project for project in visible if project in projects)


def _named(selection: ProjectSelection, visible: tuple[Project, ...]) -> dict[str, set[Project]]:
    """The projects each given selector names; every one of them is looked up, whatever the others say."""
    by_id = {project.id: project for project in visible}
    by_slug = {project.slug: project for project in visible}
    named: dict[str, set[Project]] = {}
    if selection.project_id is not None:
        named["project_id"] = {_found(by_id.get(selection.project_id))}
    if selection.project_ids is not None:
        named["project_ids"] = {_found(by_id.get(one)) for one in selection.project_ids}
    if selection.project_slug is not None:
        found = by_slug.get(selection.project_slug)
        if found is None:
            raise RpcError(UNKNOWN_PROJECT, "unknown_project_slug")
        named["project_slug"] = {found}
    return named


def _found(project: Project | None) -> Project:
    if project is None:
        raise RpcError(UNKNOWN_PROJECT, "unknown_project_id")
    return project


def _unknown(selection: ProjectSelection) -> RpcError:
    """The answer a selection would have got, had the key's record already lost the project."""
    by_slug_only = selection.project_slug and not (selection.project_id or selection.project_ids)
    return RpcError(UNKNOWN_PROJECT, "unknown_project_slug" if by_slug_only else "unknown_project_id")


def _disagreement(field: str, other: str) -> dict[str, Any]:
    return {"field": field, "reason": f"names another project than `{other}`; give one of the two"}
