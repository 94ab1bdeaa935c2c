"""Heap on a 32-bit MicroPython, the webassembly build: what is held from one step to the next, and the peak of a job.

Next to it the same jobs by hand, see on_board/by_hand.py, with the same canned answers. Not in these figures: sockets
and TLS, which take their memory from elsewhere, and the buffers of an open file. asyncio is this interpreter's own,
frozen as that of a board is."""

import json
import shutil
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from ujobs_tools.bench import on_unix
from ujobs_tools.bench.documents import document_text
from ujobs_tools.bench.missing import Missing
from ujobs_tools.bench.sheet import Sheet
from ujobs_tools.board.umqtt import REPOSITORY

PACKAGES = REPOSITORY / "build" / "bench-javascript"
_PROGRAM = Path(__file__).parent / "javascript" / "heap.mjs"
_MODULES = ("protocol", "link", "journal", "client", "job", "agent")
_SIZES = (1024, 8192)  # bytes of a job document
_FIRST_JOBS = 10
_ASYNCIO = "import asyncio; asyncio.Event, asyncio.Lock, asyncio.wait_for"

_UNTIL_IDLE = ("asyncio", "umqtt.simple", "application", "constructed", "connected")
_WHO = ("ujobs", "by hand")

Step = dict[str, str]
Figures = dict[str, Any]





def measure(jobs: int = 1000) -> dict[str, Any]:
    """Heap after each step, for both and for each size of a document. jobs: how many follow one another.

    Raises Missing, on_unix.ProgramFailed.
    """
    if not shutil.which("node") or not PACKAGES.exists():
        raise Missing("the 32-bit MicroPython is missing: install Node.js with npm, then `make bench`")
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        found: dict[str, Any] = {"jobs": jobs}
        for size in _SIZES:
            many = jobs if size == _SIZES[0] else 0
            found[f"ujobs {size}"] = _run(folder, _of_ujobs(size) + _jobs("heap_ujobs", many))
            found[f"by hand {size}"] = _run(folder, _by_hand(size) + _jobs("heap_by_hand", many))
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    ours, theirs = (_by_name(found[f"{who} {_SIZES[0]}"]) for who in ("ujobs", "by hand"))
    grown = ours["all jobs"]["live"] - ours["first jobs"]["live"] if "all jobs" in ours else 0
    return {"idle_bytes": ours["connected"]["live"] - theirs["connected"]["live"], "growth_bytes": grown}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables: from the interpreter to the idle connection, and what a job takes beyond that."""
    ours, theirs = (found[f"{who} {_SIZES[0]}"] for who in ("ujobs", "by hand"))
    return [_idle(ours, theirs), _of_jobs(found)]


def _idle(ours: list[Figures], theirs: list[Figures]) -> Sheet:
    hand = _differences(theirs)
    rows = [
        (name, f"{held:,}", f"{hand[name]:,}" if name in hand else "")
        for name, held in _differences(ours).items()
        if name in _UNTIL_IDLE or name.startswith("ujobs.")
    ]
    begin = [figures["name"] for figures in ours].index("umqtt.simple")
    totals = [_by_name(one)["connected"]["live"] - one[begin]["live"] for one in (ours, theirs)]
    rows += [(), ("all beyond umqtt.simple", *(f"{total:,}" for total in totals))]
    return Sheet("Heap with 32-bit words until connected and idle, bytes more than before", ("", *_WHO), rows)


def _of_jobs(found: dict[str, Any]) -> Sheet:
    columns, cells = [""], [["held while the handler runs"], ["peak"], ["allocated, and collected as garbage"]]
    for size in _SIZES:
        for who in _WHO:
            figures = _by_name(found[f"{who} {size}"])
            idle = figures["connected"]["live"]
            columns.append(f"{who}, {size // 1024} KB")
            handler = figures.get("in a handler")
            cells[0].append(f"{handler['live'] - idle:,}" if handler else "")
            cells[1].append(f"{figures['first jobs']['peak'] - idle:,}")
            cells[2].append(f"{figures['first jobs']['allocated'] // (_FIRST_JOBS - 1):,}")
    jobs = found["jobs"]
    grown = [
        f"{who} {figures['all jobs']['live'] - figures['first jobs']['live']:,}"
        for who in _WHO if "all jobs" in (figures := _by_name(found[f"{who} {_SIZES[0]}"]))
    ]
    note = f"From job {_FIRST_JOBS} to job {jobs:,} the heap grew by this many bytes: {', '.join(grown)}."
    return Sheet(
        "Heap that a job takes beyond that, by the size of its document, bytes", tuple(columns),
        [tuple(row) for row in cells], note if grown else "",
    )


def _by_name(steps: list[Figures]) -> dict[str, Figures]:
    return {step["name"]: step for step in steps}


def _differences(steps: list[Figures]) -> dict[str, int]:
    # What each step left in the heap.
    names = [step["name"] for step in steps]
    held = [0, *(step["live"] for step in steps)]
    return dict(zip(names, (after - before for before, after in pairwise(held)), strict=True))


def _before(size: int) -> list[Step]:
    # What every program with asyncio, or the measurement itself, needs.
    text = document_text(size)
    return [
        {"name": "interpreter", "run": "import binascii, errno, json, micropython, os, random, struct, time"},
        {"name": "asyncio", "run": _ASYNCIO},
        {"name": "measurement", "run": f"import heap_common as common; common.prepare({text!r}); idle = common.idle"},
        {"name": "umqtt.simple", "run": "import umqtt.simple"},
    ]


def _of_ujobs(size: int) -> list[Step]:
    modules = [{"name": f"ujobs.{name}", "run": f"import ujobs.{name}"} for name in _MODULES]
    return [
        *_before(size),
        *modules,
        {"name": "application", "run": "import heap_ujobs as program; in_handler = program.in_handler"},
        {"name": "constructed", "run": "program.make()"},
        {"name": "connected", "run": "program.start()", "until": "idle"},
        {"name": "in a handler", "run": "program.hold = True; common.script.queue(1)", "until": "in_handler"},
        {"name": "after it", "run": "program.hold = False", "until": "idle"},
    ]


def _by_hand(size: int) -> list[Step]:
    return [
        *_before(size),
        {"name": "application", "run": "import heap_by_hand as program; turn = program.turn"},
        {"name": "constructed", "run": "program.make()"},
        {"name": "connected", "run": "program.start()", "until": "idle", "turn": "turn"},
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
