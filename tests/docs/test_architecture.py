"""Every import complies with the table of ARCHITECTURE.md, which says which part may import which."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY

PAGE = (REPOSITORY / "ARCHITECTURE.md").read_text()
GROUND = "lib/ujobs/(ground)"
LIBRARY = REPOSITORY / "lib" / "ujobs"
TOOLS = REPOSITORY / "tools"
FIRMWARE = ("boot.py", "main.py", "firmware", "examples")
ON_BOARD = ("device", "on_board", "fakes")
"""Names of folders whose programs run on boards."""


def read_table() -> tuple[dict[str, set[str]], set[str]]:
    """The rooms that each room may import from, and the modules of `lib/ujobs/(ground)`."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*\|$", PAGE, re.M)]
    rooms = [name.strip("`") for name, _, _ in rows]
    tools = {room for room in rooms if room.startswith("ujobs_tools/")}
    allowed: dict[str, set[str]] = {"on a board": {"lib/ujobs", "firmware", GROUND}}
    for room, (_, _, cell) in zip(rooms, rows, strict=True):
        names = re.findall(r"`([^`]+)`", cell)
        if cell.startswith("every room of"):
            allowed[room] = tools
        else:
            allowed[room] = {f"ujobs_tools/{name}" if room in tools else name for name in names}
        if "lib/ujobs" in (room, *allowed[room]):
            allowed[room].add(GROUND)
    ground = next(contents for name, contents, _ in rows if name.strip("`") == GROUND)
    return allowed, set(re.findall(r"`(\w+)`", ground))


ALLOWED, GROUND_MODULES = read_table()
FOLDERS = ("firmware", "examples", "lib/ujobs", "tools/ujobs_tools", "tools/ujobs_lab")
MODULES = [REPOSITORY / "boot.py", REPOSITORY / "main.py"]
MODULES += sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))


def room_of_module(name: str) -> str | None:
    """The room of a module by its dotted name; None for foreign modules and for the top of a package."""
    package, *rest = name.split(".")
    if package == "ujobs":
        if rest[:1] == ["handlers"]:
            return "lib/ujobs/handlers"
        above = rest and rest[0] not in GROUND_MODULES and (LIBRARY / f"{rest[0]}.py").exists()
        return "lib/ujobs" if above else GROUND
    if package == "firmware":
        return "firmware"
    if package == "ujobs_tools" and rest and (TOOLS / "ujobs_tools" / rest[0]).is_dir():
        return f"ujobs_tools/{rest[0]}"
    return "ujobs_lab" if package == "ujobs_lab" else None


def room_of_file(path: Path) -> str | None:
    """The room of a file; "on a board" for programs of the tools that run on boards."""
    parts = path.relative_to(REPOSITORY).parts
    if parts[0] == "tools":
        if any(folder in ON_BOARD for folder in parts):
            return "on a board"
        return room_of_module(".".join(parts[1:]).removesuffix(".py"))
    if parts[0] == "lib":
        return room_of_module(".".join(parts[1:]).removesuffix(".py"))
    return parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import in a file, except those for type checkers only."""
    package = path.relative_to(LIBRARY.parent).parent.parts if path.is_relative_to(LIBRARY) else ()
    if path.is_relative_to(TOOLS):
        package = path.relative_to(TOOLS).parent.parts
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("_TYPING", "TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(path: Path) -> Iterator[str]:
    room = room_of_file(path)
    for line, name in imports(path):
        other = room_of_module(name)
        if room is None or other is None or other == room:
            continue
        if other not in ALLOWED[room] and not (room == "ujobs_lab" and name.startswith("ujobs.")):
            yield f"{path.relative_to(REPOSITORY)}:{line}: {room} may not import from {other} ({name})"


def test_imports_comply_with_the_table() -> None:
    found = [text for path in MODULES for text in violations(path)]
    assert not found, "\n".join(["forbidden by the table of ARCHITECTURE.md:", *found])


@pytest.mark.parametrize(("file", "line", "room", "other"), [
    ("lib/ujobs/link.py", "from .agent import Agent", GROUND, "lib/ujobs"),
    ("lib/ujobs/agent.py", "from ujobs_tools.aws import jobs", "lib/ujobs", "ujobs_tools/aws"),
    ("tools/ujobs_tools/service/engine.py", "import ujobs.agent", "ujobs_tools/service", "lib/ujobs"),
    ("tools/ujobs_tools/aws/jobs.py", "from ..service import engine", "ujobs_tools/aws", "ujobs_tools/service"),
    ("tools/ujobs_tools/demo/run.py", "from ujobs_lab import bench", "ujobs_tools/demo", "ujobs_lab"),
    ("tools/ujobs_tools/qualify/device/app.py", "import ujobs_tools.keys.pki", "on a board", "ujobs_tools/keys"),
])  # fmt: skip
def test_a_forbidden_import_names_both_rooms(
    monkeypatch: pytest.MonkeyPatch, file: str, line: str, room: str, other: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: line)
    (said,) = violations(REPOSITORY / file)
    assert f"{file}:1: {room} may not import from {other} (" in said


def test_every_room_is_in_the_table() -> None:
    folders = {f"ujobs_tools/{path.parent.name}" for path in (TOOLS / "ujobs_tools").glob("*/__init__.py")}
    assert {room for room in ALLOWED if room.startswith("ujobs_tools/")} == folders
    assert set(FIRMWARE) <= ALLOWED.keys()
    assert {path.stem for path in LIBRARY.glob("*.py")} >= GROUND_MODULES


def test_rooms_of_the_tools_do_not_import_each_other_in_a_circle() -> None:
    order: list[str] = []
    waiting = {room: set(others) for room, others in ALLOWED.items() if room.startswith("ujobs_tools/")}
    while waiting:
        free = [room for room, others in waiting.items() if others - {room} <= set(order)]
        assert free, f"a circle in ARCHITECTURE.md: {sorted(waiting)}"
        order += free
        for room in free:
            del waiting[room]
