"""Everything that can be asked, and the statements that it becomes, as they run on a store of a few hundred events.

tests/test_sql.py looks at their texts and plans, and that none is missing; tests/test_rows_read.py at what they read.
"""

from __future__ import annotations

import asyncio
import functools
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from access.plans import PLANS
from analytics.measures import Measure
from analytics.window import day_of, format_instant, parse_instant
from mcp.resources import RECENT_EVENTS
from storage.database import Parameter, Result, Statement
from storage.sqlite import Sqlite
from tests import plans, stories
from tests.house import ROOT, InProcess, Service
from tests.scale import scale

HOSTILE = "x'); DROP TABLE events; --"
WINDOW: dict[str, Any] = {"from": "2026-05-01T00:00:00.001Z", "to": "2026-05-20T11:00:00Z"}
DIMENSIONS = ["event_name", "source", "medium", "campaign", "country", "device_type", "browser", "os", "path"]
OPERATORS: list[tuple[str, Any]] = [
    ("eq", HOSTILE), ("neq", HOSTILE), ("in", [HOSTILE, 1, True]), ("not_in", [HOSTILE]), ("contains", HOSTILE),
    ("starts_with", HOSTILE), ("gt", 1.5), ("gte", 1), ("lt", HOSTILE), ("lte", HOSTILE), ("exists", True),
]  # fmt: skip
FILTERS = [
    {"field": field, "op": op, "value": value}
    for field in ("source", f"properties.{HOSTILE}")
    for op, value in OPERATORS
]
#: Whole days; within one day; longer than a roll-up tells visitors apart.
DAYS = {"from": "2026-05-01", "to": "2026-05-08"}
HOURS = {"from": "2026-05-02T01:00:00Z", "to": "2026-05-02T09:00:00Z"}
LONG = {"from": "2026-01-01T01:00:00Z", "to": "2026-05-20T11:00:00Z"}
#: Stands for the cursor behind the first page.
NEXT = "next"
STEPS = [{"event": HOSTILE + str(place), "filters": FILTERS[place : place + 1]} for place in range(20)]

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    *[("get_stats", {"metric": metric, "event": event, "interval": interval, "group_by": columns})
      for metric in ("count", "uniques") for event in (None, HOSTILE) for interval in (None, "hour", "day", "week", "month")
      for columns in ([], ["source", "medium"], ["path"], ["browser", "os", "campaign"])],
    *[("get_stats", {"group_by": [column], "metric": "uniques"}) for column in DIMENSIONS],
    *[("top_sources", {"breakdown": breakdown}) for breakdown in ("source_medium", "source")],
    ("query_events", {}),
    ("query_events", {"country": "x';--"}
     | dict.fromkeys(("event", "source", "medium", "user_id", "anonymous_id"), HOSTILE)),
    *[("funnel", {"steps": steps, "breakdown": breakdown, **mode})
      for steps in (["a", "b"], STEPS) for breakdown in (None, *DIMENSIONS)
      for mode in ({}, {"entry": "first"}, {"order": "any"})],
    *[("overview", {"filters": FILTERS[:5], "goal": goal, "interval": interval, "timezone": "Europe/Berlin"})
      for goal in (None, HOSTILE) for interval in (None, "day", "month")],
    *[(tool, {"by": by, "metric": metric, "filters": filters})
      for tool in ("breakdown", "timeseries") for by in ("path", "referrer_host", "entry_page", f"properties.{HOSTILE}")
      for metric in ("visitors", "bounce_rate") for filters in ([], FILTERS[5:10])],
    *[("retention", {"born_event": HOSTILE, "return_event": event, "calendar": calendar, "mode": mode})
      for event in (HOSTILE, None) for calendar in (False, True) for mode in ("on", "on_or_after")],
    *[(tool, {"filters": FILTERS[:5]}) for tool in ("sessions", "paths")],
    *[("describe_schema", {"event": event}) for event in (None, HOSTILE)],
    ("user_journey", {"user_id": HOSTILE}),
    *[(tool, {"identity": "stitched", **options}) for tool, options in (
        ("overview", {"interval": "day", "goal": HOSTILE}), ("breakdown", {"by": "entry_page", "metric": "pageviews"}),
        ("timeseries", {"metric": "pageviews"}), ("retention", {"born_event": HOSTILE, "return_event": HOSTILE}),
        ("lifecycle", {}), ("lifecycle", {"view": "stickiness"}), ("funnel", {"steps": ["a", "b"]}),
        ("funnel", {"steps": ["a", "b"], "breakdown": "source"}))],
    ("user_journey", {"anonymous_id": HOSTILE}),
    *[("forget_user", {"user_id": HOSTILE, "include_anonymous": include}) for include in (True, False)],
    ("compare_segments", {"goal": HOSTILE, "a": FILTERS[:5], "b": FILTERS[5:10]}),
    *[("lifecycle", {"unit": unit, "view": view}) for unit in ("day", "month") for view in ("lifecycle", "stickiness")],
    *[("revenue", {"amount": HOSTILE, "filters": FILTERS[:5], "interval": interval}) for interval in (None, "week")],
    *[("attribution", {"by": by, "filters": FILTERS[:5]}) for by in DIMENSIONS],
    *[("scan", {"timezone": timezone}) for timezone in ("UTC", "Europe/Berlin")],
    *[("diagnose", {"metric": metric, "goal": HOSTILE, "filters": filters, "by": by})
      for metric in ("events", "visitors", "conversion_rate") for by in (["path"], ["source", "country"], None)
      for filters in ([], FILTERS[:5], [{"field": "event_name", "value": HOSTILE}])],
    *[("health", {"activation_event": event, "purchase_event": HOSTILE, "referral_event": event, "amount": HOSTILE})
      for event in (HOSTILE, None)],
    *[("channel_roi", {"by": by, "amount": HOSTILE}) for by in ("source", "campaign")],
    ("channel_roi", {"spend": [{"value": HOSTILE, "currency": "EUR", "amount": 1}], "filters": FILTERS[:5]}),
    ("revenue", {"top_customers": 0}),
    *[(tool, {}) for tool in ("sessions", "paths", "overview", "timeseries", "realtime")],
    ("query_events", {"limit": 1, "cursor": NEXT, "to": "2026-05-21"}),
    *[("breakdown", {"by": "path", "metric": metric, "goal": HOSTILE, "limit": 3}) for metric in get_args(Measure)],
    *[("timeseries", {"interval": "hour", "timezone": timezone}) for timezone in ("UTC", "Europe/Berlin")],
    ("timeseries", {**LONG, "timezone": "Europe/Berlin", "interval": "month", "by": "source"}),
    *[("get_stats", {"sample": True, "metric": metric, "group_by": columns, "interval": interval, "event": event})
      for metric in ("count", "uniques") for columns in ([], ["path", "source"]) for interval in (None, "hour")
      for event in (None, HOSTILE)],
    # What the roll-ups keep, and what they do not, over windows that they answer alone, with edges, and not at all.
    *[(tool, {"by": by, "metric": metric, "filters": filters, **window})
      for tool in ("breakdown", "timeseries") for by in DIMENSIONS for metric in ("visitors", "events")
      for filters in ([], [{"field": "event_name", "op": "eq", "value": HOSTILE}]) for window in ({}, DAYS)],
    *[(tool, {**options, **window}) for window in (DAYS, HOURS, LONG) for tool, options in (
        ("get_stats", {}), ("get_stats", {"metric": "uniques"}), ("get_stats", {"metric": "uniques", "event": HOSTILE}),
        ("get_stats", {"metric": "uniques", "group_by": ["source"]}), ("get_stats", {"group_by": ["path"]}),
        ("get_stats", {"metric": "uniques", "group_by": ["source", "os"]}), ("top_sources", {}),
        ("top_sources", {"breakdown": "source"}), ("timeseries", {"interval": "week"}), ("overview", {}),
        ("diagnose", {}), ("health", {}), ("scan", {}), ("compare_projects", {}),
        ("compare_projects", {"metric": "uniques"}))
      if window is not LONG or tool not in ("scan", "diagnose", "health", "overview")],  # these look further back
]  # fmt: skip

