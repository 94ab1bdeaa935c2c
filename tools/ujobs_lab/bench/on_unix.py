"""Programs of on_board/ on MicroPython's unix port, with the library compiled as a board has it."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ujobs_lab import REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import compile_module, find_micropython

ON_BOARD = Path(__file__).parent / "on_board"
LIBRARY = REPOSITORY / "lib" / "ujobs"
CORE = ("__init__", "link", "journal", "agent")
_OPTIMISE = 2
_PATIENCE = 300  # seconds


class ProgramFailed(Exception):
    """A program on MicroPython ended with an error; the text has what it printed last."""


def compile_programs(folder: Path) -> None:
    """Put the library, umqtt.simple and the programs of on_board/ into a folder as .mpy.

    umqtt.simple, which checks what it receives with `assert`, at -O0, all else at -O2.
    """
    sources = [(LIBRARY.parent, path, _OPTIMISE) for path in sorted(LIBRARY.rglob("*.py"))]
    client = umqtt.find()[0]
    sources.append((client, client / "umqtt" / "simple.py", 0))
    sources += [(ON_BOARD, path, _OPTIMISE) for path in sorted(ON_BOARD.glob("*.py"))]
    for root, path, level in sources:
        target = (folder / path.relative_to(root)).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compile_module(path.read_bytes(), path.name, level))


def command(folder: Path, program: str, heap: str = "1m") -> list[str]:
    """The command line that runs a program. heap: of MicroPython's -X heapsize, where a word has 8 bytes."""
    # Short: it is what this interpreter has to compile; the rest is compiled already.
    start = f"import sys; sys.path[:] = [{str(folder)!r}, '.frozen']; import {program}; {program}.main()"
    return [str(find_micropython()), "-X", f"heapsize={heap}", "-c", start]


def environment(options: dict[str, Any]) -> dict[str, str]:
    """That of a program with these options: this process's, without what would change MicroPython's ways."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
    # MicroPython takes no argument of more than 255 bytes.
    return kept | {"UJOBS_BENCH": json.dumps(options)}


def run(
    folder: Path, program: str, options: dict[str, Any], heap: str = "1m", under: Sequence[str] = (),
    patience: float = _PATIENCE,
) -> tuple[dict[str, Any], str]:
    """Run a program to its end; what it printed last, which is a JSON object, and all it wrote on stderr.

    under: a command that is to run it. patience: seconds. Raises ProgramFailed.
    """
    return run_command([*under, *command(folder, program, heap)], program, options, patience)


def run_command(
    line: Sequence[str | Path], program: str, options: dict[str, Any], patience: float = _PATIENCE
) -> tuple[dict[str, Any], str]:
    """The same with a command line of one's own. program: what an error calls it. Raises ProgramFailed."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, env=environment(options), timeout=patience)
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{program} did not end within {patience:g} s") from None
    if done.returncode:
        raise ProgramFailed(f"{program}: " + "\n".join((done.stdout + done.stderr).splitlines()[-20:]))
    return result(done.stdout), done.stderr


def result(output: str) -> dict[str, Any]:
    """What a program prints last. Raises ProgramFailed when it is not a JSON object."""
    lines = output.splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise ProgramFailed("\n".join(lines[-20:]) or "no output") from None
    return found
