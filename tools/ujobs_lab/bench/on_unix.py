"""Runs the programs of on_board/ on MicroPython's unix port, with the library compiled as for a board."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ujobs_lab import REPOSITORY
from ujobs_tools.board import interpreter, umqtt
from ujobs_tools.board.interpreter import compile_module, find_micropython

ON_BOARD = Path(__file__).parent / "on_board"
LIBRARY = REPOSITORY / "lib" / "ujobs"
CORE = ("__init__", "link", "journal", "agent")
_OPTIMISE = 2
_PATIENCE = 300  # seconds


class ProgramFailed(Exception):
    """A program on MicroPython failed; the message contains the end of its output."""


def compile_programs(folder: Path) -> None:
    """Compile the library, umqtt.simple and the programs of on_board/ into a folder.

    umqtt.simple is compiled at -O0, because it checks received data with `assert`; everything else at -O2.
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
    """The command line of a program. heap: value for MicroPython's -X heapsize, with 64-bit words."""
    # Only this line is compiled on MicroPython, so keep it short. The interpreter keeps the path of every module: it
    # must not be longer than a board's.
    start = (
        f"import os, sys; os.chdir({str(folder.parent)!r}); sys.path[:] = [{folder.name!r}, '.frozen']; "
        f"import {program}; {program}.main()"
    )
    return [str(find_micropython()), "-X", f"heapsize={heap}", "-c", start]


def environment(options: dict[str, Any]) -> dict[str, str]:
    """The environment of a program with these options: this process's, without MicroPython's own variables."""
    # An environment variable, because MicroPython limits arguments to 255 bytes.
    return interpreter.environment() | {"UJOBS_BENCH": json.dumps(options)}


def run(
    folder: Path, program: str, options: dict[str, Any], heap: str = "1m", under: Sequence[str] = (),
    patience: float = _PATIENCE,
) -> tuple[dict[str, Any], str]:
    """Run a program to its end; returns the JSON object that it printed last, and its stderr.

    under: a command that runs it, such as valgrind. patience: seconds. Raises ProgramFailed.
    """
    return run_command([*under, *command(folder, program, heap)], program, options, patience)


def run_command(
    line: Sequence[str | Path], program: str, options: dict[str, Any], patience: float = _PATIENCE
) -> tuple[dict[str, Any], str]:
    """The same with any command line. program: its name in error messages. Raises ProgramFailed."""
    done = finished(line, program, options, patience)
    return result(done.stdout), done.stderr


def finished(
    line: Sequence[str | Path], program: str, options: dict[str, Any], patience: float = _PATIENCE
) -> subprocess.CompletedProcess[str]:
    """The same; returns the process, with all that it printed. Raises ProgramFailed."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, env=environment(options), timeout=patience)
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{program} did not end within {patience:g} s") from None
    if done.returncode:
        raise ProgramFailed(f"{program}: " + "\n".join((done.stdout + done.stderr).splitlines()[-20:]))
    return done


def result(output: str) -> dict[str, Any]:
    """The JSON object in the last line of an output. Raises ProgramFailed if there is none."""
    lines = output.splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise ProgramFailed("\n".join(lines[-20:]) or "no output") from None
    return found
