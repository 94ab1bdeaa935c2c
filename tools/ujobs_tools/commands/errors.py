"""How commands end when something goes wrong: one line that names it, an exit code, never a traceback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ujobs_tools.host.terminal import plain


@contextmanager
def one_line(command: str, *failures: type[Exception]) -> Iterator[None]:
    """Ends the command with what went wrong: exit code 2 for ValueError, which is for bad arguments, else 1.

    command: as its user typed it, without `ujobs`. failures: what may go wrong besides OSError and ValueError.
    """
    try:
        yield
    except (OSError, ValueError, *failures) as error:
        typer.echo(f"ujobs {command}: {plain(in_words(error))}", err=True)
        raise typer.Exit(2 if isinstance(error, ValueError) else 1) from error


def in_words(error: Exception) -> str:
    """An error without its number: the file first, then what is wrong with it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def read_text(path: Path) -> str:
    """The text of a file that the user has named. Raises OSError, ValueError naming the file when it holds no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file") from error


def read_json(path: Path) -> str:
    """The text of a file that the user has named, a JSON object. Raises OSError, ValueError naming the file."""
    text = read_text(path)
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{path} is not a JSON object")
    return text
