"""`ujobs new`: creates a project with `ujobs_tools.project.new`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.errors import one_line


def new(
    name: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Folder to create; its name becomes the thing's name.")
    ],
) -> None:
    """Create a project: an application with one handler, its tests, settings, ujobs.toml and a CI workflow.

    Exit codes: 0 created; 1 not created; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.project import ujobs_toml
    from ujobs_tools.project.new import create

    folder = Path(name)
    if not name:  # which would be the current folder
        raise typer.BadParameter("the name is empty: give the folder to create", param_hint="FOLDER")
    around = ujobs_toml.locate(folder.absolute().parent)
    with one_line("new"):
        for path in create(folder.absolute()):
            typer.echo(f"  {folder / path}")
    if around is not None:
        typer.echo(f"note: {folder} is inside the project {around.parent}; in {folder} its own ujobs.toml is used")
    typer.echo(f"next: cd {shlex.quote(str(folder))} && ujobs run")
