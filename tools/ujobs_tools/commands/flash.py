"""`ujobs flash`, `ujobs logs` and `ujobs wipe`: a board on a cable, with `ujobs_tools.deploy`."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from ujobs_tools.commands.deploy import DryRun, Port, board_work, connect
from ujobs_tools.host.terminal import plain


def flash(
    firmware: Annotated[Path, typer.Argument(help="MicroPython for the board: a .bin file from its download page.")],
    port: Port = None,
    baud: Annotated[int, typer.Option(help="Bits per second; use 115200 if a faster rate fails.")] = 460800,
    dry_run: DryRun = False,
) -> None:
    """Flash MicroPython to an ESP32 with esptool. Everything on the chip is erased.

    Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.deploy import flash, ports

    with board_work("flash"):
        image = flash.examine(firmware)
        command = flash.command(port if dry_run and port else ports.choose(port), firmware, image, baud)
        typer.echo(f"{firmware.name}: {image.size} bytes for an {image.chip}, at {image.offset:#x}")
        typer.echo(" ".join(command))
        if not dry_run and subprocess.run(command).returncode:
            raise ports.BoardError("esptool failed: see its output above")


def logs(port: Port = None) -> None:
    """Show the board's output until Ctrl-C, without disturbing it."""
    from ujobs_tools.deploy import ports

    with board_work("logs"):
        try:
            for line in ports.lines(ports.choose(port), None):
                typer.echo(plain(line))
        except KeyboardInterrupt:
            typer.echo()


def wipe(
    port: Port = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Remove every file from a board, including its key and settings. MicroPython and umqtt.simple stay.

    Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.deploy.plan import UMQTT

    with board_work("wipe"):
        remote = connect(port)
        with remote.reset_on_failure():
            files = sorted(path for path in remote.names("") if not path.startswith(UMQTT))
            for path in files:
                typer.echo(f"remove  {path}")
            if files and not dry_run:
                if not yes:
                    with remote.held():
                        typer.confirm(f"remove these {len(files)} files permanently?", abort=True)
                remote.remove(files)
        remote.reset()
