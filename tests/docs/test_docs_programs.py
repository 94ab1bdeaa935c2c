"""Programs in the documentation call the library as it is: each name exists, and the arguments fit."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from documented import relative
from test_docs import PAGES


def programs(text: str) -> list[str]:
    """The Python programs in a page that import from ujobs: fenced, or indented."""
    text = re.sub(r"(?sm)^```python\n(.*?)^```", lambda fenced: textwrap.indent(fenced[1], "    "), text)
    found = [textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n|^\n)+", text, re.M)]
    return [program for program in found if re.search(r"^(?:from|import) ujobs\b", program, re.M)]


def misfits(program: str) -> list[str]:
    """Calls of ujobs in a program that the library does not accept, each with the reason."""
    tree = ast.parse(program)
    known = dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known.setdefault(node.targets[0].id, _made(node.value, known))
    return [
        f"{ast.unparse(node)}: {error}" for node in ast.walk(tree) if isinstance(node, ast.Call)
        for error in [_error(node, known)] if error
    ]


def _imported(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ujobs":
            module = importlib.import_module(node.module or "")
            for name in node.names:
                yield name.asname or name.name, getattr(module, name.name)


def _made(value: ast.expr, known: dict[str, Any]) -> Any:
    # The class whose object an expression makes, None for anything else.
    made = known.get(value.func.id) if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else None
    return made if isinstance(made, type) else None


def _error(call: ast.Call, known: dict[str, Any]) -> str:
    arguments: list[Any] = [None] * len(call.args)
    function = known.get(call.func.id) if isinstance(call.func, ast.Name) else None
    if isinstance(call.func, ast.Attribute):
        owner = known.get(call.func.value.id) if isinstance(call.func.value, ast.Name) else None
        owner = owner or _made(call.func.value, known)
        if owner is None or isinstance(owner, ModuleType):
            return ""
        function = getattr(owner, call.func.attr, None)
        if function is None:
            return f"{owner.__name__} has no {call.func.attr}"
        arguments.append(None)  # self
    if not inspect.isroutine(function) and (not isinstance(function, type) or issubclass(function, Exception)):
        return ""
    try:
        inspect.signature(function).bind(*arguments, **{one.arg: None for one in call.keywords if one.arg})
    except TypeError as error:
        return str(error)
    return ""


CASES = [
    pytest.param(program, id=f"{relative(page)}-{number}") for page in PAGES
    for number, program in enumerate(programs(page.read_text()))
]


@pytest.mark.parametrize("program", CASES)
def test_programs_call_the_library_as_it_is(program: str) -> None:
    assert misfits(program) == []


def test_what_does_not_fit_is_found() -> None:
    assert len(CASES) > 3
    page = "Text:\n\n    from ujobs import Agent\n\n    agent = Agent('kiln')\n\nText.\n\n```python\nimport os\n```\n"
    (program,) = programs(page)
    assert misfits(program) == []
    for wrong in (
        "Agent()", "Agent(thong='kiln')", "agent.work()", "agent.on()", "agent.run(1, 2)", "Agent('a').stop()",
    ):
        assert len(misfits(program + wrong)) == 1, wrong
