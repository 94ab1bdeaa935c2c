"""`make long-life`, `python -m ujobs_lab.faults.long_life`: a soak test that simulates a year of a board.

The program is on_board/long_life.py, on MicroPython. The memory in use at the end must be what it was after the first
jobs. A month also runs with 32-bit words, with which ticks_ms() and asyncio's clock wrap around every 12.4 days.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_lab.bench import on_unix
from ujobs_lab.bench.ram import PACKAGES
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import compile_module, environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_MARGIN = 512  # bytes of heap
_HEAP = "4m"
_NAMES = ("days", "jobs", "progress_updates", "reconnects", "wraps", "held")
_ON_32_BITS = Path(__file__).parents[1] / "bench" / "javascript" / "life.mjs"

# Results after the first jobs, after each month and at the end, by name; `held`: bytes of heap.
Figures = list[dict[str, float]]


def live(days: int) -> Figures:
    """Run on the unix port. Raises subprocess.CalledProcessError if the program fails."""
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", ON_BOARD / "long_life.py", str(days)]
    return _figures(command, environment(umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE))


def live_on_32_bits(days: int) -> Figures:
    """Run on the webassembly port. Raises subprocess.CalledProcessError if the program fails."""
    with tempfile.TemporaryDirectory(prefix="ujobs-long-life-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        for path in (*ON_BOARD.glob("*.py"), DEVICE / "board_ticks.py", DEVICE / "fast_time.py"):
            (folder / path.name).with_suffix(".mpy").write_bytes(compile_module(path.read_bytes(), path.name, 0))
        return _figures(["node", _ON_32_BITS, PACKAGES, folder, str(days)], dict(os.environ))


def _figures(command: list[str | Path], environment: dict[str, str]) -> Figures:
    # stderr also has the errors of jobs, so show it only if the program fails.
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        if result.returncode:
            errors.seek(0)
            print(result.stdout[-2000:], "\n".join(line[:200] for line in errors.read().splitlines()[-20:]))
            result.check_returncode()
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def main(
    days: Annotated[int, typer.Option(help="Simulated days.")] = 365,
    days_on_32_bits: Annotated[int, typer.Option(help="Simulated days with 32-bit words, a slow run. 0: none.")] = 30,
) -> None:
    """Run, and print the results. Exit code 0: the memory in use did not grow."""
    grown = _show("64-bit words", live(days))
    if not days_on_32_bits or not shutil.which("node") or not PACKAGES.exists():
        print("no run with 32-bit words: install Node.js with npm, then run `make long-life`")
    else:
        grown = max(grown, _show("32-bit words", live_on_32_bits(days_on_32_bits)))
    raise typer.Exit(1 if grown > _MARGIN else 0)


def _show(title: str, found: Figures) -> float:
    """Print the results; return the growth of the memory in use, bytes."""
    table = Table("days", "jobs", "progress updates", "connections", "packet id wrapped", "bytes held", title=title)
    for figures in found:
        table.add_row(*(f"{figures[name]:.0f}" for name in _NAMES))
    Console().print(table)
    grown = found[-1]["held"] - found[0]["held"]
    print(f"{found[-1]['jobs']:.0f} jobs in {found[-1]['days']:.0f} days; the memory in use grew by {grown:.0f} bytes")
    return grown


if __name__ == "__main__":
    typer.run(main)