#: Values of arguments for which `tools/list` names none, nor a question above.
SAMPLES: Final[Mapping[str, Any]] = {
    "event": HOSTILE, "goal": HOSTILE, "timezone": "Europe/Berlin", "filters": FILTERS[:1], "project_slug": "other",
    "limit": 3, "minutes": 60, "splits": 2, "periods": 3, "days_back": 40, "minimum": 2, "lookback_days": 8,
    "conversion_window_days": 2,
}  # fmt: skip
#: Another page is the same question once more, except that of `query_events`.
PAGING: Final = {"cursor"}
#: Tools that write, of which no more is asked than above: `forget_user` reads first.
WRITING: Final = {"track_event", "forget_user"}

#: How often each tool is asked something that tests/stories.py draws, besides.
DRAWN: Final = scale(6, 100)
#: The tool whose questions each route of REST that reads takes.
REST: Final = {"/v1/query": "query_events", "/v1/stats": "get_stats", "/v1/sources": "top_sources"}


def drawn(count: int) -> list[stories.Ask]:
    """So many questions to each tool, the same ones each time."""
    found: list[stories.Ask] = []

    @seed(1)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.tuples(*stories.QUESTIONS))
    def draw(asks: tuple[stories.Ask, ...]) -> None:
        found.extend(asks)

    draw()
    return found


