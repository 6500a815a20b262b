"""A Worker of tests only: the conformance suite's own tools, prompts and resources through the house's protocol core.

Served with `dev/run.mjs serve --source`, from a folder that holds this file and the shipped sources, whose own entry is
named `shipped.py` there. Nothing in `src` knows of it, so no deployment can reach it.
"""

from __future__ import annotations

import time
from typing import Any

import shipped
from fixture_prompts import PROMPTS
from fixture_resources import RESOURCES, TEMPLATES
from fixture_server import FixtureServer
from fixture_tools import TOOLS
from workers import WorkerEntrypoint

from access.gate import Principal
from access.plans import PLANS
from access.rate_limits import Buckets, RateLimits
from analytics.scope import Project
from web.app import App
from web.house import House
from web.mcp_endpoint import ENDPOINTS, Endpoint

ENDPOINTS["/mcp"] = Endpoint(
    server=FixtureServer(TOOLS, RESOURCES, prompts=PROMPTS, templates=TEMPLATES),
    kinds=("rk",),
    wrong_kind="key_kind_not_allowed",
    included=lambda plan: plan.project_mcp,
    least_plan="pro",
)


class OpenGate:
    """Lets everybody in as the reader of one project that has no events and no database."""

    async def admit(self, _authorization: str | None, _now_ms: int) -> Principal:
        project = Project(1, "prj_fixture", "fixture", "Fixture")
        return Principal(
            "key_fixture", "rk", "00000000", "acc_fixture", PLANS["pro"], (project,), frozenset()
        )


class Default(WorkerEntrypoint):
    async def fetch(self, request: Any) -> Any:
        house = House(
            events=None,
            pages=None,
            exports=None,
            erasures=None,
            gate=OpenGate(),
            ip_hash_salt="",
            now_ms=lambda: int(time.time() * 1000),
            log=lambda event, error: print(event, repr(error)),
            limits=RateLimits(Buckets(), rates={}),
        )
        return shipped.worker_response(await App(house).handle(shipped.request_of(request)))
