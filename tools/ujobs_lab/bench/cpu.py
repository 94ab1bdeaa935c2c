"""What the work on a job costs the processor: instructions, as valgrind counts them, on MicroPython's unix port, and
time.

Instructions do not depend on the machine's load. What a board with 32-bit words does is less work of another kind, but
the proportion between two programs in the same interpreter carries over. Connections are real, without TLS, to
`ujobs serve`; the instructions of sockets are the system's and are not counted. The journal is on the host's file
system, but for the row that says littlefs."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.bench import instructions, on_unix
from ujobs_lab.bench.cloud_at_work import Work, at_work
from ujobs_lab.bench.documents import document
from ujobs_lab.bench.sheet import Sheet

_HEAP = "256k"  # with words of 8 bytes; what 128 KB are on a board
_WHO = ("ujobs", "by hand")
_KINDS = ("instructions", "microseconds")
_PIECES = ("parse a reply", "write the journal", "write the journal, on littlefs", "collect garbage")
_ONLY_UJOBS = _PIECES[1:]
# How often a job has each of them. The journal notes that it begins, how it ended, and that the service knows.
_OF_A_JOB = {"parse a reply": 1, "write the journal": 3}

# Prepares a run in which something is done so many times; gives the program of on_board/ and its options.
Prepare = Callable[[int], tuple[str, dict[str, Any]]]


def measure(times: int = 200, jobs: int = 40, rounds: int = 3, valgrind: bool | None = None) -> dict[str, Any]:
    """Instructions and microseconds of each piece, a progress update and a job, for both. times: how often a piece
    and a progress update are done; jobs: how many jobs; rounds: of the time, which is the median; valgrind: whether to
    count instructions, None for where it is installed.

    Raises on_unix.ProgramFailed, NotReady.
    """
    count = instructions.countable() if valgrind is None else valgrind
    found: dict[str, Any] = {"valgrind": count, "pieces": {}}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)

        def each(prepare: Prepare, counted: int, timed: int) -> dict[str, float | None]:
            took = statistics.median(_microseconds(folder, prepare, timed) for _ in range(rounds))
            return {"instructions": _instructions(folder, prepare, counted) if count else None, "microseconds": took}

        for piece in _PIECES:
            found["pieces"][piece] = {
                # Short for a clock: ten times as often.
                who: each(_piece(folder, who, piece), times, times * 10)
                for who in _WHO if who == "ujobs" or piece not in _ONLY_UJOBS
            }
        with at_work(folder) as service:
            work = Work(service, folder)
            for name, make, often in (("progress update", _progress_updates, times), ("job", _jobs, jobs)):
                found["pieces"][name] = {who: each(make(folder, who, work), often, often) for who in _WHO}
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    ours, theirs = (found["pieces"]["job"][who]["instructions"] for who in _WHO)
    return {"job_ratio": ours / theirs} if ours and theirs else {}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables: each piece, and which of them a job consists of."""
    rows = []
    for name, cost in found["pieces"].items():
        counted, took = ([cost[who][kind] if who in cost else None for who in _WHO] for kind in _KINDS)
        ours, theirs = counted
        ratio = f"{ours / theirs:.1f}" if ours and theirs else ""
        rows.append((name, *map(_cell, counted), ratio, *map(_cell, took)))
    columns = ("", "ujobs, instructions", "by hand", "ratio", "ujobs, µs", "by hand")
    note = "" if found["valgrind"] else instructions.NOT_COUNTED
    pieces = Sheet("Processor", columns, rows, note, on_page=("progress update", "job"))
    return [pieces, _of_a_job(found["pieces"])] if found["valgrind"] else [pieces]


def _of_a_job(pieces: dict[str, Any]) -> Sheet:
    whole = pieces["job"]["ujobs"]["instructions"]
    parts = {
        f"{name}, {times} times" if times > 1 else name: times * pieces[name]["ujobs"]["instructions"]
        for name, times in _OF_A_JOB.items() if name in pieces
    }
    parts["MQTT, tasks, waiting, the rest"] = whole - sum(parts.values())
    rows: list[tuple[str, ...]] = [(name, f"{cost:,.0f}", f"{cost / whole:.0%}") for name, cost in parts.items()]
    rows += [(), ("job", f"{whole:,.0f}", "")]
    return Sheet("Where the instructions of a job with ujobs go", ("", "instructions", "of the job"), rows, on_page=())


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _instructions(folder: Path, prepare: Prepare, times: int) -> float:
    # What the program does besides is the same for one and for many.
    few, many = (instructions.count(folder, *prepare(often), _HEAP) for often in (1, 1 + times))
    return (many - few) / times


def _microseconds(folder: Path, prepare: Prepare, times: int) -> float:
    # The program itself leaves out what it does besides, the first time among it.
    found = on_unix.run(folder, *prepare(1 + times), _HEAP)[0]
    return found["microseconds"] / found["times"]


def _piece(folder: Path, who: str, piece: str) -> Prepare:
    options = {"who": who, "piece": piece, "document": document(1024), "journal": str(folder / "records")}
    return lambda times: ("pieces", options | {"times": times})


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
