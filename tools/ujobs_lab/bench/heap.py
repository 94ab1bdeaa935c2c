"""The least heap with which MicroPython's unix port does a whole job over mutual TLS, found by bisection.

A word has 8 bytes there, so a board needs less. TLS takes its own memory from the system, here as on an ESP32: some
35 KB in a handshake, which are not in these figures."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.cloud_at_work import Work, at_work
from ujobs_lab.bench.sheet import Sheet

_WHO = ("ujobs", "by hand")
_LOWEST, _HIGHEST = 8, 256  # KB
_PATIENCE = 5.0  # seconds; a job takes a fraction of one, and the agent waits ten when it has no memory


def measure(step: int = 1) -> dict[str, Any]:
    """KB that suffice, for both. step: how exactly, in KB. Raises NotReady, on_unix.ProgramFailed."""
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with at_work(folder) as service:
            return {who: bisect(_attempt(folder, Work(service, folder / who), who), step) for who in _WHO}


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """None of these figures has a limit."""
    return {}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    row = ("connect over TLS, do a job with a document of 1 KB, report it", *(f"{found[who]} KB" for who in _WHO))
    return [Sheet("Least heap with 64-bit words", ("", *_WHO), [row])]


def bisect(suffices: Callable[[int], bool], step: int) -> int:
    """The least KB, in steps, that suffice. Raises on_unix.ProgramFailed when the most does not."""
    low, high = _LOWEST, _HIGHEST
    if not suffices(high):
        raise on_unix.ProgramFailed(f"{high} KB of heap are not enough")
    while high - low > step:
        middle = (low + high) // 2
        if suffices(middle):
            high = middle
        else:
            low = middle
    return high


def _attempt(folder: Path, work: Work, who: str) -> Callable[[int], bool]:
    def suffices(kilobytes: int) -> bool:
        job_id = work.offer(1)[0]
        options = work.options(True, jobs=1, idle=True, journal=str(folder / f"records-{kilobytes}"))
        program = "device_ujobs" if who == "ujobs" else "device_by_hand"
        try:
            on_unix.run(folder, program, options, f"{kilobytes}k", patience=_PATIENCE)
        except on_unix.ProgramFailed:
            # Out of the way: the next attempt is to have a job of its own.
            work.cancel(job_id)
            return False
        return work.status(job_id) == "SUCCEEDED"

    return suffices
