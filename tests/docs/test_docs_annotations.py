"""Every public function and method of the library is annotated, at no cost on a board."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY
from ujobs_tools.board.interpreter import compile_module

MODULES = sorted((REPOSITORY / "lib" / "ujobs").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Name, function, and whether it is a method, for everything that users may call."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, Function) and (member.name == "__init__" or not member.name.startswith("_")):
                    yield f"{node.name}.{member.name}", member, True


def not_annotated(tree: ast.Module) -> list[str]:
    """Missing annotations, as "function: parameter" or "function: return"."""
    found = []
    for name, function, is_method in public_functions(tree):
        given = function.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        parameters += [extra for extra in (given.vararg, given.kwarg) if extra]
        found += [f"{name}: {each.arg}" for each in parameters[is_method:] if each.annotation is None]
        if function.returns is None and function.name != "__init__":
            found.append(f"{name}: return")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_public_function_is_annotated(module: Path) -> None:
    assert not_annotated(ast.parse(module.read_text())) == []


def test_missing_annotations_are_found() -> None:
    tree = ast.parse("def f(a, *b: int): pass\ndef _g(a): pass\nclass C:\n    async def m(self, *, d) -> None: pass\n")
    assert not_annotated(tree) == ["f: a", "f: return", "C.m: d"]


class _Bare(ast.NodeTransformer):
    # Removes annotations and other code for type checkers only.
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._bare(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._bare(node)

    def _bare(self, node: Function) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        for argument in (*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg):
            if argument:
                argument.annotation = None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return None if ast.unparse(node.test) == "_TYPING" else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.Assign([node.target], node.value, lineno=node.lineno)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_annotations_cost_nothing_on_a_board(module: Path) -> None:
    source = module.read_text()
    bare = ast.unparse(_Bare().visit(ast.parse(source)))
    # Compile at -O3, without line numbers, because the lines of the two texts differ.
    typed = ast.unparse(ast.parse(source))
    assert compile_module(typed.encode(), "module.py", 3) == compile_module(bare.encode(), "module.py", 3)

