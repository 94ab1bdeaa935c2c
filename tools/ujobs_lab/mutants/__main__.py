"""`make mutants`: puts faults into the library and the firmware, one at a time, chosen by a seed. Prints the faults
that the tests do not detect, and the share of detected faults in each module.

The tests of tests/device that run the faulty line are run on CPython, the nearest first; if none fails, on MicroPython,
and then tests/library. A fault in a line that no test runs counts as not detected. Faults that break no promise are
listed in harmless.toml, with the reason."""

import os
import random
import re
import tempfile
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer
from rich.console import Console

from ujobs_lab import REPOSITORY
from ujobs_lab.bench.sheet import Sheet, as_table
from ujobs_lab.mutants.mutations import Mutation, mutations
from ujobs_lab.mutants.tried import Copy

_HARMLESS = Path(__file__).with_name("harmless.toml")
_GOAL = 0.95
_PLACES = ("lib/ujobs", "firmware", "boot.py", "main.py")


def main(
    count: Annotated[int, typer.Option(help="Faults to try.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the choice of faults.")] = 1,
    only: Annotated[str, typer.Option(help="Only in modules whose path matches this regular expression.")] = "",
    workers: Annotated[int, typer.Option(help="Faults tried at the same time.")] = os.cpu_count() or 1,
) -> None:
    """Exit code 1: less than 95 % of the faults are detected."""
    console = Console(highlight=False)
    chosen = choose(count, seed, only)
    with tempfile.TemporaryDirectory(prefix="ujobs-mutants-") as temporary:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(workers):
            copies.put(Copy(Path(temporary) / str(number)))
        first = copies.get()
        runs = first.runs()
        copies.put(first)

        def attempt(fault: tuple[str, Mutation]) -> bool:
            tests = runs.tests_for(*fault)
            if not tests:
                return False
            copy = copies.get()
            try:
                return copy.notices(*fault, tests, runs)
            finally:
                copies.put(copy)

        tried, seen = Counter(module for module, _ in chosen), Counter[str]()
        with ThreadPoolExecutor(workers) as pool:
            for (module, one), found in zip(chosen, pool.map(attempt, chosen), strict=True):
                seen[module] += found
                if not found:
                    line = (REPOSITORY / module).read_text().splitlines()[one.line - 1].strip()
                    text = f"not detected: {module}:{one.line}: {one.what}: {line}"
                    console.print(text, markup=False, soft_wrap=True)
    detected = seen.total()
    share = detected / len(chosen) if chosen else 1.0
    rows: list[tuple[str, ...] | tuple[()]] = [_row(module, tried[module], seen[module]) for module in sorted(tried)]
    rows += [(), _row("all", len(chosen), detected)]
    console.print(as_table(Sheet(f"Faults detected, seed {seed}", ("module", "tried", "detected", "share"), rows)))
    raise SystemExit(share < _GOAL)


def _row(name: str, tried: int, detected: int) -> tuple[str, ...]:
    return (name, f"{tried}", f"{detected}", f"{detected / max(tried, 1):.0%}")


def choose(count: int, seed: int, only: str = "") -> list[tuple[str, Mutation]]:
    """A random sample of the faults that are not harmless, by module."""
    harmless = {
        (one["module"], one["line"], one["what"], one.get("at", 0))
        for one in tomllib.loads(_HARMLESS.read_text()).get("fault", ())
    }
    faults = []
    for place in _PLACES:
        for path in sorted([REPOSITORY / place, *(REPOSITORY / place).rglob("*.py")]):
            module = str(path.relative_to(REPOSITORY))
            if not re.search(only, module) or path.is_dir() or path.name == "manifest.py":
                continue
            source = path.read_bytes()
            lines = source.decode().splitlines()
            places = Counter[tuple[int, str]]()
            for one in mutations(source):
                places[one.line, one.what] += 1
                text = (module, lines[one.line - 1].strip(), one.what)
                if not harmless & {(*text, 0), (*text, places[one.line, one.what])}:
                    faults.append((module, one))
    return sorted(
        random.Random(seed).sample(faults, min(count, len(faults))), key=lambda fault: (fault[0], fault[1].start)
    )


if __name__ == "__main__":
    typer.run(main)
