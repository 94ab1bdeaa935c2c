"""The command `ujobs`; each command is a module of `commands`."""

import typer

from ujobs_tools.commands import board, claim, demo, deploy, flash, job, new, publish, run, serve, sign, thing
from ujobs_tools.commands.defaults import project_defaults

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Host tools of ujobs, AWS IoT Jobs for MicroPython.")
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
app.command("new")(new.new)
app.command("run")(run.run)
app.callback()(project_defaults)
app.add_typer(thing.app, name="thing")
app.add_typer(claim.app, name="claim")
app.add_typer(job.app, name="job")
