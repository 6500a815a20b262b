"""The line of the log that each request gets: names of ours, ids and numbers; of what a caller wrote, nothing.

Source: security.md, T-LOG-2 and T-LOG-3. Without a duration: the clock of a Worker stands still while it computes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from access.gate import Principal
from access.watch import Actor, network_of
from web.messages import Request, Response

#: Which requests get a line: all, those that were refused or failed, none.
Wanted = Literal["on", "errors", "off"]

#: Stands for a method or path that is none of ours, whatever it says.
OTHER: Final = "(other)"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Caller:
    """Who sent a request, once their key is verified, and what came of it.

    Shape: `called` are names from our own lists: `rpc` the methods, `tool` the tools; `error` is a stable code.
    """

    actor: Actor | None = None
    ids: dict[str, str] = field(default_factory=dict)
    called: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    error: str = ""

    def is_known(self, principal: Principal) -> None:
        """The key is verified."""
        self.actor = principal.actor
        self.ids["kind"] = principal.kind
        if principal.kind != "ak":
            self.ids["project_id"] = principal.projects[0].id

    def calls(self, what: Literal["rpc", "tool"], name: str) -> None:
        """A method or a tool is called that there is. A batch calls several."""
        self.called[what].append(name)


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Writes the lines. `write` takes what one of them says."""

    wanted: Wanted = "off"
    write: Callable[[Mapping[str, Any]], None] = lambda _line: None

    def note(
        self, request: Request, response: Response, caller: Caller, request_id: str, *, path: str | None
    ) -> None:
        """One request is answered. `path` is None where there is nothing: what stands there may be anything."""
        error = response.code or caller.error
        failed = bool(error) or response.status >= 400
        if self.wanted == "off" or (self.wanted == "errors" and not failed):
            return
        line: dict[str, Any] = {
            "event": "request",
            "request_id": request_id,
            "method": request.method if request.method in _METHODS else OTHER,
            "path": path or OTHER,
            "status": response.status,
            **{what: ",".join(names) for what, names in caller.called.items()},
            **caller.ids,
        }
        if caller.actor:
            line |= {"key_id": caller.actor.key_id, "account_id": caller.actor.account_id}
        if error:
            line["error"] = error
        if failed and (network := network_of(request.client_ip)):
            line["network"] = network
        self.write(line)
