"""Flash wear of jobs and progress updates: programs and erases of a NOR flash simulated in memory, under littlefs.

wear.py and file_wear.py in ujobs_lab/faults/on_board run the jobs and count. There is no comparison by hand, because
that program writes nothing and loses everything at a reset."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_lab.bench import on_unix
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.board.fakes_cache import FAKES
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_PROGRAMS = REPOSITORY / "tools" / "ujobs_lab" / "faults" / "on_board"
_BLOCKS = 512  # of 4 KB, as a 4 MB ESP32 has for files
_HEAP = "48m"  # includes the simulated flash
_PATIENCE = 300  # seconds
_NAMES = {"nothing": "a job without status details", "quick": "with a short result",
          "large": "with 2 KB of status details", "long": "with a short result and its progress updates"}  # fmt: skip


def measure(jobs: int = 300) -> dict[str, Any]:
    """Programs and erases for `jobs` jobs of each kind. Raises on_unix.ProgramFailed."""
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        kinds = _run(folder, "wear.py", json.dumps({"blocks": _BLOCKS, "jobs": jobs}))
        return {"jobs": jobs, "kinds": kinds, "files": _run(folder, "file_wear.py")}


def _run(library: Path, program: str, *arguments: str) -> Any:
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", _PROGRAMS / program, *arguments]
    imports = environment(library, _PROGRAMS, ON_BOARD, DEVICE, FAKES)
    done = subprocess.run(command, capture_output=True, text=True, env=imports, timeout=_PATIENCE)
    if done.returncode:
        raise on_unix.ProgramFailed(f"{program}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    return {"erases_per_job": found["kinds"]["quick"]["erases"] / found["jobs"]}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables."""
    kinds, jobs = found["kinds"], found["jobs"]
    rows = [
        (name, f"{kinds[kind]['programs'] / jobs:.1f}", f"{kinds[kind]['erases'] / jobs:.2f}")
        for kind, name in _NAMES.items()
    ]
    long, quick = kinds["long"], kinds["quick"]
    if long["progress_updates"]:
        each = [(long[cost] - quick[cost]) / long["progress_updates"] for cost in ("programs", "erases")]
        rows.append(("a progress update alone", f"{each[0]:.1f}", f"{each[1]:.2f}"))
    files = [tuple(f"{figure:,}" for figure in row) for row in found["files"]]
    return [
        Sheet(f"Flash wear, mean of {jobs:,} jobs", ("", "programs", "erases"), rows),
        Sheet(
            "Flash wear of a file of 1 MB",
            ("littlefs cache, bytes", "KB between checkpoints", "programs", "erases"),
            files,
            on_page=(),
        ),
    ]
