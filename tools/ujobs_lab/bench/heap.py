"""The smallest heap with which MicroPython's unix port does a whole job over mutual TLS, found by bisection.

The port has 64-bit words, so a board needs less. As on an ESP32, TLS allocates its memory outside this heap: about
35 KB during the handshake."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix
from ujobs_lab.bench.cloud_at_work import Work
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.bench.sheet import Sheet

_WHO = ("ujobs", "by hand")
_FROM_FILES = "ujobs from files"
_LOWEST, _HIGHEST = 8, 256  # KB
_PATIENCE = 5.0  # seconds; a job takes a fraction of one, and the agent waits ten when memory runs out


def measure(step: int = 1) -> dict[str, Any]:
    """KB of heap that are enough, for both programs. step: precision in KB. Raises NotReady, on_unix.ProgramFailed."""
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary) / "lib"
        on_unix.compile_programs(folder)
        with ujobs_serve(folder) as service:
            return {
                who: bisect(_attempt(folder, Work(service, folder / who), who), step) for who in (*_WHO, _FROM_FILES)
            }


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figure that budget.toml limits."""
    return {"least_kb": found["ujobs"]}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    what = "connect over TLS, run a job with a document of 1 KB, report the result"
    row = (what, *(f"{found[who]} KB" for who in _WHO))
    files = ("the same, with file names in `Agent(cert=…, key=…, ca=…)`", f"{found[_FROM_FILES]} KB", "")
    return [Sheet("Smallest sufficient heap, 64-bit words", ("", *_WHO), [row, files])]


def bisect(suffices: Callable[[int], bool], step: int) -> int:
    """The smallest sufficient heap in KB. Raises on_unix.ProgramFailed if the largest is not enough."""
    low, high = _LOWEST, _HIGHEST
    if not suffices(high):
        raise on_unix.ProgramFailed(f"a heap of {high} KB is not enough")
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
        options = work.options(
            True, jobs=1, idle=True, journal=str(folder / f"records-{kilobytes}"), files=who == _FROM_FILES
        )
        program = "device_by_hand" if who == "by hand" else "device_ujobs"
        try:
            on_unix.run(folder, program, options, f"{kilobytes}k", patience=_PATIENCE)
        except on_unix.ProgramFailed:
            # The next attempt needs a job of its own. This one may have succeeded, and what follows have had no memory.
            if work.status(job_id) != "SUCCEEDED":
                work.cancel(job_id)
            return False
        return work.status(job_id) == "SUCCEEDED"

    return suffices
