"""Heap with the library in flash, until connected and idle, on MicroPython's unix port: imported from a ROMFS, from
.mpy files, and by hand.

In a ROMFS, bytecode and constant strings stay in flash. Here the ROMFS image is in the heap, but is not counted. Words
have 64 bits; with 32 bits everything is smaller. umqtt.simple, the application and the measuring code come from the
file system in all three cases. Network and steps are those of section ram.

MicroPython's table of names doubles when it is full. Names that only the measurement brings are on no board: in each
program the table counts with the size that it would have without them."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ujobs_lab.bench import heap_steps, on_unix
from ujobs_lab.bench.heap_steps import Figures, Step, idle_bytes
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.board.interpreter import find_micropython

_PROGRAM = on_unix.ON_BOARD / "heap_after_steps.py"
_FILES, _ROM, _BY_HAND = "ujobs from files", "ujobs in ROM", "by hand"
_SIZE = 1024  # bytes of a job document
_HEAP = "2m"  # includes the image, and is large enough that no garbage is collected between measurements
_MEASUREMENT = "measurement"  # the step that imports what measures
_OF_A_JOB = {"name": "job", "run": "import ujobs.job, ujobs.restore"}
_POOL = 48  # bytes of each part of the table of names besides its entries; py/qstr.h
_FIRST_POOL = 20  # names
_ENTRY = 11  # bytes
_BLOCK = 32  # bytes; the heap is given out in these


def measure() -> dict[str, Any]:
    """Heap after each step, for all three. Raises on_unix.ProgramFailed, and subprocess.CalledProcessError if the image
    cannot be built."""
    ours, theirs = heap_steps.of_ujobs(_SIZE), heap_steps.by_hand(_SIZE)
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        root = Path(temporary) / "root"
        on_unix.compile_programs(root / "lib")
        found = {_FILES: _run(root, ours), _BY_HAND: _run(root, theirs)}
        rom = Path(temporary) / "rom" / "lib"
        rom.mkdir(parents=True)
        # Move, do not copy: the library must be importable from the image only.
        shutil.move(root / "lib" / "ujobs", rom)
        return found | {_ROM: _run(root, ours, image=_image(rom.parent))}


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    return {"idle_bytes": idle_bytes(found[_ROM]) - idle_bytes(found[_BY_HAND])}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    title = "Heap added until connected and idle, 64-bit words, bytes"
    programs = {name: found[name] for name in (_FILES, _ROM, _BY_HAND)}
    return [heap_steps.idle_sheet(title, programs)]


def _image(folder: Path) -> Path:
    image = folder.with_suffix(".romfs")
    command = [sys.executable, "-m", "mpremote", "romfs", "--output", image, "build", folder]
    subprocess.run(command, check=True, capture_output=True)
    return image


def table_bytes(names: int) -> int:
    """Heap of MicroPython's table with so many names: each part of it holds twice as many as the one before."""
    held, entries = 0, _FIRST_POOL
    while names > 0:
        held += -(-(_POOL + _ENTRY * entries) // _BLOCK) * _BLOCK
        names -= entries
        entries *= 2
    return held


def _run(root: Path, steps: list[Step], **files: Path) -> list[Figures]:
    names = [step["name"] for step in steps]
    # Names that the program has, too, are not the measurement's: here it comes last.
    measurement = steps[names.index(_MEASUREMENT)]
    program = [step for step in steps if step is not measurement and "until" not in step]
    if any(name.startswith("ujobs.") for name in names):
        program.append(_OF_A_JOB)
    *_, before, after = _measured(root, [*program, measurement], files)
    own = after["names"] - before["names"]
    found = _measured(root, steps, files)
    for one in found[names.index(_MEASUREMENT) :]:
        one["live"] -= table_bytes(one["names"]) - table_bytes(one["names"] - own)
    return found


def _measured(root: Path, steps: list[Step], files: dict[str, Path]) -> list[Figures]:
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", _PROGRAM]
    options = {"folder": str(root), "steps": steps} | {name: str(path) for name, path in files.items()}
    output = on_unix.finished(command, _PROGRAM.stem, options).stdout
    found: list[Figures] = on_unix.result(output)["steps"]
    for one, names in zip(found, re.findall(r"n_qstr=(\d+)", output), strict=True):
        one["names"] = int(names)
    return found
