"""No pattern of the source can be made to take long (security.md T-FUZZ-6, M3): each is tried on texts that are bad for it.

The trial has a budget of processor time, not of the clock, and so much of it that only growth beyond the linear spends it:
64 KiB cost a linear pattern milliseconds, a quadratic one minutes.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house import ROOT

CPU_S = 30

TRIAL = """
import importlib, pathlib, re, resource, sys

resource.setrlimit(resource.RLIMIT_CPU, ({cpu_s}, {cpu_s}))
sys.path[:0] = [{src!r}]
patterns = dict(enumerate({more!r}))
patterns = {{f"given {{number}}": re.compile(text) for number, text in patterns.items()}}
for path in sorted(pathlib.Path({src!r}).rglob("*.py")):
    name = ".".join(path.relative_to({src!r}).with_suffix("").parts).removesuffix(".__init__")
    if name != "entry":
        module = importlib.import_module(name)
        patterns |= {{f"{{name}}.{{key}}": one for key, one in vars(module).items() if isinstance(one, re.Pattern)}}
seeds = ["a", "0", " ", "\\t", "_", "-", ".", "/", ":", "%", "=", "&", "?", "[", "]", "{{", '"', "\\\\", "é", " \\t", "aA",
         "a.", "0.", "a-", "Bearer ", "%41", "1,", "rk_live_0011aabb_"]
starts = ["rk_live_0011aabb_", "Bearer ", "https://", "2026-05-01T00:00:00."]
texts = [seed * (65_536 // len(seed)) + "!" for seed in seeds]
texts += [start + seed * 65_000 + "\\n" for start in starts for seed in "a0 "]
for name, pattern in patterns.items():
    print(name, flush=True)
    for text in texts:
        pattern.fullmatch(text), pattern.search(text)
print("done", flush=True)
"""


def trial(*more: str, cpu_s: int = CPU_S) -> list[str]:
    """The patterns that were tried, in order; `done` at the end unless the time was spent."""
    program = TRIAL.format(cpu_s=cpu_s, src=str(ROOT / "src"), more=list(more))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False
    )
    assert "Error" not in done.stderr, done.stderr
    return done.stdout.split("\n")[:-1]


def test_no_pattern_grows_beyond_the_linear() -> None:
    tried = trial()
    assert tried[-1] == "done", f"spent its time on {tried[-1]}"
    assert "access.token._SHAPE" in tried
    assert "access.gate._BEARER" in tried


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"\s+$"])
def test_a_pattern_that_does_is_found(pattern: str) -> None:
    assert trial(pattern, cpu_s=2) == ["given 0"]


def uses_of_re() -> Iterator[tuple[str, ast.Call, bool]]:
    """Every call of `re.…` in the source; whether at the top of a module, where the trial finds its pattern."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text())
        top = {id(node) for statement in tree.body for node in ast.walk(statement)
               if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
                yield path.name, node, id(node) in top


def test_every_pattern_stands_where_the_trial_finds_it() -> None:
    elsewhere = {(name, ast.unparse(node)) for name, node, top in uses_of_re() if not top}
    assert elsewhere == {
        ("entry.py", "re.fullmatch('[0-9a-f]{64}', value)"),  # a secret of the operator
        (
            "templates.py",
            "re.fullmatch(_pattern(self.uri_template), uri)",
        ),  # tests/test_prompts_and_completions.py
        ("templates.py", "re.escape(part)"),
    }
