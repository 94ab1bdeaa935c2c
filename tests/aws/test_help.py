"""The help of every command reads well on a terminal of 80 columns."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ujobs_tools.cli import app

WIDTH = 80


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of a command and of all commands below it."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_wraps_at_80_columns(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    result = CliRunner().invoke(app, [*path, "-h"])
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.output.splitlines()]
    assert max(map(len, lines)) <= WIDTH
    assert "…" not in result.output, "something was cut off"
    usage, prose = next(at for at, line in enumerate(lines) if "Usage:" in line), []
    for line, below in zip(lines[usage + 2 :], lines[usage + 3 :], strict=False):
        if line.startswith("╭"):
            break
        prose.append(line)
        if line and below:
            assert len(line) + 1 + len(below.split()[0]) >= WIDTH, f"{line!r} ends before the line is full"
    assert len("".join(prose)) > 20, "it says what the command does"
