"""`ujobs board`: the virtual board on the command line; `ujobs_tools.board` is what it drives."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_tools.board import umqtt
from ujobs_tools.board.files import make_bare_files, make_board_files
from ujobs_tools.board.interpreter import InterpreterError
from ujobs_tools.board.settings import UsageError, change_settings, make_settings, parse_settings
from ujobs_tools.commands.errors import in_words

_DEFAULT_HEAP = 160  # KB
_NOT_DONE, _USAGE = 1, 2

def board(
    image: Annotated[Path, typer.Argument(help="Flash image; built on the first start.")],
    thing_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with ca.der, cert.der, key.der, from `ujobs thing create` or `ujobs claim create`."),
    ] = None,
    thing: Annotated[str | None, typer.Option(help="Thing name.")] = None,
    host: Annotated[str | None, typer.Option(help="MQTT host, a name in the server's certificate.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="MQTT port (TLS).")] = None,
    settings: Annotated[Path | None, typer.Option(help="settings.json to start from.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE in the settings; VALUE is JSON or text; wifi.ssid=x."),
    ] = None,
    app: Annotated[
        Path | None, typer.Option(help="Application: becomes /app/app.py, or a folder: /app.")
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Put library and firmware on as .py, not .mpy.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Build the image anew; what was on it is lost.")
    ] = False,
    heap: Annotated[str, typer.Option(help="Heap of the program, such as 160k; see above.")] = f"{_DEFAULT_HEAP}k",
    wifi_ssid: Annotated[
        str | None, typer.Option(help="The access point's name; without it any will do.")
    ] = None,
    wifi_password: Annotated[str | None, typer.Option(help="Its password; without it any will do.")] = None,
    ntp: Annotated[
        str, typer.Option(help="How the time server answers: right, silent, zeros, kiss, year or foreign.")
    ] = "right",
    one_partition: Annotated[
        bool, typer.Option("--one-partition", help="One application partition, as in MicroPython's default images.")
    ] = False,
    log: Annotated[Path | None, typer.Option(help="File that gets the board's output as well.")] = None,
    serial: Annotated[
        Path | None, typer.Option(help="Make a serial port here, for mpremote; the REPL follows main.py.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Build an image without any of ujobs: a board as it comes.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop at the first reset.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Idle when main.py has ended, as a board does.")
    ] = False,
) -> None:
    """Run boot.py and main.py on a virtual board whose flash is the file IMAGE.

    The first start builds the image: boot.py, main.py, the library and firmware compiled, umqtt, settings,
    certificates and application. Later starts run the image; --thing, --host, --port and --set change its settings
    first.

    Heap: objects of the 64-bit interpreter here are up to twice as large as on a 32-bit board and never smaller, so
    a program that runs in 160k here runs in 160 KB there, and may run in 80 KB. TLS buffers are not part of it.

    Signals: SIGTERM and Ctrl-C stop the board, SIGUSR1 takes the access point away, SIGUSR2 brings it back;
    SIGQUIT (Ctrl-\\) is the reset line, at any instruction; SIGKILL is a power cut.

    Exit codes: 0 stopped, or main.py ended; 1 main.py did not start its work, or boot.py or main.py ended with an
    exception; 2 bad options or image; 3 the MicroPython process died.
    """
    if sys.platform != "linux":
        typer.echo("ujobs board: the virtual board runs on Linux only; all other commands work here", err=True)
        raise typer.Exit(_NOT_DONE)
    from ujobs_tools.board.image import ImageError, build_image
    from ujobs_tools.board.supervisor import NTP_ANSWERS, Board, BoardOptions

    try:
        if ntp not in NTP_ANSWERS:
            raise UsageError(f"--ntp {ntp}: choose one of {', '.join(NTP_ANSWERS)}")
        options = BoardOptions(
            _heap_bytes(heap), wifi_ssid, wifi_password, ntp, one_partition, log, once, stay, serial
        )
        overrides = {"thing": thing, "host": host, "port": port}
        building = {
            "--thing-dir": thing_dir, "--settings": settings, "--app": app, "--source": source, "--bare": bare,
        }  # fmt: skip
        given = [name for name, value in building.items() if value]
        if image.exists() and not fresh:
            if given:
                raise UsageError(f"{image} exists: leave out {', '.join(given)}, or add --fresh to build it again")
            if set_ or any(overrides.values()):
                _change_image(image, overrides, set_ or [])
        elif bare:
            if len(given) > 1 or set_ or any(overrides.values()):
                raise UsageError("--bare leaves nothing for other options to say")
            build_image(image, make_bare_files())
            typer.echo(f"board: {image} built bare, with {umqtt.find()[1]}")
        else:
            without = [] if app or settings else ["app=null"]
            contents = make_settings(settings, overrides, [*without, *(set_ or [])])
            build_image(image, make_board_files(contents, thing_dir, app, compiled=not source))
            certificates = "" if thing_dir else "; it has no certificates: --thing-dir was not given"
            typer.echo(f"board: {image} built with {umqtt.find()[1]}{certificates}")
        code = Board(image, options).run()
    except (ValueError, ImageError, InterpreterError, OSError) as error:
        typer.echo(f"ujobs board: {in_words(error)}", err=True)
        code = _NOT_DONE if isinstance(error, InterpreterError) else _USAGE
    raise typer.Exit(code)


def _change_image(image: Path, overrides: dict[str, Any], assignments: list[str]) -> None:
    """Change the settings on an existing image. Raises UsageError, ImageError."""
    from ujobs_tools.board.image import read_files, write_file

    files = read_files(image)
    if "/settings.json" not in files:
        raise UsageError(f"{image} has no settings.json, so there is nothing to change: add --fresh to build it again")
    settings = parse_settings(files["/settings.json"], f"settings.json on {image}")
    change_settings(settings, overrides, assignments)
    write_file(image, "settings.json", json.dumps(settings).encode())
    typer.echo(f"board: settings on {image} changed")


def _heap_bytes(text: str) -> int:
    """Bytes of a size such as 163840, 160k or 1m."""
    match = re.fullmatch(r"(\d+)([km]?)", text.lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--heap {text}: write a size such as {_DEFAULT_HEAP}k")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2]]
