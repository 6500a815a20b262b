"""Stories for an account, drawn by Hypothesis: what is sent, resent, forgotten, outlived, and what is asked.

A story is plain data, so that a failure prints as one: tests/test_every_tool_equals_the_model.py tells it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from hypothesis import strategies as st

from analytics.window import MS_PER_DAY, MS_PER_HOUR, parse_instant
from tests.test_answers_equal_the_reference import DEVICES, DIMENSIONS, LIMITS, filters, plain
from tests.test_reports_equal_the_reference import (
    FILTERS,
    INSTANTS,
    INTERVALS,
    LANDINGS,
    LOOKBACK,
    MEASURES,
    SPLITS,
    UNITS,
    VALUES,
    ZONES,
    rated,
)

Options = dict[str, Any]
Path = Literal["/mcp", "/mcp/account"]

MIDNIGHT: Final = parse_instant("2026-03-29")
NAMES: Final = [
    "purchase", "$pageview", "$pageview", "$pageview", "signup", "purchase", "$identify", "subscription_started",
    "subscription_cancelled", "$ad_spend", 'it\'s 100% "new"',
]  # fmt: skip
USERS: Final = ["u1", "u2", "ann"]
VISITORS: Final = ["ann", "ann", "bob", "cyd", "dan"]


@dataclass(frozen=True)
class Beat:
    """An event, `times` times, each time so much earlier. `at`: the last one's instant, or so many minutes ago."""

    event: Options
    at: int
    times: int = 1
    apart_ms: int = 0


@dataclass(frozen=True)
class Send:
    """One request to the project of that place."""

    project: int
    beats: list[Beat]
    country: str = ""
    user_agent: str = ""


@dataclass(frozen=True)
class Resend:
    """An earlier request once more, all of it or its first event alone."""

    which: int
    alone: bool = False


@dataclass(frozen=True)
class Fold:
    """What waits is folded now."""


@dataclass(frozen=True)
class Forget:
    project: int
    user_id: str
    include_anonymous: bool


@dataclass(frozen=True)
class Purge:
    """The day before which both projects keep nothing. In process only: on the Worker the plan and the clock decide."""

    first_day: int


@dataclass(frozen=True)
class Span:
    """A window. `until` says what `end` is counted from: 1970, the latest event, or the time of asking."""

    start_ms: int
    end_ms: int
    until: Literal["given", "latest", "now"] = "given"


@dataclass(frozen=True)
class Ask:
    """One question. `of` selects projects on the account by their places, through the selector of that name."""

    tool: str
    path: Path
    span: Span
    options: Options
    of: tuple[str, tuple[int, ...]] = ("", ())
    stitched: bool = False

    def arguments(self, projects: Sequence[Mapping[str, str]]) -> Options:
        """What the tool is given besides a window and a cursor, where these are the account's projects."""
        given = {name: value for name, value in self.options.items() if name != "pages"}
        if self.stitched:
            given["identity"] = "stitched"
        selector, places = self.of
        if selector:
            named = [projects[place]["slug" if selector == "project_slug" else "id"] for place in places]
            given[selector] = named if selector == "project_ids" else named[0]
        return given


Action = Send | Resend | Fold | Forget | Purge | Ask

# --- what is sent -----------------------------------------------------------------------------------------------------

PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "k": st.sampled_from(VALUES),
        "amount_cents": st.sampled_from([0, 100, 250, 10.5, "100", None, True]),
        "currency": st.sampled_from(["EUR", "EUR", "USD", 1]),
        "interval": st.sampled_from(["month", "year"]),
        "subscription_id": st.sampled_from(["s1", "s2"]),
        "source": st.sampled_from(["news", "google"]),
    },
)
EVENTS = st.builds(
    lambda name, visitor, landing, user, properties: {
        "event": name, "anonymous_id": visitor, **landing, "properties": properties,
        **({"user_id": user or "u1"} if user or name == "$identify" else {}),
    },
    st.sampled_from(NAMES), st.sampled_from(VISITORS), st.sampled_from(LANDINGS),
    st.sampled_from(["", "", *USERS]), PROPERTIES | st.just({}),
)  # fmt: skip
#: How often an event comes again before: at once, next to it, on other days, and beyond the longest tail of a roll-up.
RHYTHMS = st.sampled_from(
    [(1, 0), (1, 0), (2, 0), (2, 1), (3, 10 * 60_000), (3, MS_PER_HOUR), (5, MS_PER_DAY), (9, MS_PER_DAY),
     (5, 7 * MS_PER_DAY), (4, 31 * MS_PER_DAY), (2, 93 * MS_PER_DAY)]
)  # fmt: skip
#: Minutes ago: within the shortest question about now, within longer ones, and beyond.
AGO = st.sampled_from([0, 20, 45, 90])
BEATS = st.builds(
    lambda event, at, rhythm: Beat(event, at, *rhythm), EVENTS, INSTANTS | INSTANTS | INSTANTS | AGO, RHYTHMS
)
SENDS = st.builds(
    Send,
    st.sampled_from([0, 0, 1]),
    st.lists(BEATS, min_size=2, max_size=6),
    st.sampled_from(["", "DE"]),
    st.sampled_from(DEVICES),
)
CHANGES = (
    SENDS | SENDS | SENDS | SENDS | st.builds(Resend, st.integers(0, 9), st.booleans()) | st.just(Fold())
)
LOSSES = st.builds(Forget, st.sampled_from([0, 0, 1]), st.sampled_from(USERS), st.booleans())
PURGES = st.builds(Purge, st.sampled_from([-60, -20, -3, 0, 1]).map(lambda day: MIDNIGHT // MS_PER_DAY + day))

# --- what is asked ----------------------------------------------------------------------------------------------------

JITTER = st.sampled_from([0, 0, 0, 1, -1, 7 * MS_PER_HOUR, 22 * MS_PER_HOUR])
#: Ends of windows: around the days most events are of, and far from them.
DAYS = st.sampled_from([-8, 9, -1, 0, 1, 2, -2, 7, 8, 0, 30, -31, -100, -130, 93])
SPANS = st.builds(
    lambda days, *more: Span(*(MIDNIGHT + day * MS_PER_DAY + one for day, one in zip(sorted(days), more, strict=True))),
    st.lists(DAYS, min_size=2, max_size=2, unique=True), JITTER, JITTER,
)  # fmt: skip
BETWEEN_EVENTS = st.tuples(INSTANTS, INSTANTS).filter(lambda ends: ends[0] < ends[1])
WINDOWS = (
    SPANS
    | SPANS
    | BETWEEN_EVENTS.map(lambda ends: Span(*ends))
    | st.builds(
        lambda day, jitter, until, more: Span(MIDNIGHT + day * MS_PER_DAY + jitter, more, until),
        st.sampled_from([-8, -1, 0, -31, -130]), JITTER, st.sampled_from(["latest", "now"]),
        st.sampled_from([0, 1, MS_PER_HOUR]),
    )
)  # fmt: skip

EVENT_NAMES = st.sampled_from(
    ["$pageview", "$pageview", "purchase", "purchase", "signup", "$identify", "never"]
)
GOALS = st.sampled_from(["signup", "purchase", "never"])
#: What a roll-up can let through: one event name.
ONE_NAME = st.sampled_from(["$pageview", "signup", "never"]).map(
    lambda name: [{"field": "event_name", "op": "eq", "value": name}]
)
THROUGH = st.just([]) | ONE_NAME | st.lists(filters(), min_size=1, max_size=1) | FILTERS
STEPS = st.lists(
    EVENT_NAMES
    | st.builds(
        lambda event, conditions: {"event": event, "filters": conditions},
        EVENT_NAMES,
        st.lists(filters(), max_size=2),
    ),
    min_size=2,
    max_size=4,
)


def options(required: Options, optional: Options) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(required, optional=optional).map(rated)


def _told_apart(asked: Options) -> bool:
    """In any order, steps that are the same are refused."""
    steps = [repr(plain(step)) for step in asked["steps"]]
    return asked.get("order") != "any" or len(set(steps)) == len(steps)


def _stats(groupings: list[str]) -> st.SearchStrategy[Options]:
    groups = st.lists(st.sampled_from(groupings), unique=True, max_size=3) | st.just(["source", "medium"])
    return options(
        {"metric": st.sampled_from(["count", "uniques"]), "limit": st.sampled_from([1, 3, 1000, 1000])},
        {"group_by": groups, "event": EVENT_NAMES, "interval": INTERVALS},
    )


#: One exact filter of query_events, and its value; often there is one, seldom two.
EXACT = st.sampled_from(
    [("limit", 1), ("limit", 1), ("event", "$pageview"), ("event", "purchase"), ("source", "news"), ("source", "never"),
     ("medium", "email"), ("medium", ""), ("user_id", "u1"), ("user_id", "u3"), ("anonymous_id", "ann"),
     ("anonymous_id", "zoe"), ("country", "DE"), ("country", "")]
)  # fmt: skip
ZONED = {"timezone": st.sampled_from(ZONES)}
FILTERED = {"filters": THROUGH}
LISTED = {**FILTERED, "limit": st.sampled_from([1, 3, 100])}
MEASURED = {**FILTERED, "goal": GOALS}

OPTIONS: Final[Mapping[str, st.SearchStrategy[Options]]] = {
    "get_stats": _stats(DIMENSIONS),
    "top_sources": options(
        {"breakdown": st.sampled_from(["source_medium", "source"]), "limit": st.sampled_from([1, 3, 200])}, {}
    ),
    "query_events": st.builds(
        lambda asked, *exact: dict(exact) | asked,
        options({"limit": LIMITS, "pages": st.sampled_from([1, 2, 3])}, {}), EXACT, EXACT | st.just(("limit", 1)),
    ),
    "funnel": st.builds(
        lambda asked, mode: asked | mode,
        options(
            {"steps": STEPS},
            {"conversion_window_days": st.sampled_from([1, 2, 14, 366]), "breakdown": st.sampled_from(DIMENSIONS)},
        ),
        st.sampled_from([{}, {"entry": "first"}, {"order": "any"}]),
    ).filter(_told_apart),
    "describe_schema": options({}, {"event": EVENT_NAMES, "limit": st.sampled_from([1, 20])}),
    "realtime": options({"minutes": st.sampled_from([5, 30, 60]), "limit": st.sampled_from([1, 5])}, {}),
    "overview": options({}, {**MEASURED, **ZONED, "interval": INTERVALS}),
    "health": options({}, {"activation_event": EVENT_NAMES, "purchase_event": EVENT_NAMES, "referral_event": EVENT_NAMES}),
    "timeseries": options(
        {"metric": st.sampled_from([*MEASURES, "visitors", "events"]), "interval": INTERVALS},
        {**MEASURED, **ZONED, "by": st.sampled_from([*SPLITS, *DIMENSIONS]), "splits": st.sampled_from([1, 2, 5])},
    ),
    "breakdown": options(
        {"by": st.sampled_from([*SPLITS, *DIMENSIONS]), "metric": st.sampled_from([*MEASURES, "visitors", "events"])},
        {**MEASURED, "limit": st.sampled_from([1, 2, 1000])},
    ),
    "retention": options(
        {"born_event": st.sampled_from(["$pageview", "signup"]), "unit": UNITS, "calendar": st.booleans()},
        {
            **FILTERED, **ZONED, "return_event": st.sampled_from(["$pageview", "purchase", "never"]),
            "mode": st.sampled_from(["on", "on_or_after"]), "periods": st.sampled_from([1, 3, 12]),
        },
    ),
    "lifecycle": options({"unit": UNITS}, {**ZONED, "view": st.sampled_from(["lifecycle", "stickiness"])}),
    "revenue": options({}, {**FILTERED, **ZONED, "interval": INTERVALS, "top_customers": st.sampled_from([0, 1, 5])}),
    "channel_roi": options(
        {
            "by": st.sampled_from(["source", "campaign"]),
            "model": st.sampled_from(["first_touch", "last_touch", "linear"]),
        },
        {
            **FILTERED, "lookback_days": LOOKBACK,
            "spend": st.sampled_from([[], [{"value": "news", "currency": "EUR", "amount": 40}]]),
        },
    ),
    "attribution": options(
        {"by": st.sampled_from(DIMENSIONS)},
        {**FILTERED, "lookback_days": LOOKBACK, "event": st.sampled_from(["purchase", "$pageview"])},
    ),
    "compare_segments": options({"a": THROUGH, "b": THROUGH, "goal": GOALS}, {}),
    "scan": options(
        {"sensitivity": st.sampled_from(["low", "medium", "high", "high"]), "minimum": st.sampled_from([1, 1, 2, 5])},
        {**ZONED, "limit": st.sampled_from([1, 2, 200])},
    ),
    "diagnose": options(
        {"metric": st.sampled_from(["events", "visitors"])},
        {
            **FILTERED, "by": st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True),
            "limit": st.sampled_from([1, 2]), "days_back": st.sampled_from([131, 140]),
        },
    )
    | options(
        {"metric": st.just("conversion_rate"), "goal": GOALS},
        {**FILTERED, "by": st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True)},
    ),
    "sessions": options({}, LISTED),
    "paths": options({}, LISTED),
    "user_journey": options({"user_id": st.sampled_from([*USERS, "u3"])}, {"limit": st.sampled_from([1, 3, 100])})
    | options({"anonymous_id": st.sampled_from([*VISITORS, "zoe"])}, {}),
    "forget_user": options({"user_id": st.sampled_from([*USERS, "u3"]), "include_anonymous": st.booleans()}, {}),
    "list_projects": st.just({}),
    "compare_projects": options({"metric": st.sampled_from(["count", "uniques"])}, {}),
}  # fmt: skip

