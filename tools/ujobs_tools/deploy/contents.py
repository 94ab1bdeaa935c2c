"""The files for a board, compiled for its MicroPython: path on the board -> content."""

from pathlib import Path

from ujobs_tools.board.files import application_files, make_program_files
from ujobs_tools.board.interpreter import compile_module

from .ports import BoardError

MINIMUM = (1, 24, 0)  # of MicroPython
# Processor numbers in sys.implementation._mpy -> names for mpy-cross's -march (MicroPython documentation, "MicroPython
# .mpy files").
_PROCESSORS = (
    "", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)


def check_version(version: tuple[int, ...], mpy: int) -> None:
    """Check that ujobs, compiled by the installed mpy-cross, runs on the board. Raises BoardError if not.

    version, mpy: sys.implementation.version and _mpy of the board; 0 if it has none.
    """
    found = ".".join(map(str, version[:3]))
    if version < MINIMUM:
        needed = ".".join(map(str, MINIMUM[:2]))
        raise BoardError(f"the board runs MicroPython {found}; ujobs needs {needed} or later: see ujobs flash --help")
    made = compile_module(b"", "x.py", 0)[1]
    if mpy & 0xFF != made:
        loads = f"loads .mpy version {mpy & 0xFF}" if mpy else "does not load .mpy files"
        raise BoardError(f"MicroPython {found} on the board {loads}; mpy-cross on this computer writes version {made}")


def program() -> dict[str, bytes]:
    """Return boot.py, main.py, library and firmware, by path on the board. Raises InterpreterError, OSError."""
    return {f"/{name}": content for name, content in make_program_files().items()}


def application(app: Path, mpy: int) -> dict[str, bytes]:
    """Return an application's files, by path relative to its folder.

    app: a file, which becomes app.mpy, or a folder with app.py. Python files are compiled without optimisation, so
    `assert` works. mpy: sys.implementation._mpy of the board, for native code. Raises InterpreterError, OSError.
    """
    number = mpy >> 10 & 0xF
    processor = _PROCESSORS[number] if number < len(_PROCESSORS) else ""
    files = {}
    for name, path in application_files(app).items():
        content = path.read_bytes()
        if name.endswith(".py"):
            content, name = compile_module(content, name, 0, processor), name.removesuffix(".py") + ".mpy"
        files[name] = content
    return files
