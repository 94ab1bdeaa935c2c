"""Sessions of an agent over a bad link in memory and in fast time (on_board/link_session.py), on MicroPython."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_lab.faults.output import SILENCE, lines
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

PROGRAMS = Path(__file__).with_name("on_board")
"""Programs that run on MicroPython."""

_HEAP = "8m"  # includes broker, cloud and their records
_BATCH = 100  # sessions per process, unless one hangs or crashes
_SHOWN = 10  # last lines of a program that crashed


@dataclass(frozen=True)
class Outcome:
    """faults: the session's arguments, with which it can be repeated. wrong: broken promises. up, down: bytes from and
    to the board. log: the board's output, if something is wrong."""

    faults: dict[str, Any]
    wrong: list[str]
    up: int = 0
    down: int = 0
    log: Sequence[str] = ()


def run(plan: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Run one session for each set of faults (those of on_board/bad_link.py, and `seed`), on all processors."""
    batches = [plan[start : start + _BATCH] for start in range(0, len(plan), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [outcome for outcomes in pool.map(_run_batch, batches) for outcome in outcomes]


def _run_batch(plan: Sequence[dict[str, Any]]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while len(outcomes) < len(plan):
        # A session that hangs or crashes ends its process: the others run in another one.
        outcomes += _run_process(plan[len(outcomes) :])
    return outcomes


def _run_process(plan: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Run sessions until one hangs or crashes, which is the last outcome."""
    folders = (umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE, PROGRAMS)
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", PROGRAMS / "link_session.py"]
    outcomes: list[Outcome] = []
    printed: list[str] = []
    with tempfile.TemporaryFile("w+") as orders:
        orders.write("".join(json.dumps(faults) + "\n" for faults in plan))
        orders.seek(0)
        process = subprocess.Popen(
            command, stdin=orders, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(*folders)
        )
    with process:
        try:
            for line in lines(process):
                if line.startswith("= "):
                    outcomes.append(Outcome(plan[len(outcomes)], **json.loads(line[2:])))
                else:
                    printed.append(line)
            end = f"exit code {process.wait()}"
        except TimeoutError:
            end = f"no answer within {SILENCE} s"
        finally:
            process.kill()
    if len(outcomes) < len(plan):
        outcomes.append(Outcome(plan[len(outcomes)], [f"MicroPython: {end}"], log=printed[-_SHOWN:]))
    return outcomes
