"""Power cuts: runs on_board/session.py on MicroPython, one process per processor, and shows the results.

on_board/ defines the test cases and checks them; this module reads its output, counts the cases and shows tables.
"""

import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_lab.faults.output import SILENCE, lines
from ujobs_tools.board import umqtt
from ujobs_tools.board.fakes_cache import FAKES
from ujobs_tools.board.interpreter import compile_module, environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_PROGRAMS = Path(__file__).parent / "on_board"
_HEAP = "48m"  # a misbehaving handler exhausts this memory
_ROUNDS = 2  # rounds of the session on the same flash
_PAIRS = 100  # pairs of cuts for each type of job
_SHOWN = 10  # failed cases shown in full
_INTERVAL = 60  # seconds between two lines about the progress
_CHECKS = ("once", "twice", "late", "damaged", "misbehaving", "cancel")
_WEAR_BLOCKS = 512  # 2 MB, as a 4 MB ESP32 has for files
_WEAR_JOBS = 1000
_CYCLES = 100_000  # specified number of erases of NOR flash
_JOBS_A_YEAR = 60 * 24 * 365


@dataclass
class Case:
    """One test case. text: its name, for `--only`. wrong: broken promises. log: what the board printed."""

    text: str
    wrong: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def run(console: Console, sample: int | None, seed: int, only: str | None, random_only: bool) -> int:
    """Run the cases, show the tables, and return the exit code: 0 if every promise was kept, else 1."""
    started = time.monotonic()
    rounds = _ROUNDS if sample is None else 1
    options = {
        "rounds": rounds, "pairs": _PAIRS, "sample": sample, "seed": seed, "only": only, "random_only": random_only,
    }
    with tempfile.TemporaryDirectory() as folder:
        compile_library(Path(folder))
        cases = run_cases(Path(folder), options)
        console.print(_show_cases(cases))
        failed = [one for one in cases if one.wrong]
        for one in failed[:_SHOWN]:
            console.print(f"[red]{one.text}[/red]: {escape('; '.join(one.wrong))}")
            console.print(escape("\n".join(one.log)), style="dim")
            console.print(f'again: python -m ujobs_lab.faults power --only "{one.text}"')
        if len(cases) == 1:
            console.print(escape("\n".join(cases[0].log)))
        if sample is None and not only and not random_only:
            console.print(_show_wear(measure_wear(Path(folder))))
    print(f"{len(cases)} cases, {len(failed)} failed, seed {seed}, {time.monotonic() - started:.0f} s")
    return 1 if failed or not cases else 0


def compile_library(folder: Path) -> None:
    """Compile lib/ujobs and umqtt.simple into a folder as .mpy, because every reset imports them again."""
    library = REPOSITORY / "lib"
    client = umqtt.find()[0]
    for root, path in [*((library, path) for path in library.rglob("*.py")), (client, client / "umqtt" / "simple.py")]:
        target = (folder / path.relative_to(root)).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        # umqtt.simple checks what it receives with `assert`, which optimising removes.
        target.write_bytes(compile_module(path.read_bytes(), path.name, 2 if root is library else 0))


def run_cases(folder: Path, options: dict[str, object]) -> list[Case]:
    """Run the cases that the options select, see on_board/session.py. folder: of compile_library()."""
    one = str(options["only"] or "").count(" ") > 1
    parts = 1 if one else os.cpu_count() or 1
    cases: list[list[Case]] = [[] for _ in range(parts)]
    with ThreadPoolExecutor(parts) as pool:
        processes = [
            pool.submit(_run_part, folder, {**options, "part": part, "parts": parts}, cases[part])
            for part in range(parts)
        ]
        while wait(processes, _INTERVAL).not_done:
            print(f"{sum(map(len, cases))} cases tried", flush=True)
        for process in processes:
            process.result()
    return [one for part in cases for one in part]


def measure_wear(folder: Path) -> dict[str, dict[str, int]]:
    """Measure the flash wear of jobs, see on_board/wear.py."""
    command = _command("wear.py", {"blocks": _WEAR_BLOCKS, "jobs": _WEAR_JOBS})
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=_environment(folder))
    return json.loads(result.stdout.splitlines()[-1])


def _run_part(folder: Path, options: dict[str, object], cases: list[Case]) -> None:
    count = 0
    current = before = Case("the session without cuts")
    ended = "the process ended"
    process = subprocess.Popen(
        _command("session.py", options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment(folder)
    )
    try:
        for line in lines(process):
            mark, text = line[:2], line[2:]
            if mark == "> ":
                current = Case(text)
                cases.append(current)
            elif mark == "! ":
                current.wrong.append(text)
            elif mark == "# ":
                count = int(text)
            elif mark == "= ":
                ended = ""
            else:
                current.log.append(text if mark == "| " else line)
    except TimeoutError:
        ended = f"nothing happened for {SILENCE} s"
    finally:
        process.kill()
        process.wait()
    if ended:
        current.wrong.append(f"{ended}; {count - len(cases)} of its cases were not tried")
        if current is before:
            cases.append(before)


def _command(program: str, options: dict[str, object]) -> list[str | Path]:
    return [find_micropython(), "-X", f"heapsize={_HEAP}", _PROGRAMS / program, json.dumps(options)]


def _environment(library: Path) -> dict[str, str]:
    return environment(library, _PROGRAMS, ON_BOARD, DEVICE, FAKES)


def _show_cases(cases: list[Case]) -> Table:
    names = ("one cut", "two cuts", "long off", "damaged journal", "misbehaving handler", "cancelled")
    table = Table("job", *names, title="Test cases")
    tried: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    for one in cases:
        check, name = one.text.split(" ")[:2]
        for key in ((check, name), (check, "all")):
            tried[key] += 1
            failed[key] += bool(one.wrong)
    names = list(dict.fromkeys(one.text.split(" ")[1] for one in sorted(cases, key=lambda one: _order(one.text))))
    for name in [*names, "all"]:
        if name == "all":
            table.add_section()
        table.add_row(name, *(_cell(tried[check, name], failed[check, name]) for check in _CHECKS))
    return table


def _order(text: str) -> tuple[int, int]:
    words = text.split(" ")
    return _CHECKS.index(words[0]) if words[0] in _CHECKS else -1, int(words[2]) if words[2].isdigit() else 0


def _cell(tried: int, failed: int) -> str:
    if failed:
        return f"[red]{tried}, {failed} failed[/red]"
    return str(tried) if tried else ""


def _show_wear(wear: dict[str, dict[str, int]]) -> Table:
    table = Table(
        "job", "programs", "erases", f"most of one block in {_WEAR_JOBS} jobs", "years",
        title=f"Flash wear, {_WEAR_BLOCKS} blocks, per job",
    )
    for name, cost in wear.items():
        erases = cost["erases"] / _WEAR_JOBS
        table.add_row(
            f"{name}, {cost['progress_updates'] // _WEAR_JOBS} progress updates" if cost["progress_updates"] else name,
            f"{cost['programs'] / _WEAR_JOBS:.1f}",
            f"{erases:.2f}",
            str(cost["busiest"]),
            f"{_WEAR_BLOCKS * _CYCLES / erases / _JOBS_A_YEAR:.0f}",
        )
    long, quick = wear["long"], wear["quick"]
    programs, erases = ((long[cost] - quick[cost]) / long["progress_updates"] for cost in ("programs", "erases"))
    table.add_row("a progress update", f"{programs:.1f}", f"{erases:.2f}")
    table.caption = f"years: at one job a minute, {_CYCLES:,} erases a block"
    return table
