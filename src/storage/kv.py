"""KeyValue on a KV binding: the one place that knows how KV is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class KV:
    """The port over the binding as JavaScript has it."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def get(self, name: str) -> str | None:
        text = await self._binding.get(name)
        return text if isinstance(text, str) else None  # JavaScript's null is not None

    async def put(self, name: str, text: str, expiration_s: int | None = None) -> None:
        options = {} if expiration_s is None else {"expiration": expiration_s}
        await self._binding.put(name, text, **options)

    async def list(self, prefix: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        options = {"prefix": prefix} if cursor is None else {"prefix": prefix, "cursor": cursor}
        listed = (await self._binding.list(**options)).to_py()
        names = [one["name"] for one in listed["keys"]]
        return names, None if listed["list_complete"] else listed["cursor"]
