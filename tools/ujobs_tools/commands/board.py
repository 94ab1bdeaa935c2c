"""`ujobs board`: runs the virtual board of `ujobs_tools.board`."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_tools.board import umqtt
from ujobs_tools.board.files import make_bare_files, make_board_files, settings_file
from ujobs_tools.board.interpreter import InterpreterError
from ujobs_tools.board.settings import UsageError, change_settings, make_settings, parse_settings
from ujobs_tools.commands.errors import FAILED, one_line
from ujobs_tools.commands.options import Settings

_DEFAULT_HEAP = 160  # KB
_MOST_HEAP = 1 << 28  # bytes: more than a board with PSRAM has

def board(
    image: Annotated[Path, typer.Argument(help="File with the flash image; created on the first start.")],
    thing_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with ca.der, cert.der, key.der, from `ujobs thing create` or `ujobs claim create`."),
    ] = None,
    thing: Annotated[str | None, typer.Option(help="Thing name.")] = None,
    host: Annotated[str | None, typer.Option(help="MQTT host, a name in the server's certificate.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="MQTT port (TLS).")] = None,
    settings: Annotated[Path | None, typer.Option(help="settings.json to start from.")] = None,
    set_: Settings = None,
    app: Annotated[
        Path | None, typer.Option(
            help="Application: a file, which becomes /app/app.py, or a folder, which becomes /app."
        )
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Rebuild the image; its content is lost.")
    ] = False,
    heap: Annotated[
        str, typer.Option(help="Heap size of the program, for example 160k.")
    ] = f"{_DEFAULT_HEAP}k",
    wifi_ssid: Annotated[
        str | None, typer.Option(help="Name of the access point. Default: any name works.")
    ] = None,
    wifi_password: Annotated[
        str | None, typer.Option(help="Password of the access point. Default: any password works.")
    ] = None,
    ntp: Annotated[
        str, typer.Option(help="Behaviour of the time server: right, silent, zeros, kiss, year or foreign.")
    ] = "right",
    log: Annotated[Path | None, typer.Option(help="File for a copy of the board's output.")] = None,
    serial: Annotated[
        Path | None, typer.Option(help="Create a serial port at this path, for mpremote; the REPL follows main.py.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Build an image without ujobs, like a board with plain MicroPython.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep running when main.py has ended, as a board does.")
    ] = False,
) -> None:
    """Run boot.py and main.py on a virtual board. The file IMAGE is its flash.

    The first start builds the image: boot.py, main.py, the compiled library and firmware, umqtt, settings, certificates
    and application. Later starts run it as it is; --thing, --host, --port and --set change its settings first.

    Heap: objects in this 64-bit interpreter are up to twice as large as on a 32-bit board, and never smaller. A program
    that runs here with --heap 160k also runs on a board with 160 KB, perhaps with 80 KB. TLS buffers are not included.

    Signals: SIGTERM and Ctrl-C stop the board; SIGUSR1 switches the access point off, SIGUSR2 on;
    SIGQUIT (Ctrl-\\) pulls the reset line; SIGKILL cuts the power.

    Exit codes: 0 stopped, or main.py ended; 1 main.py did not start its work, or boot.py or main.py ended with an
    exception; 2 wrong arguments, file or setting; 3 the MicroPython process died.
    """
    if sys.platform != "linux":
        typer.echo("ujobs board: the virtual board needs Linux; all other commands work here", err=True)
        raise typer.Exit(FAILED)
    from ujobs_tools.board.image import build_image
    from ujobs_tools.board.supervisor import NTP_ANSWERS, Board, BoardOptions

    with one_line("board", InterpreterError):
        if ntp not in NTP_ANSWERS:
            raise UsageError(f"--ntp {ntp}: choose one of {', '.join(NTP_ANSWERS)}")
        options = BoardOptions(_heap_bytes(heap), wifi_ssid, wifi_password, ntp, log, stay, serial)
        overrides = {"thing": thing, "host": host, "port": port}
        building = {"--thing-dir": thing_dir, "--settings": settings, "--app": app, "--bare": bare}
        given = [name for name, value in building.items() if value]
        if image.exists() and not fresh:
            if given:
                raise UsageError(f"{image} exists: leave out {', '.join(given)}, or add --fresh to build it again")
            if set_ or any(overrides.values()):
                _change_image(image, overrides, set_ or [])
        elif bare:
            if len(given) > 1 or set_ or any(overrides.values()):
                raise UsageError("--bare cannot be combined with options that add files or settings")
            build_image(image, make_bare_files())
            typer.echo(f"board: {image} built bare, with {umqtt.find()[1]}")
        else:
            without = [] if app or settings else ["app=null"]
            contents = make_settings(settings, overrides, [*without, *(set_ or [])])
            build_image(image, make_board_files(contents, thing_dir, app))
            certificates = "" if thing_dir else "; it has no certificates: --thing-dir was not given"
            module = f"{umqtt.find()[1]}; real boards have that module in their firmware"
            typer.echo(f"board: {image} built with {module}{certificates}")
        code = Board(image, options).run()
    raise typer.Exit(code)


def _change_image(image: Path, overrides: dict[str, Any], assignments: list[str]) -> None:
    """Change the settings in an existing image. Raises UsageError, ImageError."""
    from ujobs_tools.board.image import read_files, write_file

    files = read_files(image)
    if "/settings.json" not in files:
        raise UsageError(f"{image} has no settings.json, so there is nothing to change: add --fresh to build it again")
    settings = parse_settings(files["/settings.json"], f"settings.json on {image}")
    change_settings(settings, overrides, assignments)
    write_file(image, "settings.json", settings_file(settings))
    typer.echo(f"board: settings on {image} changed")


def _heap_bytes(text: str) -> int:
    """Convert a size such as 163840, 160k or 1m to bytes. Raises UsageError."""
    match = re.fullmatch(r"(\d+)([km]?)", text.lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--heap {text} must be a size such as {_DEFAULT_HEAP}k")
    found = int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2]]
    if found > _MOST_HEAP:
        raise UsageError(f"--heap {text} is over {_MOST_HEAP >> 20}m")
    return found
