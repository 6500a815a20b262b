"""Every small change to a module: an operator, a constant, a condition turned round, a statement or an argument left out.

Not changed: docstrings, annotations (but those of pydantic models, which check), decorators, imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final

_OTHER: Final[dict[type, tuple[Any, ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.FloorDiv,), ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.FloorDiv,), ast.Pow: (ast.Mult,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
_NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "lower": "upper",
                 "startswith": "endswith", "endswith": "startswith"}  # fmt: skip
_IS_SQL: Final = re.compile(r"\b(?:SELECT|WHERE|AND|OR|EXISTS|FROM|LIMIT|NOT)\b")
_SQL: Final = {
    " AND ": " OR ", " OR ": " AND ", " = ": " <> ", " <> ": " = ", " < ": " <= ", " > ": " >= ", " >= ": " > ",
    "NOT ": "", " IN ": " NOT IN ", "IS NULL": "IS NOT NULL", "LEFT JOIN": "JOIN", "DISTINCT ": "", " DESC": "",
    "min(": "max(", "max(": "min(", " + 1": " + 2", " > 0": " > 1", " * 1000": " * 1001",
}  # fmt: skip


@dataclass(frozen=True)
class Small:
    """One change: `new` in place of a field of `parent`, or of one of its items.

    Shape: `first` to `last` are the lines of its statement; `at_import`, whether it happens when the module is imported.
    """

    file: str
    function: str
    text: str
    first: int
    last: int
    at_import: bool
    parent: ast.AST
    field: str
    place: int | None
    new: ast.AST

    def __str__(self) -> str:
        return f"{self.file} {self.function}: {self.text}"

    @property
    def module(self) -> str:
        return self.file.removeprefix("src/").removesuffix(".py").replace("/", ".")

    def code(self, tree: ast.Module, path: Path, *, only_assignments: bool = False) -> CodeType:
        """The module with it, or its assignments. The tree is as it was afterwards."""
        held: Any = vars(self.parent) if self.place is None else getattr(self.parent, self.field)
        key: Any = self.field if self.place is None else self.place
        old = held[key]
        held[key] = ast.fix_missing_locations(ast.copy_location(self.new, old))
        try:
            body = [
                one
                for one in tree.body
                if not only_assignments or isinstance(one, (ast.Assign, ast.AnnAssign))
            ]
            return compile(ast.Module(body, []), str(path), "exec")
        finally:
            held[key] = old


def small_mutations(file: str, tree: ast.Module) -> Iterator[Small]:
    """All of a module, from its first line to its last; what is said of two is never the same."""
    said: dict[str, int] = {}
    for one in _below(file, tree, "", (0, 0), True):
        times = said[str(one)] = said.get(str(one), 0) + 1
        vars(one)["text"] = one.text if times == 1 else f"{one.text} (#{times})"
        yield one


def _below(
    file: str, node: ast.AST, function: str, lines: tuple[int, int], at_import: bool
) -> Iterator[Small]:
    is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    inside = (
        f"{function}.{node.name}".strip(".") if is_function or isinstance(node, ast.ClassDef) else function
    )  # type: ignore[union-attr]
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "returns") or (
            field == "annotation" and (value is None or "Field(" not in ast.unparse(value))
        ):
            continue
        now = at_import and not (is_function and field == "body")
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.Import, ast.ImportFrom)):
                continue
            around = lines
            if isinstance(child, ast.stmt) or (isinstance(node, ast.stmt) and hasattr(node, "body")):
                around = (getattr(child, "lineno", lines[0]), getattr(child, "end_lineno", lines[1]))
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring, or `...`
            for new in _instead_of(child, node, field):
                text = f"{ast.unparse(child)} → {ast.unparse(new)}"
                yield Small(file, inside, text, *around, now, node, field, place, new)
            yield from _below(file, child, inside, around, now)


def _instead_of(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, comparators):
            for place, op in enumerate(ops):
                for other in _OTHER.get(type(op), ()):
                    yield ast.Compare(left, [*ops[:place], other(), *ops[place + 1 :]], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_OTHER[type(op)][0](), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.BinOp(left, op, right) if not _is_text(left) and not _is_text(right):
            yield from (ast.BinOp(left, other(), right) for other in _OTHER.get(type(op), ()))
        case ast.Constant(value):
            yield from (ast.Constant(one) for one in _other_constants(value))
        case ast.Call(function, arguments, keywords):
            for place in range(len(keywords)):
                yield ast.Call(function, arguments, keywords[:place] + keywords[place + 1 :])
            if isinstance(function, ast.Name) and function.id in _NAMES:
                yield ast.Call(ast.Name(_NAMES[function.id], ast.Load()), arguments, keywords)
            if isinstance(function, ast.Attribute) and function.attr in _NAMES:
                named = ast.Attribute(function.value, _NAMES[function.attr], ast.Load())
                yield ast.Call(named, arguments, keywords)
        case ast.Return(ast.expr() as value) if (
            not isinstance(value, ast.Constant) or value.value is not None
        ):
            yield ast.Return(ast.Constant(None))
        case ast.AugAssign(target, op, value):
            yield from (ast.AugAssign(target, other(), value) for other in _OTHER.get(type(op), ()))
            yield ast.Pass()
        case ast.Expr() | ast.Raise():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
    plain = not isinstance(node, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant))
    if field == "test" and plain and isinstance(node, ast.expr):
        yield ast.UnaryOp(ast.Not(), node)
    if field == "ifs":
        yield ast.Constant(True)
    if (
        field == "value"
        and isinstance(parent, (ast.Assign, ast.AnnAssign))
        and not isinstance(node, ast.Constant)
    ):
        yield ast.Constant(None)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _other_constants(value: object) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case bytes():
            yield value + b"x"
        case str():
            yield "" if value else "x"
            if _IS_SQL.search(value):
                for old, new in _SQL.items():
                    for match in re.finditer(re.escape(old), value):
                        yield value[: match.start()] + new + value[match.end() :]
