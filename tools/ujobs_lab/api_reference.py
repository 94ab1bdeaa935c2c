"""docs/api.md, made from the docstrings and annotations of lib/ujobs: `make api`.

The sources are read, not imported. Everything public is in it, that is what has a docstring and a name without
an underscore in front, in the order of the floors from the top.
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ujobs_lab import REPOSITORY

MODULES = (
    "agent", "job", "client", "link", "journal", "details", "surrogates", "restore", "certificates", "trial",
    "provisioning", "streams", "cbor", "download", "fetch", "flash", "verify", "versions", "gate",
)
_LIBRARY = REPOSITORY / "lib" / "ujobs"
_PAGE = REPOSITORY / "docs" / "api.md"
_HEAD = """# API

Made from the docstrings of `lib/ujobs` by `make api`. The handlers that come with ujobs are described by their job
documents, see [handlers](handlers/README.md).

{names}

| module | |
|---|---|
"""
_WIDTH = 120
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def render(library: Path = _LIBRARY) -> str:
    """The page as Markdown."""
    trees = {name: ast.parse((library / f"{name}.py").read_text()) for name in MODULES}
    names = ", ".join(f"`{name}`" for name in _short_names(library))
    lines = [_HEAD.format(names=textwrap.fill(f"Names that `from ujobs import …` finds: {names}.", _WIDTH))]
    for name, tree in trees.items():
        title = f"ujobs.{name}"
        lines.append(f"| [{title}](#{title.replace('.', '')}) | {_first_sentence(tree)} |\n")
    for name, tree in trees.items():
        lines.append(f"\n## ujobs.{name}\n\n{_docstring(tree)}\n")
        lines += _members(tree)
    return "".join(lines)


def _short_names(library: Path) -> list[str]:
    # What ujobs/__init__.py imports when it is used.
    for node in ast.parse((library / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_WHERE":
            return list(ast.literal_eval(node.value))
    raise ValueError(f"no _WHERE in {library}/__init__.py")


def _members(tree: ast.Module) -> Iterator[str]:
    constants = _constants(tree)
    shown = [f"`{name}`" for name in constants if not name.startswith("_")]
    if shown:
        yield "\n" + textwrap.fill(f"Constants: {', '.join(shown)}.", _WIDTH) + "\n"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and _is_public(node):
            made = [each for each in node.body if isinstance(each, _Function) and each.name == "__init__"]
            base = f", a kind of {ast.unparse(node.bases[0])}" if node.bases else ""
            yield f"\n### class {node.name}{base}\n"
            yield _entry(node, _call(node.name, made[0], True, constants) if made else f"{node.name}(text)")
            for member in node.body:
                if isinstance(member, _Function) and _is_public(member):
                    yield f"\n#### {node.name}.{member.name}\n" + _entry(member, _signature(member, True, constants))
        elif isinstance(node, _Function) and _is_public(node):
            yield f"\n### {node.name}\n" + _entry(node, _signature(node, False, constants))


def _entry(node: ast.ClassDef | _Function, signature: str) -> str:
    # Broken between arguments only.
    text = signature.replace(" ", "\xa0").replace(",\xa0", ", ")
    lines = [line.replace("\xa0", " ") for line in textwrap.wrap(text, _WIDTH, subsequent_indent="    ")]
    return "\n".join(["", "```python", *lines, "```", "", _docstring(node), ""])


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            found[node.targets[0].id] = node.value
    return found


def _is_public(node: ast.ClassDef | _Function) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is not None


def _docstring(node: ast.Module | ast.ClassDef | _Function) -> str:
    return ast.get_docstring(node) or ""


def _first_sentence(tree: ast.Module) -> str:
    paragraph = " ".join(_docstring(tree).split("\n\n")[0].split())
    end = paragraph.find(". ")
    return paragraph[: end + 1] if end > 0 else paragraph


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
    # A default that only the module has a name for.
    node.args.defaults = [
        constants.get(each.id, each) if isinstance(each, ast.Name) else each for each in node.args.defaults
    ]
    if is_method:
        del node.args.args[0]
    return f"{name}({ast.unparse(node.args).replace('=', ' = ')})"


def _annotation(node: ast.expr) -> str:
    return ast.unparse(_unquoted(node))


def _unquoted(node: ast.expr) -> ast.expr:
    # "protocol.Any" for one that costs nothing on a board: Any.
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value.replace("protocol.", ""), mode="eval").body
    return node


def main() -> None:
    """Write the page."""
    _PAGE.write_text(render())
    print(_PAGE.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
