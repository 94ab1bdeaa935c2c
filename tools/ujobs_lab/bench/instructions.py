"""Instructions of a program on MicroPython's unix port, as valgrind counts them: those of the process, not those of the
system. They do not depend on the machine's load, and in the proportion between two programs carry over to a board."""

import re
import shutil
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix

NOT_COUNTED = "Instructions are not counted here: that takes valgrind."
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")


def countable() -> bool:
    """Whether valgrind is installed."""
    return shutil.which(_VALGRIND[0]) is not None


def count(folder: Path, program: str, options: dict[str, Any], heap: str) -> int:
    """Of a whole run; arguments as on_unix.run has them. Raises on_unix.ProgramFailed."""
    match = _COUNTED.search(on_unix.run(folder, program, options, heap, _VALGRIND)[1])
    if match is None:
        raise on_unix.ProgramFailed("valgrind has counted nothing")
    return int(match[1].replace(",", ""))
