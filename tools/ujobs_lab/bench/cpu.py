"""Processor work of a job and of a progress update on MicroPython's unix port: instructions, and time.

valgrind counts the instructions, so they do not depend on the machine's load. A board with 32-bit words executes other
instructions, but the ratio between two programs on the same interpreter carries over. Devices are connected to
`ujobs serve` without TLS; system calls are not counted. The journal is on the host's file system."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.bench import instructions, on_unix
from ujobs_lab.bench.cloud_at_work import Work
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.bench.sheet import Sheet

_HEAP = "256k"  # with 64-bit words; corresponds to 128 KB on a board
_WHO = ("ujobs", "by hand")
_KINDS = ("instructions", "microseconds")

# Prepares a run that repeats something so many times; returns the program of on_board/ and its options.
Prepare = Callable[[int], tuple[str, dict[str, Any]]]


def measure(times: int = 200, jobs: int = 40, rounds: int = 3, valgrind: bool | None = None) -> dict[str, Any]:
    """Instructions and microseconds of a progress update and a job, for both programs.

    times: number of progress updates; jobs: number of jobs; rounds: the time is the median of so many runs; valgrind:
    whether to count instructions, None: if valgrind is installed. Raises on_unix.ProgramFailed, NotReady.
    """
    count = instructions.countable() if valgrind is None else valgrind
    found: dict[str, Any] = {"valgrind": count, "pieces": {}}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with ujobs_serve(folder) as service:
            work = Work(service, folder)
            for name, make, often in (("progress update", _progress_updates, times), ("job", _jobs, jobs)):
                found["pieces"][name] = {
                    who: _cost(folder, make(folder, who, work), often, rounds, count) for who in _WHO
                }
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    ours, theirs = (found["pieces"]["job"][who]["instructions"] for who in _WHO)
    return {"job_ratio": ours / theirs} if ours and theirs else {}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    rows = []
    for name, cost in found["pieces"].items():
        counted, took = ([cost[who][kind] for who in _WHO] for kind in _KINDS)
        ours, theirs = counted
        ratio = f"{ours / theirs:.1f}" if ours and theirs else ""
        rows.append((name, *map(_cell, counted), ratio, *map(_cell, took)))
    columns = ("", "ujobs, instructions", "by hand", "ratio", "ujobs, µs", "by hand")
    return [Sheet("Processor", columns, rows, "" if found["valgrind"] else instructions.NOT_COUNTED)]


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _cost(folder: Path, prepare: Prepare, times: int, rounds: int, count: bool) -> dict[str, float | None]:
    took = statistics.median(_microseconds(folder, prepare, times) for _ in range(rounds))
    return {"instructions": _instructions(folder, prepare, times) if count else None, "microseconds": took}


def _instructions(folder: Path, prepare: Prepare, times: int) -> float:
    # The difference leaves out the program's fixed cost.
    few, many = (instructions.count(folder, *prepare(often), _HEAP) for often in (1, 1 + times))
    return (many - few) / times


def _microseconds(folder: Path, prepare: Prepare, times: int) -> float:
    # The program itself leaves out its fixed cost and the first repetition.
    found = on_unix.run(folder, *prepare(1 + times), _HEAP)[0]
    return found["microseconds"] / found["times"]


def _progress_updates(folder: Path, who: str, work: Work) -> Prepare:
    def prepare(times: int) -> tuple[str, dict[str, Any]]:
        job_ids = work.offer(1)
        return _device(folder, who, work, {"jobs": 1, "progress_updates": times, "job_id": job_ids[0]})

    return prepare


def _jobs(folder: Path, who: str, work: Work) -> Prepare:
    def prepare(times: int) -> tuple[str, dict[str, Any]]:
        work.offer(times)
        return _device(folder, who, work, {"jobs": times})

    return prepare


def _device(folder: Path, who: str, work: Work, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if who == "ujobs":
        return "device_ujobs", work.options(False, idle=True, journal=str(folder / "records"), **more)
    return "device_by_hand", work.options(False, **more)
