"""An account as the slow computation sees it: the events each project still has, and what every tool must say of them.

What was sent again, forgotten or outlived its retention is left out here the obvious way; counting is left to others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analytics.window import format_instant
from tests import reference, reference_more, reference_moved
from tests.ledger import Ledger, listed
from tests.reference import Row
from tests.test_identity import people

DAY_MS: Final = 86_400_000
Rows = list[dict[str, Any]]


class Project(Ledger):
    """The events of one project. `seen` is who was seen on which device: (user_id, anonymous_id)."""

    def __init__(self, service: Any, project: Mapping[str, str]) -> None:
        super().__init__(service, project)
        self.seen: set[tuple[str, str]] = set()
        self.names: set[str] = set()  # of every event that was ever stored
        self.first_ms = 0

    @property
    def id(self) -> str:
        return self.project["id"]

    @property
    def latest_ms(self) -> int:
        return max((row.ts_ms for row in self.rows), default=0)

    def note(self, rows: Iterable[Row]) -> None:
        """What was stored of some events: each once, and none of before the retention."""
        known = {row.event_id for row in self.rows}
        for row in rows:
            if row.event_id not in known and row.ts_ms >= self.first_ms:
                known.add(row.event_id)
                self.rows.append(row)
                self.names.add(row.event_name)
                if row.user_id is not None:
                    self.seen.add((row.user_id, row.anonymous_id))

    def of(self, user_id: str, include_anonymous: bool) -> list[Row]:
        """What forgetting a person takes."""
        devices = self.devices(user_id)
        return [
            row
            for row in self.rows
            if row.user_id == user_id
            or (include_anonymous and row.user_id is None and row.anonymous_id in devices)
        ]

    def devices(self, user_id: str) -> set[str]:
        return {device for user, device in self.seen if user == user_id}

    def forget(self, user_id: str, include_anonymous: bool) -> int:
        """Takes a person out; how many events that were."""
        gone = {row.event_id for row in self.of(user_id, include_anonymous)}
        self.rows = [row for row in self.rows if row.event_id not in gone]
        self.seen = {pair for pair in self.seen if pair[0] != user_id}
        return len(gone)

    def keep_from(self, first_ms: int) -> None:
        """Drops what is older. Who was seen on a device is known for as long as there is an event of the device."""
        self.first_ms = max(self.first_ms, first_ms)
        self.rows = [row for row in self.rows if row.ts_ms >= self.first_ms]
        left = {row.anonymous_id for row in self.rows}
        self.seen = {pair for pair in self.seen if pair[1] in left}


@dataclass(frozen=True)
class Asked:
    """A question: of which of the account's projects, over which window, at what time, and with what options."""

    of: Sequence[Project]
    every: Sequence[Project]
    start_ms: int
    end_ms: int
    now_ms: int
    options: Mapping[str, Any]
    stitched: bool = False

    @property
    def several(self) -> bool:
        return len(self.of) > 1

    def rows(self, project: Project) -> list[Row]:
        return people(project.rows) if self.stitched else project.rows

    def labelled(self, project: Project, rows: Iterable[dict[str, Any]]) -> Rows:
        return [{"project_id": project.id, **row} if self.several else row for row in rows]

    def given(self, *but: str) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name not in but}


def each(
    compute: Callable[..., Rows], known: Callable[[Asked, Project], dict[str, Any]] = lambda *_: {}
) -> Callable[[Asked], Rows]:
    """The tools that answer project by project."""

    def answer(asked: Asked) -> Rows:
        ends = {"from_ms": asked.start_ms, "to_ms": asked.end_ms}
        return [
            row
            for project in asked.of
            for row in asked.labelled(
                project, compute(asked.rows(project), **ends, **asked.options, **known(asked, project))
            )
        ]

    return answer


def stats(asked: Asked) -> Rows:
    groups = list(asked.options.get("group_by", ()))
    by_project = asked.several or "project_id" in groups
    groups = [name for name in groups if name != "project_id"]
    options = {"from_ms": asked.start_ms, "to_ms": asked.end_ms, **asked.given("group_by", "limit")}
    if not by_project:
        limit = asked.options.get("limit", 100)
        return reference.stats(asked.of[0].rows, **options, group_by=groups, limit=limit)
    found: Rows = []
    for project in asked.of:
        here = reference.stats(project.rows, **options, group_by=groups, limit=1_000_000)
        found += [{"project_id": project.id, **row} for row in here if row["value"]]
    found.sort(
        key=lambda row: (
            row.get("bucket", ""), -row["value"], row["project_id"], *((row[g] is not None, row[g] or "") for g in groups),
        )
    )  # fmt: skip
    return found[: asked.options.get("limit", 100)]


