"""prompts/list, prompts/get and completion/complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analytics.store import ScopeWithdrawnError
from mcp.boundary import MAX_ECHO, Method, guarded, invalid_params, single_page, text_param
from mcp.completion import MAX_VALUES, Completer
from mcp.inbound import Accepted
from mcp.messages import Log
from mcp.prompts import Prompt
from mcp.protocol import INVALID_PARAMS, RpcError
from mcp.templates import Template
from mcp.tool import Context


class PromptMethods:
    """The methods about some prompts, and the completions of their arguments and of templates."""

    def __init__(self, prompts: Sequence[Prompt], templates: Sequence[Template]) -> None:
        self._prompts = {prompt.name: prompt for prompt in prompts}
        self._templates = {template.uri_template: template for template in templates}

    def methods(self) -> Mapping[str, Method]:
        return {
            "prompts/list": self._list,
            "prompts/get": self._get,
            "completion/complete": self._complete,
        }

    async def _list(self, request: Accepted, _context: Context, _log: Log) -> dict[str, Any]:
        single_page(request)
        return {"prompts": [prompt.listing() for prompt in self._prompts.values()]}

    async def _get(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        prompt = self._named(text_param(request, "name"))
        given = request.params.get("arguments")
        arguments = _arguments(prompt, {} if given is None else given)
        return await guarded(lambda: prompt.get(arguments, context), context, log)

    def _named(self, name: str) -> Prompt:
        prompt = self._prompts.get(name)
        if prompt is None:
            raise RpcError(INVALID_PARAMS, "unknown_prompt", {"name": name[:MAX_ECHO]})
        return prompt

    async def _complete(self, request: Accepted, context: Context, log: Log) -> dict[str, Any]:
        reference, argument = request.params.get("ref"), request.params.get("argument")
        if not isinstance(reference, dict) or not isinstance(argument, dict):
            raise invalid_params("params.ref and params.argument must be objects")
        name, prefix = argument.get("name"), argument.get("value")
        if not isinstance(name, str) or not isinstance(prefix, str):
            raise invalid_params("params.argument needs name and value, both strings")
        complete = self._completers(reference).get(name)
        if complete is None:
            return {"completion": {"values": [], "total": 0, "hasMore": False}}
        found = complete
        values = await guarded(lambda: _values(found, prefix, context), context, log)
        return {"completion": {"values": values[:MAX_VALUES], "hasMore": len(values) > MAX_VALUES}}

    def _completers(self, reference: Mapping[str, Any]) -> Mapping[str, Completer]:
        """The completers of a prompt or of a template. Errors: RpcError -32602."""
        kind, name, uri = reference.get("type"), reference.get("name"), reference.get("uri")
        if kind == "ref/prompt" and isinstance(name, str):
            return self._named(name).completers()
        if kind == "ref/resource" and isinstance(uri, str):
            template = self._templates.get(uri)
            if template is None:
                raise RpcError(INVALID_PARAMS, "unknown_resource", {"uri": uri[:MAX_ECHO]})
            return template.completers
        raise invalid_params("params.ref is {type: ref/prompt, name} or {type: ref/resource, uri}")


async def _values(complete: Completer, prefix: str, context: Context) -> list[str]:
    try:
        return list(await complete(prefix[:MAX_ECHO], context))
    except ScopeWithdrawnError as error:
        if not error.project_gone:
            raise
        return []


def _arguments(prompt: Prompt, given: Any) -> Mapping[str, str]:
    """The arguments of a prompt, blank ones left out. Errors: RpcError -32602 that names what is wrong."""
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise invalid_params("params.arguments must be an object of strings")
    arguments = {name: value for name, value in given.items() if value.strip()}
    allowed = [argument.name for argument in prompt.arguments]
    missing = [one.name for one in prompt.arguments if one.required and one.name not in arguments]
    unknown = [name[:MAX_ECHO] for name in given if name not in allowed]
    if missing or unknown:
        raise invalid_params(
            "an argument is missing or unknown", missing=missing, unknown=unknown, allowed=allowed
        )
    return arguments
