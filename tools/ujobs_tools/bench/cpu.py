"""What the work on a job costs the processor: instructions, as valgrind counts them, on MicroPython's unix port, and
time.

Instructions do not depend on the machine's load. What a board with 32-bit words does is less work of another kind, but
the proportion between two programs in the same interpreter carries over. Connections are real, without TLS, to
`ujobs serve`; the instructions of sockets are the system's and are not counted. The journal is on the host's file
system, but for the row that says littlefs."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_tools.bench import instructions, on_unix
from ujobs_tools.bench.cloud_at_work import Work, at_work
from ujobs_tools.bench.documents import document
from ujobs_tools.bench.sheet import Sheet

_HEAP = "256k"  # with words of 8 bytes; what 128 KB are on a board
_WHO = ("ujobs", "by hand")
_KINDS = ("instructions", "microseconds")
_PIECES = ("classify four topics", "build an update", "parse a reply", "write the journal",
           "write the journal, on littlefs")  # fmt: skip
_ONLY_UJOBS = _PIECES[3:]

# Runs something so many times; gives the instructions, None without valgrind, and the microseconds.
Run = Callable[[int], tuple[int | None, int]]


def measure(times: int = 200, jobs: int = 40, valgrind: bool | None = None) -> dict[str, Any]:
    """Instructions and microseconds of each piece, a keep-alive and a job, for both. times: how often a piece is done;
    jobs: how many jobs and keep-alives; valgrind: whether to count instructions, None for where it is installed.

    Raises on_unix.ProgramFailed, NotReady.
    """
    count = instructions.countable() if valgrind is None else valgrind
    found: dict[str, Any] = {"valgrind": count, "pieces": {}}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        for piece in _PIECES:
            found["pieces"][piece] = {
                who: _each(_piece(folder, who, piece, count), times)
                for who in _WHO if who == "ujobs" or piece not in _ONLY_UJOBS
            }
        with at_work(folder) as service:
            work = Work(service, folder)
            for name, make in (("keep-alive", _keep_alives), ("job", _jobs)):
                found["pieces"][name] = {who: _each(make(folder, who, work, count), jobs) for who in _WHO}
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    ours, theirs = (found["pieces"]["job"][who]["instructions"] for who in _WHO)
    return {"job_ratio": ours / theirs} if ours and theirs else {}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    rows = []
    for name, cost in found["pieces"].items():
        counted, took = ([cost[who][kind] if who in cost else None for who in _WHO] for kind in _KINDS)
        ours, theirs = counted
        ratio = f"{ours / theirs:.1f}" if ours and theirs else ""
        rows.append((name, *map(_cell, counted), ratio, *map(_cell, took)))
    columns = ("", "ujobs, instructions", "by hand", "ratio", "ujobs, µs", "by hand")
    note = "" if found["valgrind"] else instructions.NOT_COUNTED
    return [Sheet("Processor", columns, rows, note)]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _each(run: Run, times: int) -> dict[str, float | None]:
    # What the program does besides is the same for one and for many.
    few, many = run(1), run(1 + times)
    instructions = None if few[0] is None or many[0] is None else (many[0] - few[0]) / times
    return {"instructions": instructions, "microseconds": max(many[1] - few[1], 0) / times}


def _piece(folder: Path, who: str, piece: str, count: bool) -> Run:
    def run(times: int) -> tuple[int | None, int]:
        options = {
            "who": who, "piece": piece, "times": times, "document": document(1024), "journal": str(folder / "records")
        }
        # Alone it is too short for the clock: ten times as often.
        took = on_unix.run(folder, "pieces", options | {"times": times * 10}, _HEAP)[0]["microseconds"] // 10
        return instructions.count(folder, "pieces", options, _HEAP) if count else None, took

    return run


def _keep_alives(folder: Path, who: str, work: Work, count: bool) -> Run:
    def prepare(times: int) -> tuple[str, dict[str, Any]]:
        job_ids = work.offer(1)
        return _device(folder, who, work, {"jobs": 1, "keep_alives": times, "job_id": job_ids[0]})

    return _measured(folder, prepare, count)


def _jobs(folder: Path, who: str, work: Work, count: bool) -> Run:
    def prepare(times: int) -> tuple[str, dict[str, Any]]:
        work.offer(times)
        return _device(folder, who, work, {"jobs": times})

    return _measured(folder, prepare, count)


def _measured(folder: Path, prepare: Callable[[int], tuple[str, dict[str, Any]]], count: bool) -> Run:
    def run(times: int) -> tuple[int | None, int]:
        took = on_unix.run(folder, *prepare(times), _HEAP)[0]["microseconds"]
        return instructions.count(folder, *prepare(times), _HEAP) if count else None, took

    return run


def _device(folder: Path, who: str, work: Work, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if who == "ujobs":
        return "device_ujobs", work.options(False, idle=True, journal=str(folder / "records"), **more)
    return "device_by_hand", work.options(False, **more)