def sources(asked: Asked) -> Rows:
    limit = asked.options.get("limit", 50)
    ends = {"from_ms": asked.start_ms, "to_ms": asked.end_ms, **asked.given("limit")}
    found = [
        row
        for project in asked.of
        for row in asked.labelled(project, reference.sources(project.rows, **ends, limit=1_000_000))
    ]
    found.sort(
        key=lambda row: (-row["events"], row.get("project_id", ""), row["source"], row.get("medium", ""))
    )
    return found[:limit]


def events(asked: Asked) -> Rows:
    limit, pages = asked.options.get("limit", 100), asked.options.get("pages", 1)
    placed = [
        (row, place)
        for place, project in enumerate(asked.of)
        for row in reference.query(
            project.rows, from_ms=asked.start_ms, to_ms=asked.end_ms, limit=limit * pages,
            filters=asked.given("limit", "pages"),
        )
    ]  # fmt: skip
    placed.sort(key=lambda one: (-one[0].ts_ms, one[1], -one[0].tie))
    return [
        row
        for one, place in placed[: limit * pages]
        for row in asked.labelled(asked.of[place], [listed(one)])
    ]


def funnel(asked: Asked) -> Rows:
    options = asked.given("steps", "conversion_window_days")
    if "conversion_window_days" in asked.options:
        options["window_days"] = asked.options["conversion_window_days"]
    ends = {"from_ms": asked.start_ms, "to_ms": asked.end_ms}
    return [
        row
        for project in asked.of
        for row in asked.labelled(
            project, reference.funnel(asked.rows(project), asked.options["steps"], **ends, **options)
        )
    ]


def health(asked: Asked) -> Rows:
    names = ("stage", "metric", "currency", "value", "previous", "change")
    ends = {"from_ms": asked.start_ms, "to_ms": asked.end_ms}
    return [
        row
        for project in asked.of
        for row in asked.labelled(
            project,
            (
                dict(zip(names, one, strict=True))
                for one in reference_moved.health(project.rows, **ends, **asked.options)
            ),
        )
    ]


def sessions(asked: Asked) -> Rows:
    limit = asked.options.get("limit", 20)
    placed = [
        (row, place)
        for place, project in enumerate(asked.of)
        for row in reference_more.session_list(
            project.rows, from_ms=asked.start_ms, to_ms=asked.end_ms, limit=limit, **asked.given("limit")
        )
    ]
    placed.sort(key=lambda one: (one[0]["anonymous_id"], one[1]))
    placed.sort(key=lambda one: one[0]["started"], reverse=True)
    return [row for one, place in placed[:limit] for row in asked.labelled(asked.of[place], [one])]


def journey(asked: Asked) -> Rows:
    limit = asked.options.get("limit", 200)
    found: Rows = []
    for project in asked.of:
        # Devices stay known beyond the events that named them: as if each pair had an event outside every window.
        beside = [
            Row(project.id, f"seen {pair}", "seen", -1, pair[1], user_id=pair[0]) for pair in project.seen
        ]
        here = reference_more.user_journey(
            [*project.rows, *beside], from_ms=asked.start_ms, to_ms=asked.end_ms, **asked.options
        )
        found += asked.labelled(project, here)
    return found[:limit]


def realtime(asked: Asked) -> Rows:
    return [
        row
        for project in asked.of
        for row in asked.labelled(
            project, reference_more.realtime(project.rows, now_ms=asked.now_ms, **asked.options)
        )
    ]


def comparison(asked: Asked) -> Rows:
    options = {"from_ms": asked.start_ms, "to_ms": asked.end_ms, **asked.options}
    found = [
        {
            "project_id": one.id, "slug": one.project["slug"], "name": one.project["name"],
            "value": reference.stats(one.rows, **options)[0]["value"],
        }
        for one in asked.every
    ]  # fmt: skip
    return sorted(found, key=lambda row: (-row["value"], row["slug"]))


def projects(asked: Asked) -> Rows:
    return [
        {"project_id": one.id, "slug": one.project["slug"], "name": one.project["name"]}
        for one in asked.every
    ]


