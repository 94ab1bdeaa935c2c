"""The command `ujobs`; each subcommand is a module of `commands`."""

import inspect
from importlib.metadata import version
from typing import Annotated

import typer

from ujobs_tools.commands import (
    board,
    claim,
    demo,
    deploy,
    flash,
    job_control,
    new,
    publish,
    qualify,
    run,
    serve,
    sign,
    thing,
)
from ujobs_tools.commands.defaults import project_defaults

app = typer.Typer(
    no_args_is_help=True, add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ujobs {version('ujobs-tools')}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Host tools of ujobs, AWS IoT Jobs for MicroPython.

    Exit codes of every command: 0 done; 1 failed; 2 wrong arguments, file or setting; 130 interrupted.
    """
    project_defaults(context)


app.command()(serve.serve)
app.command()(board.board)
app.command()(demo.demo)
app.command()(flash.flash)
app.command()(deploy.provision)
app.command()(deploy.deploy)
app.command()(flash.logs)
app.command()(flash.wipe)
app.command()(publish.publish_app)
app.command()(publish.publish_firmware)
app.command()(sign.sign)
app.command()(qualify.qualify)
app.command("new")(new.new)
app.command("run")(run.run)
app.add_typer(thing.app, name="thing")
app.add_typer(claim.app, name="claim")
app.add_typer(job_control.app, name="job")


def _let_help_wrap(group: typer.Typer) -> None:
    """Join each paragraph of the commands' docstrings into one line: help keeps line breaks, and wraps long lines to
    the terminal's width."""
    for command in group.registered_commands:
        paragraphs = inspect.cleandoc(command.callback.__doc__ or "").split("\n\n") if command.callback else []
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for nested in group.registered_groups:
        if nested.typer_instance is not None:
            _let_help_wrap(nested.typer_instance)


_let_help_wrap(app)
