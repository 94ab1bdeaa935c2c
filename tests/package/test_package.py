"""The files that `mpremote mip install` installs and firmware/manifest.py freezes are those of the library."""

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ujobs

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "lib" / "ujobs"
CORE = json.loads((ROOT / "package.json").read_text())
PARTS = {path.stem.removeprefix("ujobs-"): json.loads(path.read_text()) for path in (ROOT / "lib").glob("ujobs-*.json")}
HANDLERS = {path.stem for path in (LIBRARY / "handlers").glob("*.py")} - {"__init__"}


def modules() -> set[str]:
    """Return all files of the library, as paths relative to lib/."""
    return {path.relative_to(ROOT / "lib").as_posix() for path in LIBRARY.rglob("*.py")}


def targets(package: dict[str, Any]) -> set[str]:
    return {target for target, _ in package["urls"]}


def imported(module: str) -> set[str]:
    """Return the modules of the library that a module imports, anywhere in its code."""
    tree = ast.parse((ROOT / "lib" / module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "_TYPING":
            node.body = []  # for type checkers only
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = Path(module).parents[node.level - 1].as_posix()
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {_file(folder, name) for name in names}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lend":
            # An import for one call only.
            found.add(_file("ujobs", ast.literal_eval(node.args[0])))
    found.discard("")
    if module != "ujobs/handlers/__init__.py" and re.search(
        r"__import__\(|handlers\.run\(", (ROOT / "lib" / module).read_text()
    ):
        # Imported by name: the application names the handlers.
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        found |= {name for name in modules() if Path(name).parent == Path(module).parent and Path(name).stem in texts}
    return found


def _file(folder: str, name: str) -> str:
    """Return the file of a module or package; nothing for a function of the package."""
    candidates = (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py")
    return next((file for file in candidates if file in modules()), "")


def closure(*names: str) -> set[str]:
    """Return modules with all their direct and indirect imports."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        module = waiting.pop()
        found.add(module)
        if module.startswith("ujobs/handlers/"):
            waiting.add("ujobs/handlers/__init__.py")
        waiting |= imported(module)
        waiting -= found
    return found


def test_package_json_is_the_core_and_no_more() -> None:
    core = closure("ujobs/__init__.py")
    assert "ujobs/agent.py" in core
    assert targets(CORE) == core
    assert all(source == f"lib/{target}" for target, source in CORE["urls"])
    assert CORE["deps"] == [["umqtt.simple", "latest"]]


def test_every_handler_has_a_package() -> None:
    assert set(PARTS) == HANDLERS | {"provisioning"}


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_package_contains_its_dependencies_besides_the_core(name: str) -> None:
    start = f"ujobs/handlers/{name}.py" if name in HANDLERS else f"ujobs/{name}.py"
    assert targets(PARTS[name]) == closure(start) - targets(CORE)
    # mip appends these paths to the URL of the package's folder, so ".." would stay in the URL.
    assert all(source == target for target, source in PARTS[name]["urls"])
    assert PARTS[name]["deps"] == []


def test_the_packages_together_are_the_library() -> None:
    assert set().union(targets(CORE), *map(targets, PARTS.values())) == modules()


def test_the_manifest_freezes_the_library_and_the_board_glue() -> None:
    packages: dict[str, dict[str, Any]] = {}
    required: list[str] = []
    names = {
        "include": lambda path: None,
        "require": required.append,
        "package": lambda name, **options: packages.update({name: options}),
    }
    exec((ROOT / "firmware" / "manifest.py").read_text(), names)
    folders = {(ROOT / "firmware" / options["base_path"] / name).resolve() for name, options in packages.items()}
    assert folders == {LIBRARY, ROOT / "firmware"}
    assert "files" not in packages["ujobs"]  # the complete library
    glue = {path.name for path in (ROOT / "firmware").glob("*.py")} - {"manifest.py"}
    assert set(packages["firmware"]["files"]) == glue
    assert required == [name for name, _ in CORE["deps"]]


def test_the_version_is_in_one_place_and_the_changelog_begins_with_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == (LIBRARY / "__init__.py").relative_to(ROOT).as_posix()
    latest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert latest.rstrip(",") == ujobs.__version__
    assert not any("version" in package for package in (CORE, *PARTS.values()))
    texts = [path for folder in ("lib", "tools", "firmware", "docs") for path in (ROOT / folder).rglob("*")]
    texts = [path for path in texts if path.suffix in (".py", ".md", ".json", ".toml")]
    named = re.compile(rf"ujobs\D{{0,20}}{re.escape(ujobs.__version__)}")
    assert [path for path in (*texts, ROOT / "README.md") if named.search(path.read_text())] == []


def test_pages_and_packages_name_the_place_that_is_set() -> None:
    place = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ujobs"]["mip"]
    pages = [path for folder in (".", "docs", "docs/handlers", "examples") for path in (ROOT / folder).glob("*.md")]
    packages = [ROOT / "package.json", *(ROOT / "lib").glob("*.json")]
    found = {
        named
        for path in (*pages, *packages)
        for named in re.findall(r"(?:github|gitlab|codeberg):[\w.-]+/[\w.-]+", path.read_text())
    }
    assert found == {place}