def erasure(asked: Asked) -> Rows:
    """What `forget_user` says it would erase, as its one row."""
    (project,) = asked.of
    going = project.of(asked.options["user_id"], asked.options["include_anonymous"])
    devices = project.devices(asked.options["user_id"])
    instants = [row.ts_ms for row in going]
    return [
        {
            "status": "prepared",
            "events": len(going),
            "visitor_days": len({(row.anonymous_id, row.ts_ms // DAY_MS) for row in going}),
            "devices": len(devices),
            "anonymous_events": sum(row.user_id is None and row.anonymous_id in devices for row in project.rows),
            "from": format_instant(min(instants)) if instants else None,
            "to": format_instant(max(instants)) if instants else None,
        }
    ]  # fmt: skip


#: What every tool that reads events must answer.
ANSWERS: Final[Mapping[str, Callable[[Asked], Rows]]] = {
    "get_stats": stats,
    "top_sources": sources,
    "query_events": events,
    "funnel": funnel,
    "health": health,
    "sessions": sessions,
    "user_journey": journey,
    "realtime": realtime,
    "compare_projects": comparison,
    "list_projects": projects,
    "forget_user": erasure,
    "scan": each(
        reference_moved.scan, lambda asked, one: {"now_ms": asked.now_ms, "project": one.project["slug"]}
    ),
    "retention": each(reference_more.retention, lambda asked, _: {"now_ms": asked.now_ms}),
    "diagnose": each(reference_moved.diagnose),
    **{
        tool: each(getattr(reference_more, tool))
        for tool in (
            "overview", "breakdown", "timeseries", "lifecycle", "revenue", "attribution", "channel_roi", "paths",
            "compare_segments", "describe_schema",
        )
    },
}  # fmt: skip


#: The arguments that name an event, and what they name unless they are given.
_NAMING: Final[Mapping[str, Mapping[str, str]]] = {
    **{tool: {"event": "purchase"} for tool in ("revenue", "attribution", "channel_roi")},
    "health": {"activation_event": "", "purchase_event": "purchase", "referral_event": ""},
    "retention": {"born_event": "", "return_event": ""},
    **{tool: {"goal": ""} for tool in ("overview", "compare_segments")},
    **{tool: {"event": ""} for tool in ("get_stats", "query_events", "describe_schema")},
}


def names_asked(tool: str, options: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """The events a question names, and those of them of which an answer cannot but show nothing if there are none."""
    naming = dict(_NAMING.get(tool, {}))
    if options.get("metric") == "conversion_rate":
        naming["goal"] = ""
    steps = [step if isinstance(step, dict) else {"event": step} for step in options.get("steps", ())]
    sure = {options.get(name, default) for name, default in naming.items()} | {
        step["event"] for step in steps
    }
    conditions = [
        one
        for among in (options, *steps)
        for name in ("filters", "a", "b")
        for one in among.get(name, ())
        if one["field"] == "event_name" and one.get("op", "eq") in ("eq", "in")
    ]
    sure |= {one["value"] for one in conditions if one.get("op", "eq") == "eq"}
    maybe = {value for one in conditions if one.get("op") == "in" for value in one["value"]}
    names = {name for name in sure | maybe | {options.get("goal")} if name and isinstance(name, str)}
    return names, sure & names


def wrong_about_names(tool: str, asked: Asked, told: Sequence[Mapping[str, str]]) -> Iterable[str]:
    """What is wrong with the `unknown_events` of an answer."""
    named, sure = names_asked(tool, asked.options)
    names = {one["event"] for one in told}
    there = {row.event_name for project in asked.of for row in project.rows}
    ever = {name for project in asked.of for name in project.names}
    if names - named:
        yield f"unknown_events has {names - named}, which the question does not name"
    if names & there:
        yield f"unknown_events has {names & there}, which are there"
    if sure - ever - names:
        yield f"unknown_events lacks {sure - ever - names}"
    if meant := {one["did_you_mean"] for one in told if "did_you_mean" in one} - ever:
        yield f"unknown_events suggests {meant}, which nobody sent to these projects"


def differences(found: Any, true: Any, about: float, at: str = "") -> Iterable[str]:
    """Where an answer is unlike the model's: `at` a place in it; numbers with a fraction may be off by a share `about`."""
    if isinstance(true, dict) and isinstance(found, dict):
        for name in [*true, *(found.keys() - true.keys())]:
            if name not in found or name not in true:
                yield f"{at}.{name} is {'missing' if name in true else 'too much'}"
            else:
                yield from differences(found[name], true[name], about, f"{at}.{name}")
    elif isinstance(true, list) and isinstance(found, list):
        if len(true) != len(found):
            texts = [json.dumps(one)[:2000] for one in (found, true)]
            yield f"{at} has {len(found)} entries, not {len(true)}: {texts[0]}, not {texts[1]}"
        for place, (one, other) in enumerate(zip(found, true, strict=False)):
            yield from differences(one, other, about, f"{at}[{place}]")
    elif isinstance(true, float) and isinstance(found, int | float) and not isinstance(found, bool):
        if abs(found - true) > about * max(abs(found), abs(true)):
            yield f"{at} is {found!r}, not {true!r}"
    elif found != true or isinstance(found, bool) != isinstance(true, bool):
        yield f"{at} is {found!r}, not {true!r}"
