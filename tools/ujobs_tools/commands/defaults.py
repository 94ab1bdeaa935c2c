"""Uses entries of ujobs.toml as defaults of the options with the same name; options and environment variables win."""

from pathlib import Path
from typing import Any

import typer

from ujobs_tools.project import ujobs_toml

_WITHOUT = ("board", "new", "run", "demo", "serve")  # an image has its own settings; `run` reads ujobs.toml itself


def project_defaults(context: typer.Context) -> None:
    """Set the defaults of the command that is about to run from ujobs.toml, if there is one."""
    if context.invoked_subcommand in _WITHOUT:
        return
    try:
        found = ujobs_toml.find(Path.cwd())
    except ujobs_toml.ProjectError as error:
        typer.echo(f"ujobs: {error}", err=True)
        raise typer.Exit(2) from None
    if found is not None:
        context.default_map = _defaults(context.command, _values(found))


def _values(found: ujobs_toml.Project) -> dict[str, str]:
    values = {
        "app": found.app, "settings": found.settings, "out": found.keys, "thing": found.thing, "port": found.port,
        "endpoint_url": found.endpoint_url, "region": found.region, "profile": found.profile,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _defaults(group: Any, values: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            made[name] = _defaults(command, values)
        else:
            made[name] = {
                parameter.name: values[parameter.name]
                for parameter in command.params
                # Options that can be repeated, such as --thing of a job, get no default.
                if parameter.name in values and not getattr(parameter, "multiple", False)
            }
    return made
