"""list_projects: which projects the key sees."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from analytics.scope import Project
from mcp.projects import EVERY_PROJECT, chosen
from mcp.rows import TEXT, YES_OR_NO, Rows
from mcp.size import fitting
from mcp.tool import Context, Reading, Tool


class ProjectsQuestion(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def described(projects: tuple[Project, ...]) -> list[dict[str, str]]:
    """Projects as callers see them."""
    return [{"project_id": one.id, "slug": one.slug, "name": one.name} for one in projects]


async def _run(_question: ProjectsQuestion, context: Context) -> Reading:
    rows = described(chosen(EVERY_PROJECT, context.principal.projects))
    shown = rows[: fitting(rows)]
    return Reading(shown, {"rows": shown, "truncated": len(shown) < len(rows)})


LIST_PROJECTS = Tool(
    name="list_projects",
    title="List projects",
    description=(
        "Every project of the account. Other tools cover all, rows then carrying project_id, unless project_id "
        "(or project_ids, project_slug) chooses. Example: {}."
    ),
    input=ProjectsQuestion,
    output={
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": Rows({"project_id": TEXT, "slug": TEXT, "name": TEXT}).row()},
            "truncated": YES_OR_NO,
        },
        "required": ["rows", "truncated"],
        "additionalProperties": False,
    },
    requires="account_read",
    run=_run,
)