#: Tools without a window, and those whose every question can be one about people.
NOW_TOOLS: Final = frozenset({"realtime", "forget_user", "list_projects"})
PEOPLE_TOOLS: Final = frozenset({"overview", "breakdown", "timeseries", "retention", "lifecycle", "funnel"})
OF_ACCOUNT: Final = frozenset({"list_projects", "compare_projects"})
OF_PROJECT: Final = frozenset({"forget_user"})

SELECTORS = st.sampled_from(
    [("", ()), ("", ()), ("project_id", (0,)), ("project_slug", (1,)), ("project_ids", (1, 0)), ("project_ids", (1,))]
)  # fmt: skip


def questions_of(tool: str) -> st.SearchStrategy[Ask]:
    paths: list[Path] = (
        ["/mcp/account"]
        if tool in OF_ACCOUNT
        else ["/mcp"]
        if tool in OF_PROJECT
        else ["/mcp", "/mcp/account"]
    )
    either = st.booleans() if tool in PEOPLE_TOOLS else st.just(False)

    @st.composite
    def question(draw: st.DrawFn) -> Ask:
        path = draw(st.sampled_from(paths))
        asked = OPTIONS[tool]
        if path == "/mcp/account" and tool == "get_stats":
            asked = _stats(["project_id", *DIMENSIONS])
        chosen = draw(SELECTORS) if path == "/mcp/account" and tool not in OF_ACCOUNT else ("", ())
        return Ask(tool, path, draw(WINDOWS), draw(asked), chosen, draw(either))

    return question()


QUESTIONS: Final = [questions_of(tool) for tool in OPTIONS]


@st.composite
def stories(draw: st.DrawFn, times: int, purges: bool) -> list[Action]:
    """Some chapters: events come, something may go, and every tool is asked so many times."""
    told: list[Action] = []
    for chapter in range(draw(st.integers(1, 3))):
        told += draw(st.lists(CHANGES, min_size=2 if chapter else 6, max_size=12))
        told += draw(st.lists(LOSSES | PURGES if purges else LOSSES, max_size=1))
        told += [draw(question) for question in QUESTIONS for _ in range(times)]
    return told
