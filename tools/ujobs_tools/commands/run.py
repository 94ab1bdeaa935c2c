"""`ujobs run`: runs a project's application on a virtual board with a Jobs service."""

from pathlib import Path

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.project import ujobs_toml


def run() -> None:
    """Run the project's application on a virtual board, with a local Jobs service, until Ctrl-C.

    When the application or the settings change, the board receives them and boots again; other files on its flash stay.
    The service listens at `endpoint_url` of ujobs.toml if that is on this machine.

    Exit codes: 0 stopped; 1 not started, or the board stopped; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws.cloud import CloudError
    from ujobs_tools.board.interpreter import InterpreterError
    from ujobs_tools.demo.live import LiveProject, NotStarted
    from ujobs_tools.host.processes import ended_by_signals

    with one_line("run", NotStarted, CloudError, InterpreterError):
        found = ujobs_toml.find(Path.cwd())
        if found is None:
            raise ujobs_toml.ProjectError("no ujobs.toml in this folder or above: `ujobs new NAME` creates a project")
        try:
            with ended_by_signals(), LiveProject(found, typer.echo) as live:
                live.follow()
        except KeyboardInterrupt:
            typer.echo("stopped")
