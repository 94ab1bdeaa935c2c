"""`make api`: writes docs/api.md from the docstrings and annotations of lib/ujobs.

The sources are parsed, not imported. The page lists what applications call, top layer first, with the first paragraph
of each module's docstring. Everything else is documented in the sources.
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ujobs_lab import REPOSITORY

# By module: the names that applications use, each with the members that the page shows.
USED: dict[str, dict[str, tuple[str, ...]]] = {
    "agent": {
        "Reject": (), "JobsError": (), "Requests": ("request",), "Agent": ("on", "use", "confirm", "run"),
    },
    "job": {"Job": ("checkpoint", "save", "progress", "tick", "note", "noted", "check_in", "renew")},
    "gate": {"Waiting": ()},
    "client": {
        "Execution": (), "JobsClient": ("get_pending", "start_next", "describe", "update"),
    },
    "link": {"Link": ("subscribe", "unsubscribe", "publish", "disconnect", "run")},
    "journal": {"Journal": ()},
    "certificates": {"tls_context": ()},
}
_LIBRARY = REPOSITORY / "lib" / "ujobs"
_PAGE = REPOSITORY / "docs" / "api.md"
_HEAD = """# API

What can your application call? `make api` generates this page from the docstrings of `lib/ujobs`; modules that only
the library itself uses are documented in their sources.

{names}

{modules}
"""
_WIDTH = 120
_PARAGRAPH = "\n\n"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def render(library: Path = _LIBRARY) -> str:
    """The page as Markdown. Raises KeyError if a name in USED is missing or has no docstring."""
    trees = {name: ast.parse((library / f"{name}.py").read_text()) for name in USED}
    names = ", ".join(f"`{name}`" for name in short_names(library))
    modules = ", ".join(f"[{name}](#ujobs{name})" for name in trees)
    found = textwrap.fill(f"`from ujobs import …` finds these names: {names}.", _WIDTH)
    lines = [_HEAD.format(names=found, modules=textwrap.fill(f"Modules: {modules}.", _WIDTH))]
    for name, tree in trees.items():
        lines.append(f"\n## ujobs.{name}\n\n{_docstring(tree).partition(_PARAGRAPH)[0]}\n")
        lines += _entries(tree, USED[name])
    return "".join(lines)


def short_names(library: Path = _LIBRARY) -> list[str]:
    """The names that ujobs/__init__.py imports on first use."""
    for node in ast.parse((library / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_WHERE":
            # And each class that its module has the name of.
            named = [one for module in USED for one in USED[module] if one.lower() == module]
            return sorted([*ast.literal_eval(node.value), *named])
    raise ValueError(f"no _WHERE in {library}/__init__.py")


def _entries(tree: ast.Module, used: dict[str, tuple[str, ...]]) -> Iterator[str]:
    constants = _constants(tree)
    found = _documented(tree.body)
    for name, members in used.items():
        node = found[name]
        if isinstance(node, _Function):
            yield f"\n### {name}\n" + _entry(node, _signature(node, False, constants))
            continue
        made = [each for each in node.body if isinstance(each, _Function) and each.name == "__init__"]
        base = f", a kind of {ast.unparse(node.bases[0])}" if node.bases else ""
        yield f"\n### class {name}{base}\n"
        yield _entry(node, _call(name, made[0], True, constants) if made else f"{name}(text)")
        inside = _documented(node.body)
        for member in members:
            method = inside[member]
            assert isinstance(method, _Function), member
            yield f"\n#### {name}.{member}\n" + _entry(method, _signature(method, True, constants))


def _documented(body: list[ast.stmt]) -> dict[str, ast.ClassDef | _Function]:
    nodes = [node for node in body if isinstance(node, ast.ClassDef | _Function)]
    return {node.name: node for node in nodes if ast.get_docstring(node)}


def _entry(node: ast.ClassDef | _Function, signature: str) -> str:
    # Break lines between arguments only.
    text = signature.replace(" ", "\xa0").replace(",\xa0", ", ")
    lines = [line.replace("\xa0", " ") for line in textwrap.wrap(text, _WIDTH, subsequent_indent="    ")]
    return "\n".join(["", "```python", *lines, "```", "", _docstring(node), ""])


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            value = node.value
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "const":
                value = value.args[0]
            found[node.targets[0].id] = value
    return found


def _docstring(node: ast.Module | ast.ClassDef | _Function) -> str:
    return ast.get_docstring(node) or ""


def _signature(node: _Function, is_method: bool, constants: dict[str, ast.expr]) -> str:
    result = f" -> {_annotation(node.returns)}" if node.returns else ""
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return node.name + result.replace(" ->", ":")
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{kind} {_call(node.name, node, is_method, constants)}{result}"


def _call(name: str, node: _Function, is_method: bool, constants: dict[str, ast.expr]) -> str:
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg) and argument.annotation is not None:
            argument.annotation = _unquoted(argument.annotation)
    # Replace constants in defaults by their values, because readers do not know the constants.
    node.args.defaults = [
        constants.get(each.id, each) if isinstance(each, ast.Name) else each for each in node.args.defaults
    ]
    if is_method:
        del node.args.args[0]
    return f"{name}({ast.unparse(node.args).replace('=', ' = ')})"


def _annotation(node: ast.expr) -> str:
    return ast.unparse(_unquoted(node))


def _unquoted(node: ast.expr) -> ast.expr:
    # Annotations in quotes, which cost nothing on a board: "protocol.Any" becomes Any.
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value.replace("protocol.", ""), mode="eval").body
    return node


def main() -> None:
    """Write the page."""
    _PAGE.write_text(render())
    print(_PAGE.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
