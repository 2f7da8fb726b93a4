"""Small faults, one at a time, for the functions of a module: a comparison turned round, a condition negated, a call
left out, an AND of a statement made an OR.

A mutant is named after its function and its change, not after its line, so that a name outlives other changes.
"""

import ast
import copy
import re
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

#: In text that is part of a statement.
SQL = (
    ("IS NOT DISTINCT FROM", "IS DISTINCT FROM"),
    ("IS DISTINCT FROM", "IS NOT DISTINCT FROM"),
    ("IS NOT NULL", "IS NULL"),
    ("IS NULL", "IS NOT NULL"),
    (" IS NOT ", " IS "),
    ("NOT EXISTS", "EXISTS"),
    (" AND ", " OR "),
    (" OR ", " AND "),
    (" = ", " <> "),
    (" <> ", " = "),
    ("LEFT JOIN", "JOIN"),
    ("SELECT DISTINCT", "SELECT"),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" DESC", " ASC"),
    ("UNION ALL", "UNION"),
    ("EXCEPT", "UNION"),
    ("coalesce(", "nullif("),
    ("COALESCE(", "NULLIF("),
    ("min(", "max("),
    ("max(", "min("),
)
IS_SQL = re.compile(r"\b(SELECT|FROM|WHERE|AND|OR|NOT|EXISTS|JOIN|UPDATE|INSERT|DELETE|SET|IS)\b")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the place of that number in `function`."""

    name: str
    function: types.FunctionType = field(repr=False)
    path: tuple[ast.AST, ...] = field(repr=False)
    """The classes that the function stands in, and the function."""
    place: int

    @property
    def code(self) -> types.CodeType:
        """The function's code, while it is not changed."""
        return self.function.__code__

    def apply(self) -> None:
        """Change the function in place, for all who have imported it."""
        *classes, node = self.path
        mutated = copy.deepcopy(node)
        _, change = next(place for number, place in enumerate(_places(mutated)) if number == self.place)
        change()
        for shell in reversed(classes):
            outer = copy.copy(shell)
            outer.body = [mutated]
            mutated = outer
        module = ast.fix_missing_locations(ast.Module([mutated], []))
        code = compile(module, self.function.__code__.co_filename, "exec", dont_inherit=True)
        for node in self.path:
            code = next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == node.name)
        self.function.__code__ = code


def mutants_of(module: types.ModuleType, *, only: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """Yield the mutants of a module's functions and methods, or of those with the given qualified names."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for name, function in _functions(module):
        if only and name not in only:
            continue
        path = _find(tree, name)
        seen: Counter[str] = Counter()
        for number, (change, _) in enumerate(_places(path[-1])):
            seen[change] += 1
            yield Mutant(f"{module.__name__}.{name}: {change} #{seen[change]}", function, path, number)


def _functions(module: types.ModuleType) -> Iterator[tuple[str, types.FunctionType]]:
    for value in list(vars(module).values()):
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield value.__qualname__, value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for member in vars(value).values():
                function = member.fget if isinstance(member, property) else member
                if isinstance(function, types.FunctionType) and function.__code__.co_filename == module.__file__:
                    yield function.__qualname__, function


def _find(tree: ast.AST, qualified: str) -> tuple[ast.AST, ...]:
    path: tuple[ast.AST, ...] = ()
    for name in qualified.split("."):
        within = path[-1] if path else tree
        kinds = (ast.ClassDef, ast.FunctionDef)
        path += (next(n for n in ast.iter_child_nodes(within) if isinstance(n, kinds) and n.name == name),)
    return path


Place = tuple[str, Callable[[], None]]


def _places(function: ast.FunctionDef) -> Iterator[Place]:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    for statement in body:
        for node in _walk(statement):
            yield from _places_of(node)
        yield from _left_out(statement, function.body)
    for node in ast.walk(function):
        for name in ("body", "orelse"):
            inner = getattr(node, name, None)
            if node is not function and isinstance(inner, list):
                for statement in inner:
                    yield from _left_out(statement, inner)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.keyword) and child.arg == "strict"):  # which asserts, and decides nothing
            yield from _walk(child)


def _places_of(node: ast.AST) -> Iterator[Place]:  # noqa: C901 - one case a kind of place
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                other = COMPARISONS[type(operator)]
                change = f"{type(operator).__name__} becomes {other.__name__}"
                yield change, lambda number=number, other=other: node.ops.__setitem__(number, other())
        case ast.BoolOp():
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield f"{type(node.op).__name__} becomes {other.__name__}", lambda: setattr(node, "op", other())
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Constant):
            yield f"{type(node).__name__} is negated", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.comprehension():
            for condition in node.ifs:
                yield "filter is dropped", lambda condition=condition: node.ifs.remove(condition)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            other = ast.Sub if isinstance(node.op, ast.Add) else ast.Add
            if not any(isinstance(side, (ast.Constant, ast.JoinedStr)) and _text(side) for side in _sides(node)):
                yield f"{type(node.op).__name__} becomes {other.__name__}", lambda: setattr(node, "op", other())
        case ast.Return() if node.value is not None and ast.unparse(node.value) not in ("None", "False"):
            yield "returns nothing", lambda: setattr(node, "value", ast.Constant(None))
        case ast.Constant():
            yield from _places_of_constant(node)


def _places_of_constant(node: ast.Constant) -> Iterator[Place]:
    if isinstance(node.value, bool):
        yield f"{node.value} becomes {not node.value}", lambda: setattr(node, "value", not node.value)
    elif isinstance(node.value, int):
        yield f"{node.value} becomes {node.value + 1}", lambda: setattr(node, "value", node.value + 1)
    elif isinstance(node.value, str) and IS_SQL.search(node.value):
        for old, new in SQL:
            for found in re.finditer(rf"(?={re.escape(old)})", node.value):
                at = found.start()
                text = node.value[:at] + new + node.value[at + len(old) :]
                yield f"{old.strip()} becomes {new.strip()}", lambda text=text: setattr(node, "value", text)


def _left_out(statement: ast.stmt, body: list[ast.stmt]) -> Iterator[Place]:
    """A call for its effect, an addition to a variable, or a jump."""
    if ast.unparse(statement) == "raise NotImplementedError":  # which every subclass overrides
        return
    simple = isinstance(statement, (ast.AugAssign, ast.Continue, ast.Break, ast.Raise))
    if simple or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Call, ast.Yield, ast.YieldFrom))
    ):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Yield, ast.YieldFrom)):
            return  # without it, the function would be no generator
        text = ast.unparse(statement).splitlines()[0][:50]
        yield f"without {text}", lambda: body.__setitem__(body.index(statement), ast.Pass())


def _sides(node: ast.BinOp) -> tuple[ast.expr, ast.expr]:
    return node.left, node.right


def _text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