# --- the store --------------------------------------------------------------------------------------------------------

START, END = parse_instant(WINDOW["from"]), parse_instant(WINDOW["to"])
#: Long after every window: what is about now, or about the weeks after a window, lies apart from what was.
NOW: Final = "2027-12-20T12:00:00Z"
NOW_MS: Final = parse_instant(NOW)
NAMES: Final = ["a", "b", HOSTILE, *(HOSTILE + str(place) for place in range(4)), *stories.NAMES]
#: Events in the window: of the project that is asked about, and of the account's other one.
EVENTS: Final = 200
OF_THE_OTHER: Final = 40

Options = dict[str, Any]


def events(count: int, start_ms: int, end_ms: int, label: str) -> list[Options]:
    """Events of up to forty visitors, the same ones each time. The people that questions name are among those of `mine`."""
    chance, known = random.Random(label), {0: HOSTILE, 1: "u1"} if label == "mine" else {}
    return [
        {
            "event": chance.choice(NAMES),
            "event_id": f"{label} {number}",
            "anonymous_id": chance.choice(["ann", *(f"v{visitor}" for visitor in range(39))]),
            "user_id": known.get(number % 9, f"{label}u{number % 5}"),
            "timestamp": format_instant(chance.randrange(start_ms, end_ms)),
            "url": f"https://site.example/{chance.randrange(5)}?utm_source={chance.choice(['news', 's1', 's2'])}"
            f"&utm_medium=cpc&utm_campaign=c{chance.randrange(3)}",
            "properties": {HOSTILE: number % 20, "amount_cents": 100, "currency": "EUR", "k": number % 3},
        }
        for number in range(count)
    ]


class Meter(Sqlite):
    """A database that remembers what it was asked, and by which tool: text by text with the values that were bound.

    While `taken` is there, it adds up instead the steps of SQLite's virtual machine that each text takes, in hundreds.
    """

    STEP: Final = 100

    def __init__(self) -> None:
        super().__init__(schema=(ROOT / "schema.sql").read_text())
        self.asked: defaultdict[str, set[tuple[Parameter, ...]]] = defaultdict(set)
        self.askers: defaultdict[str, set[str]] = defaultdict(set)
        self.asking = ""
        self.taken: Counter[str] | None = None

    def _run(self, statement: Statement) -> Result:
        if (taken := self.taken) is None:
            self.asked[statement.sql].add(statement.parameters)
            self.askers[statement.sql].add(self.asking)
            return super()._run(statement)
        self.connection.set_progress_handler(lambda: taken.update({statement.sql: self.STEP}), self.STEP)
        try:
            return super()._run(statement)
        finally:
            self.connection.set_progress_handler(None, 0)

    def steps_of(self, asked: Mapping[str, set[tuple[Parameter, ...]]]) -> Counter[str]:
        """The steps that each statement takes on what is stored now, with all its values together."""
        self.taken = taken = Counter[str]()
        for sql, bound in asked.items():
            for parameters in sorted(bound, key=repr):
                self._run(Statement(sql, parameters))
        self.taken = None
        return taken


