"""Files that others read while they are being written, and files that only their owner may read."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an OSError of the body the name of the file that the user knows: a failed write names none, and a temporary
    file has another."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def in_words(error: Exception) -> str:
    """Return an error's message; for an OSError the file, then the cause, without the error number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file under a temporary name next to its place and rename it, so that readers find either the old content
    or all of the new. mode: permissions, less the umask. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    with named(path):
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
                file.write(content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_new(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file that does not exist yet; if that fails, the file is removed. mode: permissions, less the umask.
    Raises FileExistsError, or another OSError."""
    with named(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        try:
            file.write(content)
            file.flush()
        except BaseException:
            path.unlink()
            raise


def make_private(path: Path) -> None:
    """Create the file if it does not exist, and remove all permissions of other users. Raises OSError if it cannot be
    created."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with contextlib.suppress(PermissionError):  # The file belongs to another user, who decides about it.
            path.chmod(0o600)
