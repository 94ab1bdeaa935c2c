"""Compiles the fakes on the host: compiling them on the board would fragment its small heap."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from .interpreter import compile_module

FAKES = Path(__file__).parent / "fakes"
HIDDEN_NAME = "<board>"
"""File name in tracebacks of the fakes that do what is C on a real board."""
_HIDDEN = ("stage0", "board_imports")


def compiled_fakes() -> Path:
    """Compile the fakes that have changed; returns the folder of compiled fakes.

    Raises InterpreterError if a fake does not compile, OSError if the folder is not writable.
    """
    folder = _folder()
    for source in FAKES.glob("*.py"):
        target = folder / f"{source.stem}.mpy"
        if target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns:
            continue
        name = HIDDEN_NAME if source.stem in _HIDDEN else source.name
        part = target.with_suffix(f".{os.getpid()}")
        part.write_bytes(compile_module(source.read_bytes(), name, 2))
        times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
        os.utime(part, ns=times)
        part.replace(target)
    return folder


def _folder() -> Path:
    """Return __pycache__ next to the fakes; if another user owns the installation, a folder in the user's cache, or in
    the temporary folder if the user has none that is writable."""
    own = FAKES / "__pycache__"
    if os.access(own if own.exists() else FAKES, os.W_OK):
        own.mkdir(exist_ok=True)
        return own
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ujobs" / "fakes"
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache
    temporary = Path(tempfile.gettempdir()) / f"ujobs-fakes-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        temporary.mkdir(0o700)
    found = temporary.lstat()
    if found.st_uid != os.getuid() or found.st_mode != stat.S_IFDIR | 0o700:
        raise PermissionError(errno.EPERM, "others can write here: remove it", str(temporary))
    return temporary
