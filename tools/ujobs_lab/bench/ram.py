"""Heap on a 32-bit MicroPython, the webassembly build: the bytes in use after each step, and the peak of a job.

The same jobs run by hand, see on_board/by_hand.py, with the same canned replies. Not measured: sockets and TLS, whose
memory is allocated elsewhere, and the buffers of open files. asyncio is frozen into this interpreter, as it is into a
board's firmware."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ujobs_lab import REPOSITORY
from ujobs_lab.bench import heap_steps, on_unix
from ujobs_lab.bench.heap_steps import CONNECTED, Step, by_name, idle_bytes
from ujobs_lab.bench.missing import Missing
from ujobs_lab.bench.sheet import Sheet

PACKAGES = REPOSITORY / "build" / "bench-javascript"
_PROGRAM = Path(__file__).parent / "javascript" / "heap.mjs"
_SIZES = (1024, 8192)  # bytes of a job document
_FIRST_JOBS = 10
_WHO = ("ujobs", "by hand")


def measure(jobs: int = 1000) -> dict[str, Any]:
    """Heap after each step, for both programs and each document size. jobs: number of jobs in a row.

    Raises Missing, on_unix.ProgramFailed.
    """
    if not shutil.which("node") or not PACKAGES.exists():
        raise Missing("the 32-bit MicroPython is not installed: install Node.js with npm, then run `make bench`")
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        found: dict[str, Any] = {"jobs": jobs}
        for size in _SIZES:
            many = jobs if size == _SIZES[0] else 0
            found[f"ujobs {size}"] = _run(folder, _of_ujobs(size) + _jobs("heap_ujobs", many))
            found[f"by hand {size}"] = _run(folder, heap_steps.by_hand(size) + _jobs("heap_by_hand", many))
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    ours, theirs = (found[f"{who} {_SIZES[0]}"] for who in _WHO)
    steps = by_name(ours)
    grown = steps["all jobs"]["live"] - steps["first jobs"]["live"] if "all jobs" in steps else 0
    return {"idle_bytes": idle_bytes(ours) - idle_bytes(theirs), "growth_bytes": grown}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables: heap until connected and idle, and the additional heap of a job."""
    title = "Heap added until connected and idle, 32-bit words, bytes"
    return [heap_steps.idle_sheet(title, {who: found[f"{who} {_SIZES[0]}"] for who in _WHO}), _of_jobs(found)]


def _of_jobs(found: dict[str, Any]) -> Sheet:
    columns, cells = [""], [["held while the handler runs"], ["peak"], ["allocated, and collected as garbage"]]
    for size in _SIZES:
        for who in _WHO:
            figures = by_name(found[f"{who} {size}"])
            idle = figures[CONNECTED]["live"]
            columns.append(f"{who}, {size // 1024} KB")
            handler = figures.get("in a handler")
            cells[0].append(f"{handler['live'] - idle:,}" if handler else "")
            cells[1].append(f"{figures['first jobs']['peak'] - idle:,}")
            cells[2].append(f"{figures['first jobs']['allocated'] // (_FIRST_JOBS - 1):,}")
    jobs = found["jobs"]
    grown = [
        f"{who} {figures['all jobs']['live'] - figures['first jobs']['live']:,}"
        for who in _WHO if "all jobs" in (figures := by_name(found[f"{who} {_SIZES[0]}"]))
    ]
    note = f"From job {_FIRST_JOBS} to job {jobs:,} the heap grew by this many bytes: {', '.join(grown)}."
    return Sheet(
        "Additional heap during a job, by the size of its document, bytes", tuple(columns),
        [tuple(row) for row in cells], note if grown else "", on_page=("held while the handler runs", "peak"),
    )


def _of_ujobs(size: int) -> list[Step]:
    return [
        *heap_steps.of_ujobs(size),
        {"name": "in a handler", "run": "program.hold = True; common.script.queue(1)", "until": "in_handler"},
        {"name": "after it", "run": "program.hold = False", "until": "idle"},
    ]


def _jobs(program: str, jobs: int) -> list[Step]:
    step = {"until": "idle"} | ({"turn": "turn"} if program == "heap_by_hand" else {})
    counts = {"one job": 1, "first jobs": _FIRST_JOBS - 1, "all jobs": jobs - _FIRST_JOBS}
    return [
        step | {"name": name, "run": f"common.script.queue({count})"}
        for name, count in counts.items() if count > 0
    ]


def _run(folder: Path, steps: list[Step]) -> list[dict[str, Any]]:
    command = ["node", str(_PROGRAM), str(PACKAGES), str(folder), json.dumps(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise on_unix.ProgramFailed("the 32-bit MicroPython: " + "\n".join(done.stderr.splitlines()[-20:]))
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
