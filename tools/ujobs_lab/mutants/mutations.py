"""The possible faults of a Python file: each is a small change of its text."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*")}
# A missing console line or a later garbage collection breaks no promise.
_HARMLESS_CALLS = frozenset(("log", "print", "print_exception", "collect"))


@dataclass(frozen=True)
class Mutation:
    """One fault. line: its first line, from 1. start, end: the range of the text that it replaces, bytes. what: its
    description."""

    line: int
    start: int
    end: int
    replacement: bytes
    what: str


def mutations(source: bytes) -> list[Mutation]:
    """All faults of a file, in the order of the text."""
    tree = ast.parse(source)
    found = set(_Finder(source).of(tree))
    return sorted(found, key=lambda one: (one.start, one.end, one.replacement))


def mutated(source: bytes, one: Mutation) -> bytes:
    """The text with the fault in it."""
    return source[: one.start] + one.replacement + source[one.end :]


class _Finder:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.AST) -> Iterator[Mutation]:
        if isinstance(node, ast.Expr) and self._called(node.value) in _HARMLESS_CALLS:
            return
        match node:
            case ast.Assign(targets=[ast.Name(id="_TYPING")]) | ast.If(test=ast.Name(id="_TYPING" | "__debug__")):
                return  # what only type checkers read, and the import of const, which a board's compiler knows
            case _:
                pass
        yield from self._own(node)
        for child in self._children(node):
            yield from self.of(child)

    def _children(self, node: Any) -> Iterator[ast.AST]:
        # Annotations and docstrings do not run.
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (value for value in (*node.args.defaults, *node.args.kw_defaults) if value is not None)
            yield from node.decorator_list
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield node.value
            return
        elif not isinstance(node, ast.ClassDef | ast.Module):
            yield from ast.iter_child_nodes(node)
            return
        for statement in node.body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                yield statement

    def _own(self, node: Any) -> Iterator[Mutation]:
        match node:
            case ast.Compare(ops=[operator]):
                yield from self._between(node.left, node.comparators[0], *_COMPARISONS[type(operator)])
            case ast.BoolOp():
                words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from self._between(left, right, *words)
            case ast.BinOp() if type(node.op) in _ARITHMETIC and not isinstance(node.left, ast.Constant):
                yield from self._between(node.left, node.right, *_ARITHMETIC[type(node.op)])
            case ast.UnaryOp(op=ast.Not()):
                yield self._replace(node, b"(" + self._text(node.operand) + b")", "not left out")
            case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Constant | ast.UnaryOp):
                yield self._replace(node.test, b"not (" + self._text(node.test) + b")", "condition negated")
            case ast.Constant(value=bool()):
                yield self._replace(node, str(not node.value).encode(), f"{node.value} swapped")
            case ast.Constant(value=int() as number):
                yield self._replace(node, str(number + 1).encode(), f"{number} is one more")
            case ast.Constant(value=str() | bytes() as text) if text and len(text) < 30 and " " not in repr(text):
                yield self._replace(node, repr(type(text)()).encode(), f"{text!r} emptied")
            case ast.Expr(value=ast.Call() | ast.Await()):
                yield self._replace(node, b"pass", "call left out")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign():
                yield self._replace(node, b"pass", "assignment left out")
            case ast.Return(value=ast.AST()) if not isinstance(node.value, ast.Constant):
                yield self._replace(node, b"return None", "returns None")
            case ast.Raise():
                yield self._replace(node, b"pass", "raise left out")
            case ast.Call():
                yield from self._without_keywords(node)
            case _:
                return

    def _without_keywords(self, node: ast.Call) -> Iterator[Mutation]:
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            start, end = self._span(keyword)
            before = self._source[:start].rstrip()
            if before.endswith(b","):
                yield Mutation(keyword.lineno, len(before) - 1, end, b"", f"{keyword.arg}= left out")
            elif self._source[end : end + 1] == b")":
                yield Mutation(keyword.lineno, start, end, b"", f"{keyword.arg}= left out")

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Iterator[Mutation]:
        start, end = self._span(left)[1], self._span(right)[0]
        at = self._source.find(old.encode(), start, end)
        if at >= 0:
            line = self._source.count(b"\n", 0, at) + 1
            yield Mutation(line, at, at + len(old), new.encode(), f"{old} is {new}")

    def _replace(self, node: Any, replacement: bytes, what: str) -> Mutation:
        start, end = self._span(node)
        return Mutation(node.lineno, start, end, replacement, what)

    def _called(self, node: ast.AST) -> str:
        if isinstance(node, ast.Await):
            node = node.value
        function = node.func if isinstance(node, ast.Call) else node
        if isinstance(function, ast.Attribute):
            return function.attr
        return function.id if isinstance(function, ast.Name) else ""

    def _text(self, node: ast.AST) -> bytes:
        start, end = self._span(node)
        return self._source[start:end]

    def _span(self, node: Any) -> tuple[int, int]:
        return (
            self._starts[node.lineno - 1] + node.col_offset, self._starts[node.end_lineno - 1] + node.end_col_offset,
        )