class Asked:
    """An account with two projects, and a neighbour, of whom everything was asked.

    Shape: `writes` and `reads` are the statements of either kind of request: text → the values that were bound.
    """

    def __init__(self) -> None:
        self.meter = Meter()
        self.house = InProcess(db=self.meter, now=NOW)
        account = self.house.account("business", "Mine", "Other")
        self.account_key: str = account["account"]["ak"]
        self.projects: list[dict[str, str]] = account["projects"]
        self.mine = self.projects[0]
        (self.neighbour,) = self.house.account("business", "Neighbour")["projects"]
        self.tools: set[str] = set()
        self._write(self.house.account("business", "Written")["projects"][0])
        self.send(self.mine, events(EVENTS, START, END, "mine"))
        self.send(self.mine, events(RECENT_EVENTS, NOW_MS - 20 * 60_000, NOW_MS, "now"))
        self.send(self.projects[1], events(OF_THE_OTHER, START, END, "other"))
        self.writes = dict(self.meter.asked)
        self.house.kv.entries.clear()
        self.house.forget_records()
        self.meter.asked.clear()
        self._ask_everything()
        self.reads = {sql: bound for sql, bound in self.meter.asked.items() if reads(sql)}

    def send(self, project: Mapping[str, str], sent: list[Options]) -> None:
        """Stores and folds events; days that are over are added up, as the cron does it."""
        for place in range(0, len(sent), 1_000):
            self.house.track(project["sk"], *sent[place : place + 1_000])
        self.house.fold()
        asyncio.run(self._add_up())

    async def _add_up(self) -> None:
        first, today = day_of(parse_instant("2019-01-01")), day_of(NOW_MS)
        for row in self.meter.connection.execute("SELECT number FROM projects").fetchall():
            while await self.house.wiring().events.add_up_days(row["number"], first, today):
                pass

    # --- what is written ----------------------------------------------------------------------------------------------

    def _write(self, project: Mapping[str, str]) -> None:
        house, sk = self.house, project["sk"]
        named = {"event": HOSTILE, "event_id": HOSTILE}
        house.post("/v1/track", {**named, "url": "https://site.example/'"}, sk)
        timed = {**named, "timestamp": "2026-05-02", "user_id": HOSTILE}
        house.track(
            sk, timed, {"event": "e", "event_id": "1", "properties": {HOSTILE: HOSTILE}}, {"event": "e"}
        )
        house.track(sk, {"event": "e", "timestamp": "2019-12-31", "url": "https://site.example/old"})
        house.post("/v1/track", timed, sk)
        house.post("/v1/identify", {"anonymous_id": HOSTILE, "user_id": HOSTILE}, sk)
        house.post("/v1/track", {"event": "e"}, "rk_live_0011aabb_unknown")
        house.fold()
        told = house.post("/v1/forget", {"user_id": HOSTILE, "include_anonymous": True}, sk)
        assert told.json["deleted"] == 2, told.text
        asyncio.run(self._add_up())
        asyncio.run(self._purge())

    async def _purge(self) -> None:
        """What is older than every window goes, as the cron does it."""
        first, days = day_of(parse_instant("2020-01-01")), PLANS["business"].retention_days
        store = self.house.wiring().events
        for project in await store.set_retention(first + days, {"business": days}):
            await store.purge(project, first, NOW_MS)

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _ask_everything(self) -> None:
        for path, key in (("/mcp", self.mine["sk"]), ("/mcp/account", self.account_key)):
            tools = {
                one["name"]: one["inputSchema"]["properties"]
                for one in listed(self.house, key, path, "tools")
            }
            self.tools |= tools.keys()
            for tool, options in QUESTIONS:
                if tool in tools:
                    self._ask(path, tool, options)
            for tool, options in self._left_out(tools):
                self._ask(path, tool, options)
            self._ask_of_lists(path, key)
        for place, one in enumerate(drawn(DRAWN)):
            self._ask(one.path, one.tool, one.arguments(self.projects), (WINDOW, DAYS, HOURS)[place % 3])
        for route, tool in REST.items():
            for options in (options for asked, options in QUESTIONS if asked == tool):
                self._get(route, options)
        self._export()
        assert self.house.get("/healthz").status == 200

    def _left_out(self, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Options]]:
        """Questions with the arguments, and the values that `tools/list` names, that no question above has: each beside
        those of the tool's first one. An argument that is in none of these, nor in SAMPLES, is a KeyError."""
        one, other = self.projects
        samples = {**SAMPLES, "project_id": one["id"], "project_ids": [other["id"], one["id"]]}
        for tool, schema in ((name, schema) for name, schema in tools.items() if name not in WRITING):
            asked = [options for name, options in QUESTIONS if name == tool] or [{}]
            for argument in schema.keys() - PAGING - WINDOW.keys():
                given = [options[argument] for options in asked if argument in options]
                for value in values_of(schema[argument]) or ([] if given else [samples[argument]]):
                    if value not in given:
                        yield tool, asked[0] | {argument: value}

    def _ask(
        self, path: str, tool: str, options: Mapping[str, Any], window: Mapping[str, str] = WINDOW
    ) -> None:
        """A question; a cursor is that of the first page."""
        self.meter.asking = tool
        key = self.mine["sk" if tool == "forget_user" else "rk"] if path == "/mcp" else self.account_key
        window = {} if tool in stories.NOW_TOOLS else window
        given = {name: value for name, value in {**window, **options}.items() if value is not None}
        if given.get("cursor") == NEXT:
            page = self.house.call(
                key, tool, path, **{name: given[name] for name in given if name != "cursor"}
            )
            given["cursor"] = page["structuredContent"]["next_cursor"]
        result = self.house.call(key, tool, path, **given)
        assert not result.get("isError"), (tool, given, result)

    def _ask_of_lists(self, path: str, key: str) -> None:
        """Each resource, each template with its places filled in, each completion; prompts ask nothing, and are asked."""
        house, self.meter.asking = self.house, "resources"
        for one in listed(house, key, path, "resources"):
            house.read(key, one["uri"], path)
        for one in listed(house, key, path, "resources/templates", "resourceTemplates"):
            places = re.findall(r"\{(\w+)\}", one["uriTemplate"])
            house.read(
                key, one["uriTemplate"].format_map(dict.fromkeys(places, quote(HOSTILE, safe=""))), path
            )
            for place in places:
                self._complete(path, key, {"type": "ref/resource", "uri": one["uriTemplate"]}, place)
        for one in listed(house, key, path, "prompts"):
            arguments = {argument["name"]: "7d" for argument in one["arguments"] if argument["required"]}
            assert "result" in house.rpc(
                key, "prompts/get", {"name": one["name"], "arguments": arguments}, path
            )
            for argument in one["arguments"]:
                self._complete(path, key, {"type": "ref/prompt", "name": one["name"]}, argument["name"])

    def _complete(self, path: str, key: str, ref: Mapping[str, str], name: str) -> None:
        params = {"ref": ref, "argument": {"name": name, "value": HOSTILE[0]}}
        assert "result" in self.house.rpc(key, "completion/complete", params, path)

    def _get(self, route: str, options: Mapping[str, Any]) -> None:
        self.meter.asking = REST[route]
        given = {name: queried(value) for name, value in (WINDOW | options).items() if value is not None}
        if given.get("cursor") == NEXT:
            first = {name: value for name, value in given.items() if name != "cursor"}
            given["cursor"] = self.house.get(f"{route}?{urlencode(first)}", self.mine["rk"]).json[
                "next_cursor"
            ]
        answer = self.house.get(f"{route}?{urlencode(given)}", self.mine["rk"])
        assert answer.status == 200, (route, given, answer.text)

    def _export(self) -> None:
        self.meter.asking = "export"
        for include in (True, False):
            asked = {"user_id": HOSTILE, "include_anonymous": include, "limit": 10}
            page = self.house.post("/v1/export", asked, self.mine["sk"]).json
            rest = self.house.post("/v1/export", asked | {"cursor": page["next_cursor"]}, self.mine["sk"])
            assert rest.status == 200, rest.text


def values_of(schema: Mapping[str, Any]) -> list[Any]:
    """Every value of an argument, where its schema names them; of a list each alone."""
    if schema.get("type") == "boolean":
        return [True, False]
    return [[one] for one in schema.get("items", {}).get("enum", [])] or schema.get("enum", [])


def reads(sql: str) -> bool:
    """Whether a statement changes nothing."""
    return re.match(r"\s*(SELECT|WITH)\b", sql) is not None


def listed(service: Service, key: str, path: str, method: str, what: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.rpc(key, f"{method}/list", path=path)["result"][what or method]
    return found


def queried(value: Any) -> str:
    """As a query string says it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


@functools.cache
def everything_asked() -> Asked:
    """Asked once for all tests of a process, which may add events and nothing else."""
    try:
        return Asked()
    except AssertionError as error:  # where a plan is to blame, the answer does not say so
        raise AssertionError("\n".join([str(error), *plans.FOUND])) from error
