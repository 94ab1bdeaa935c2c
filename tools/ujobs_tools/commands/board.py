"""`ujobs board`: the virtual board on the command line; `ujobs_tools.board` is what it drives."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_tools.board import umqtt
from ujobs_tools.board.files import make_bare_files, make_board_files
from ujobs_tools.board.image import ImageError, build_image
from ujobs_tools.board.interpreter import InterpreterError
from ujobs_tools.board.supervisor import DEFAULT_HEAP, USAGE, Board, BoardOptions
from ujobs_tools.commands.errors import in_words, read_text
from ujobs_tools.device_files import SETTINGS_EXAMPLE


class UsageError(ValueError):
    """Options that do not go together or are missing; the message says what to do."""


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
    heap: Annotated[str, typer.Option(help="Heap of the program, such as 160k; see above.")] = "160k",
    wifi_ssid: Annotated[
        str | None, typer.Option(help="The access point's name; without it any will do.")
    ] = None,
    wifi_password: Annotated[str | None, typer.Option(help="Its password; without it any will do.")] = None,
    ntp_fails: Annotated[bool, typer.Option("--ntp-fails", help="Time servers do not answer.")] = False,
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

    The first start builds the image: this repository's boot.py and main.py, library and firmware compiled,
    umqtt, settings, certificates and application. Later starts run the image as it is.

    Heap: objects of the 64-bit interpreter here are up to twice as large as on a 32-bit board, never smaller,
    so what runs in 160k here runs in 160 KB there, and may run in as little as 80 KB. TLS buffers are outside
    it.

    Signals: SIGTERM and Ctrl-C stop the board, SIGUSR1 takes the access point away, SIGUSR2 brings it back;
    SIGKILL is a power cut. Exit codes: 0 stopped, or main.py ended; 1 boot.py or main.py ended with an
    exception; 2 bad options or image; 3 the MicroPython process died.
    """
    try:
        options = BoardOptions(_heap_bytes(heap), wifi_ssid, wifi_password, ntp_fails, log, once, stay, serial)
        building = {
            "--thing-dir": thing_dir,
            "--thing": thing,
            "--host": host,
            "--port": port,
            "--settings": settings,
            "--set": set_,
            "--app": app,
            "--source": source,
            "--bare": bare,
        }
        given = [name for name, value in building.items() if value]
        if image.exists() and not fresh:
            if given:
                raise UsageError(
                    f"{image} exists and is run as it is: leave out {', '.join(given)}, or add --fresh"
                )
        elif bare:
            if len(given) > 1:
                raise UsageError("--bare leaves nothing for other options to say")
            build_image(image, make_bare_files())
            typer.echo(f"board: {image} built bare, with {umqtt.find()[1]}")
        else:
            overrides = {"thing": thing, "host": host, "port": port}
            without = [] if app or settings else ["app=null"]
            contents = make_settings(settings, overrides, [*without, *(set_ or [])])
            files = make_board_files(contents, thing_dir, app, compiled=not source)
            build_image(image, files)
            certificates = "" if thing_dir else "; no certificates, for want of --thing-dir"
            typer.echo(f"board: {image} built with {umqtt.find()[1]}{certificates}")
        code = Board(image, options).run()
    except (ValueError, ImageError, InterpreterError, OSError) as error:
        typer.echo(f"ujobs board: {in_words(error)}", err=True)
        code = USAGE
    raise typer.Exit(code)


def make_settings(path: Path | None, overrides: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """The board's settings: those of the file `path`, else of the example; then the options; then KEY=VALUE
    texts.

    overrides: None values are left out. Raises UsageError when the file holds no settings, host is missing, thing
    without a claim, or an assignment is malformed; OSError, ValueError for a file that cannot be read.
    """
    try:
        settings: dict[str, Any] = json.loads(read_text(path or SETTINGS_EXAMPLE))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{path} has to be a JSON object: {{…}}")
    if path is None:
        del settings["thing"], settings["host"]
    settings |= {name: value for name, value in overrides.items() if value is not None}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {assignment}: write KEY=VALUE")
        _assign(settings, key.split("."), _parse(text))
    for name in ("thing", "host"):
        if not settings.get(name) and not (name == "thing" and settings.get("claim")):
            raise UsageError(f"a new image needs the {name}: give --{name}, or --settings with it")
    return settings


def _assign(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(settings.get(key), dict):
            settings[key] = {}
        settings = settings[key]
    settings[keys[-1]] = value


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _heap_bytes(text: str) -> int:
    """Bytes of a size such as 163840, 160k or 1m."""
    match = re.fullmatch(r"(\d+)([km]?)", text.lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--heap {text}: write a size such as {DEFAULT_HEAP // 1024}k")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2]]
