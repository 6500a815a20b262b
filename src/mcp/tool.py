"""What a tool is, what it may touch, and how its schemas are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from access.gate import Principal
from access.rate_limits import Route
from analytics.erasure import ErasureTokens
from analytics.event import Arrival
from analytics.filters import PROPERTY_PREFIX
from analytics.paging import EventPages
from analytics.report_store import ReportingStore
from analytics.scope import Scope
from analytics.store import Answer
from analytics.window import Window
from mcp.inbound import Accepted
from mcp.messages import Notify, to_json
from mcp.rows import Rows, Schema
from mcp.schema import brief, plain_schema

Question = TypeVar("Question", bound=BaseModel)

#: Said where a model reads answers: they hold text that visitors of a website wrote. Source: security.md, toxic flow.
UNTRUSTED: Final = " Untrusted texts."

#: The members of a result's `_meta` that say where its texts come from.
META_UNTRUSTED: Final = "ai.millimetric/untrusted"
META_ORIGINS: Final = "ai.millimetric/origins"
#: Columns whose values are, or derive from, what a client sent.
WRITTEN_BY_STRANGERS: Final = frozenset(
    {"event", "event_name", "anonymous_id", "user_id", "session_id", "source", "medium", "campaign", "referrer", "url",
     "path", "properties", "group", "referrer_host", "entry_page", "exit_page", "top_customers"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """What a tool may touch while it answers one request. `arrival`, `admit` and `erasures` are for tools that write,
    `refused` takes what is denied, `calls` what is called, by its name.

    The server adds the request and a way to notify its client; without a stream to the client, nothing is sent.
    """

    principal: Principal
    scope: Scope
    events: ReportingStore
    pages: EventPages
    arrival: Callable[[], Arrival]
    admit: Callable[[Route], Awaitable[None]]
    erasures: ErasureTokens
    now_ms: int
    request_id: str
    refused: Callable[[str], None]
    calls: Callable[[Literal["rpc", "tool"], str], None]
    request: Accepted | None = None
    notify: Notify | None = None

    @property
    def progress_token(self) -> str | int | None:
        """What the client wants progress reported under, if it does and can be reached before the answer."""
        meta = self.request.params.get("_meta") if self.request and self.notify else None
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        return token if isinstance(token, (str, int)) and not isinstance(token, bool) else None

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Reports progress, which must rise from one report to the next, to a client that asked for it."""
        token = self.progress_token
        if self.notify is None or token is None:
            return
        params = {"progressToken": token, "progress": progress, "total": total, "message": message}
        await self.notify(
            "notifications/progress", {name: value for name, value in params.items() if value is not None}
        )


class Result(Protocol):
    """What a tool gives."""

    def result(self) -> dict[str, Any]:
        """The result of `tools/call`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A tool's answer. `text` is what `content[0].text` holds as JSON; `structured` conforms to the output schema."""

    text: Any
    structured: dict[str, Any]
    origins: Mapping[str, int] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """The result of `tools/call`."""
        meta = provenance(self.text, self.origins) if isinstance(self.text, list) else {}
        unknown = self.structured.get("unknown_events", ())
        if any("did_you_mean" in one for one in unknown):
            meta[META_UNTRUSTED] = [*meta.get(META_UNTRUSTED, ()), "unknown_events.did_you_mean"]
        said = (self.text, *self._cut(), *([{"unknown_events": unknown}] if unknown else ()))
        return {
            "content": [{"type": "text", "text": to_json(one)} for one in said],
            "structuredContent": self.structured,
            "isError": False,
            **({"_meta": meta} if meta else {}),
        }

    def _cut(self) -> list[dict[str, Any]]:
        """For a model that is given the text alone: that there is more, and how to get at it."""
        if not self.structured.get("truncated"):
            return []
        told = ("truncated", "next_cursor", "window")
        return [{name: self.structured[name] for name in told if name in self.structured}]


def provenance(rows: Sequence[Mapping[str, Any]], origins: Mapping[str, int]) -> dict[str, Any]:
    """For programs, beside the text that a model is given: which columns strangers wrote, and who handed events in."""
    written = [name for name in (rows[0] if rows else {}) if _by_strangers(name, rows)]
    meta: dict[str, Any] = {META_UNTRUSTED: written} if written else {}
    return meta | ({META_ORIGINS: dict(origins)} if origins else {})


def _by_strangers(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """`value` is a number in some answers, and in others one of the texts that events carry."""
    if name == "value":
        return any(isinstance(row.get(name), str) for row in rows)
    return name in WRITTEN_BY_STRANGERS or name.startswith(PROPERTY_PREFIX)


@dataclass(frozen=True, slots=True)
class Hints:
    """The four hints of a tool. Of one that only reads, the first says all: the others are about what a tool changes.

    Source: specification 2025-11-25, ToolAnnotations.
    """

    read_only: bool = True
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False

    def annotations(self) -> dict[str, Any]:
        if self.read_only:
            return {"readOnlyHint": True}
        return {
            "readOnlyHint": False,
            "destructiveHint": self.destructive,
            "idempotentHint": self.idempotent,
            "openWorldHint": self.open_world,
        }


@dataclass(frozen=True, slots=True)
class Tool(Generic[Question]):
    """One tool: what it takes, what it gives, who may call it, and how it runs.

    A `slow` one tells a client that asked for progress that it is at work, until it is done.
    """

    name: str
    title: str
    description: str
    input: type[Question]
    output: Rows | Schema
    requires: Literal["read", "ingest", "account_read"]
    run: Callable[[Question, Context], Awaitable[Result]]
    hints: Hints = Hints()
    slow: bool = False

    def listing(self) -> dict[str, Any]:
        """The tool as `tools/list` shows it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": brief(plain_schema(self.input)),
            "outputSchema": self.output.answer() if isinstance(self.output, Rows) else self.output,
            "annotations": self.hints.annotations(),
        }


class Output(BaseModel):
    """The base of every output model: exactly the members it names."""

    model_config = ConfigDict(extra="forbid")


def reading(answer: Answer, window: Window, **more: Any) -> Reading:
    """An answer as a tool gives it: the bare rows as text, rows and envelope as structure."""
    envelope = {
        "rows": answer.rows,
        "window": window.described(),
        "truncated": answer.truncated,
        "meta": {"tier": answer.tier, "rows_read": answer.cost.rows_read},
    }
    return Reading(answer.rows, {**more, **envelope}, answer.origins)
