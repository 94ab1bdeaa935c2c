"""`python -m ujobs_lab.faults.long_life` (`make long-life`): a year of a board's life on MicroPython, in fast time.

The life is on_board/long_life.py. What the program holds at the end must be what it held after its first jobs.
"""

import json
import os
import subprocess
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_MARGIN = 512  # bytes of heap
_HEAP = "4m"
_NAMES = ("days", "jobs", "progress_updates", "reconnects", "wraps", "held")


def live(days: int) -> list[dict[str, float]]:
    """Figures after the first jobs, after each month and at the end, by name; the last has `held` in bytes of heap.

    Raises subprocess.CalledProcessError when the board did not survive.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
    environment["MICROPYPATH"] = ":".join(map(str, (umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE, ".frozen")))
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", ON_BOARD / "long_life.py", str(days)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def main(days: Annotated[int, typer.Option(help="How long, in the board's time.")] = 365) -> None:
    """Live, show the figures, and end with exit code 0 only if nothing has grown."""
    found = live(days)
    table = Table("days", "jobs", "progress updates", "connections", "packet id began anew", "bytes held")
    for figures in found:
        table.add_row(*(f"{figures[name]:.0f}" for name in _NAMES))
    Console().print(table)
    grown = found[-1]["held"] - found[0]["held"]
    print(f"{found[-1]['jobs']:.0f} jobs in {found[-1]['days']:.0f} days; the memory in use grew by {grown:.0f} bytes")
    raise typer.Exit(1 if grown > _MARGIN else 0)


if __name__ == "__main__":
    typer.run(main)
