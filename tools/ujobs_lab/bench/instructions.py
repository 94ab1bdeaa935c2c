"""Instructions that a program executes on MicroPython's unix port, counted by valgrind, without system calls.

They do not depend on the machine's load, and the ratio between two programs carries over to a board."""

import re
import shutil
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix

NOT_COUNTED = "Instructions are not counted: valgrind is not installed."
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")


def countable() -> bool:
    """Whether valgrind is installed."""
    return shutil.which(_VALGRIND[0]) is not None


def count(folder: Path, program: str, options: dict[str, Any], heap: str) -> int:
    """Instructions of a whole run. Arguments: as for on_unix.run. Raises on_unix.ProgramFailed."""
    match = _COUNTED.search(on_unix.run(folder, program, options, heap, _VALGRIND)[1])
    if match is None:
        raise on_unix.ProgramFailed("valgrind printed no instruction count")
    return int(match[1].replace(",", ""))
