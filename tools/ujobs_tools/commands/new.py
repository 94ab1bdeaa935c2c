"""`ujobs new`: a project to start from; `ujobs_tools.project.new` makes it."""

from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.errors import one_line


def new(folder: Annotated[Path, typer.Argument(help="Folder to make; its name becomes the thing's name.")]) -> None:
    """Make a project: an application with one handler and its tests, settings, ujobs.toml, a CI workflow."""
    from ujobs_tools.project.new import make

    with one_line("new"):
        for path in make(folder.absolute()):
            typer.echo(f"  {folder / path}")
    typer.echo(f"next: cd {folder} && ujobs run")
