"""`ujobs run`: service, virtual board and application of a project, until Ctrl-C."""

from pathlib import Path

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.project import ujobs_toml


def run() -> None:
    """Run the project's application on a virtual board, with a Jobs service, until Ctrl-C.

    When a file of the application or the settings change, the board gets them and starts again; what else is on its
    flash stays. The service is at `endpoint_url` of ujobs.toml if that is on this machine.
    """
    with one_line("run"):
        found = ujobs_toml.find(Path.cwd())
        if found is None:
            raise ujobs_toml.ProjectError("no ujobs.toml in this folder or above: `ujobs new NAME` makes a project")
        from ujobs_tools.demo.live import LiveProject, NotStarted
        from ujobs_tools.host.processes import ended_by_signals

        try:
            with ended_by_signals(), LiveProject(found, typer.echo) as live:
                live.follow()
        except KeyboardInterrupt:
            typer.echo("stopped")
        except NotStarted as error:
            raise ValueError(str(error)) from error
