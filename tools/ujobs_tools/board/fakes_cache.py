"""The fakes compiled: loading .mpy leaves the board's small heap in one piece, compiling there would not."""

import os
from pathlib import Path

from .interpreter import compile_module

FAKES = Path(__file__).parent / "fakes"
HIDDEN_NAME = "<board>"
"""What tracebacks call stage0, which is not part of the program that runs on the board."""


def compiled_fakes() -> Path:
    """The folder of compiled fakes, brought up to date.

    Raises InterpreterError if a fake does not compile, OSError if the folder cannot be written.
    """
    folder = _folder()
    for source in FAKES.glob("*.py"):
        target = folder / f"{source.stem}.mpy"
        if target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns:
            continue
        name = HIDDEN_NAME if source.stem == "stage0" else source.name
        part = target.with_suffix(f".{os.getpid()}")
        part.write_bytes(compile_module(source.read_bytes(), name, 2))
        times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
        os.utime(part, ns=times)
        part.replace(target)
    return folder


def _folder() -> Path:
    """Where Python keeps compiled files, too; in an installation that belongs to another user, the user's cache."""
    beside = FAKES / "__pycache__"
    if os.access(beside if beside.exists() else FAKES, os.W_OK):
        beside.mkdir(exist_ok=True)
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ujobs" / "fakes"
    cache.mkdir(parents=True, exist_ok=True)
    return cache
