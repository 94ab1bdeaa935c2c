"""The clients that `make bench ONLY=rate` compares: ujobs and its alternatives, each set up as a skilled user would."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix

HEAP = "256k"

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
PEERS = (
    Peer(UJOBS, _on_micropython("device_ujobs"), True),
    Peer("by hand", _on_micropython("device_by_hand"), True),
    Peer(WHOLE, _on_micropython("device_whole"), True),
    Peer("asyncio, polling (mqtt_as's shape)", _on_micropython("device_polling"), True),
    Peer("AWS IoT Device SDK", _on_cpython("sdk")),
    Peer(SDK, _on_cpython("sdk"), options=(("no_delay", True),)),
)
