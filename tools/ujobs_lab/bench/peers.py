"""The clients that `make bench ONLY=rate` compares: ujobs and its alternatives, each set up as a skilled user would."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.external import mosquitto

HEAP = "256k"
_FLOOR = Path(__file__).with_name("on_host") / "floor.c"

Command = Callable[[Path, dict[str, Any]], list[str]]


@dataclass(frozen=True)
class Peer:
    """name: in the table. command(folder, options): gives its command line. micropython: whether it runs on MicroPython
    and reports its heap. options: more options for the program."""

    name: str
    command: Command
    micropython: bool = False
    options: tuple[tuple[str, Any], ...] = ()


def _on_micropython(program: str) -> Command:
    return lambda folder, options: on_unix.command(folder, program, HEAP)


def _on_cpython(module: str) -> Command:
    return lambda folder, options: [sys.executable, "-m", f"ujobs_lab.bench.on_host.{module}"]


UJOBS = "ujobs"
WHOLE = "by hand, whole packets, TCP_NODELAY"
SDK = "AWS IoT Device SDK, TCP_NODELAY"
FLOOR = "in C, mosquitto's client library"
_ALWAYS = (
    Peer(UJOBS, _on_micropython("device_ujobs"), True),
    Peer("by hand", _on_micropython("device_by_hand"), True),
    Peer(WHOLE, _on_micropython("device_whole"), True),
    Peer("asyncio, polling (mqtt_as's shape)", _on_micropython("device_polling"), True),
    Peer("ujobs on CPython", _on_cpython("ujobs_on_cpython")),
    Peer("AWS IoT Device SDK", _on_cpython("sdk")),
    Peer(SDK, _on_cpython("sdk"), options=(("no_delay", True),)),
    Peer("paho-mqtt, TCP_NODELAY", _on_cpython("paho_device")),
)


def peers(folder: Path) -> list[Peer]:
    """Return the clients that this machine can run. folder: for the compiled one, which needs a C compiler and
    mosquitto's client library."""
    floor = _floor(folder)
    if floor is None:
        return list(_ALWAYS)

    def command(_: Path, options: dict[str, Any]) -> list[str]:
        wanted = (options[name] for name in ("host", "port", "thing", "certificates", "jobs"))
        return [str(floor), *map(str, wanted)]

    return [*_ALWAYS, Peer(FLOOR, command)]


def _floor(folder: Path) -> Path | None:
    library = mosquitto.library()
    compiler = shutil.which("cc")
    if library is None or compiler is None:
        return None
    program = folder / "floor"
    command = [compiler, "-O2", "-o", program, _FLOOR, library, f"-Wl,-rpath,{library.parent}"]
    outcome = subprocess.run([*command, "-Wl,--allow-shlib-undefined"], capture_output=True, check=False)
    return program if outcome.returncode == 0 else None
