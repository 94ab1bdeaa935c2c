"""Sessions of an agent over a bad link in memory and in fast time (on_board/link_session.py), on MicroPython."""

import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

PROGRAMS = Path(__file__).with_name("on_board")
"""Programs that run on MicroPython."""

_HEAP = "8m"  # includes broker, cloud and their records
_BATCH = 100  # sessions per process: the loss if one hangs or crashes
_TIMEOUT = 120  # seconds per batch


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
    folders = (umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE, PROGRAMS)
    program = PROGRAMS / "link_session.py"
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", program, ":".join(map(str, folders))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
    orders = "".join(json.dumps(faults) + "\n" for faults in plan)
    try:
        result = subprocess.run(
            command, input=orders, capture_output=True, text=True, timeout=_TIMEOUT, env=environment
        )
        printed, end = result.stdout, result.stderr.strip() or f"exit code {result.returncode}"
    except subprocess.TimeoutExpired as error:
        printed, end = (error.stdout or b"").decode(errors="replace"), f"no answer within {_TIMEOUT} s"
    answers = [json.loads(line[2:]) for line in printed.splitlines() if line.startswith("= ")]
    outcomes = [Outcome(faults, **answer) for faults, answer in zip(plan, answers, strict=False)]
    if len(answers) < len(plan):
        # The first session without a result failed. The others of its batch did not run, which is a failure as well.
        outcomes += [Outcome(faults, [f"MicroPython: {end}"]) for faults in plan[len(answers) :]]
    return outcomes
