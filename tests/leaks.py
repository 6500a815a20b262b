"""What no response may hold: traces, the words of the platform and of SQL, secrets. Source: security.md T-LEAK-1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: The secrets of the run; whoever mints or configures one adds it.
CANARIES: set[str] = set()

#: Long enough, or words of their own, so that the random letters of a cursor are none of them.
_FORBIDDEN = re.compile(
    r"Traceback|File \"|\.py\b|pyodide|\bwasm\b|D1_(?:[A-Z]+_)?ERROR|SQLITE_|at offset|KV GET|KV PUT|site-packages"
    r"|input_value"
)
_SQL = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b.{0,200}\b(?:inbox|events|projects|api_keys|accounts|dictionary|daily)\b",
    re.DOTALL,
)
KEY = re.compile(r"(?:pk|sk|rk|ak)_(?:live|test)_[0-9a-f]{8}_[0-9A-Za-z]{49}")


def leaks(text: str) -> list[str]:
    """What of the forbidden is in a text."""
    found = [match[0] for match in _FORBIDDEN.finditer(text)] + KEY.findall(text)
    return found + [secret for secret in CANARIES if secret in text]


def scanned(status: int, headers: Mapping[str, str], body: str) -> None:
    """Fails the test whose response gives away what it must not. Every response of every test passes here.

    The words of SQL are looked for where something went wrong: elsewhere a visitor may have written them.
    """
    text = "\n".join([*headers.values(), body])
    found = leaks(text)
    if status >= 400 or '"error"' in body[:200]:
        found += [match[0] for match in _SQL.finditer(text)]
    assert found == [], f"a response gives away {found}: {body[:2000]}"


def logged(lines: Iterable[str]) -> list[str]:
    """Lines of a log that hold a whole key or a secret of the run."""
    return [line for line in lines if KEY.search(line) or any(secret in line for secret in CANARIES)]
