"""How commands fail: one line that names the cause, and an exit code; no traceback.

1: the command was tried, and failed: a service or board refused or did not answer, a port is in use, a job failed.
2: the command line is wrong, or a file or setting that it names: the same command will fail again.
130: Ctrl-C, SIGTERM or a closed terminal; commands that run until then end with 0.
"""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ujobs_tools.host.files import in_words
from ujobs_tools.host.terminal import plain

FAILED, WRONG, INTERRUPTED = 1, 2, 130
_WRONG_FILE = FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError


@contextmanager
def one_line(command: str, *failures: type[Exception]) -> Iterator[None]:
    """End the command with the error's message and exit code.

    command: as the user typed it, without `ujobs`. failures: exceptions to report besides OSError and ValueError.
    """
    try:
        yield
    except (OSError, ValueError, *failures) as error:
        typer.echo(f"ujobs {command}: {plain(in_words(error))}", err=True)
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: Exception) -> int:
    """Return WRONG for a ValueError and for a file with a wrong name, type or permission, otherwise FAILED."""
    long_name = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    return WRONG if isinstance(error, (ValueError, *_WRONG_FILE)) or long_name else FAILED


def read_text(path: Path) -> str:
    """Read a file that the user named. Raises OSError, and ValueError naming the file if it is not UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file") from error


def read_json(path: Path) -> str:
    """Read a file that the user named. Raises OSError, and ValueError naming the file if it is not a JSON object."""
    text = read_text(path)
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{path} is not a JSON object")
    return text
