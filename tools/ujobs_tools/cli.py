"""The command `ujobs`; each command is a module of `commands`."""

import typer

from ujobs_tools.commands import board, demo, job, publish, serve, thing

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Host tools of ujobs, AWS IoT Jobs for MicroPython.")
app.command()(serve.serve)
app.command()(board.board)
app.command()(demo.demo)
app.command()(publish.publish_app)
app.command()(publish.publish_firmware)
app.add_typer(thing.app, name="thing")
app.add_typer(job.app, name="job")
