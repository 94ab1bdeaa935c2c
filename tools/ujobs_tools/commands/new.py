"""`ujobs new`: creates a project with `ujobs_tools.project.new`."""

from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.errors import one_line


def new(folder: Annotated[Path, typer.Argument(help="Folder to create; its name becomes the thing's name.")]) -> None:
    """Create a project: an application with one handler, its tests, settings, ujobs.toml and a CI workflow."""
    from ujobs_tools.project.new import create

    with one_line("new"):
        for path in create(folder.absolute()):
            typer.echo(f"  {folder / path}")
    typer.echo(f"next: cd {folder} && ujobs run")
