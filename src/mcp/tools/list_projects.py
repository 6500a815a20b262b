"""list_projects: which projects the key sees."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from analytics.scope import Project
from mcp.projects import EVERY_PROJECT, chosen
from mcp.tool import Context, Output, Reading, Tool


class ProjectsQuestion(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ListedProject(Output):
    project_id: str
    slug: str
    name: str


class ProjectsOutput(Output):
    rows: list[ListedProject]


def described(projects: tuple[Project, ...]) -> list[dict[str, str]]:
    """Projects as callers see them."""
    return [{"project_id": one.id, "slug": one.slug, "name": one.name} for one in projects]


async def _run(_question: ProjectsQuestion, context: Context) -> Reading:
    rows = described(chosen(EVERY_PROJECT, context.principal.projects))
    return Reading(rows, {"rows": rows})


LIST_PROJECTS = Tool(
    name="list_projects",
    title="List projects",
    description=(
        "Every project of the account: its project_id and slug, which other tools take as selectors, and its "
        "name. Takes no arguments: {}."
    ),
    input=ProjectsQuestion,
    output=ProjectsOutput,
    requires="account_read",
    run=_run,
)
