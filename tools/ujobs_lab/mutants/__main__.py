"""`make mutants`: puts faults into the library, one at a time, chosen by a seed, and prints the share that the device
tests notice, and those that they do not.

Only lines that a test runs at all are worth a fault that is tried; a fault in a line that none runs is not noticed.
Faults that break no promise stand in harmless.toml, with the reason."""

import random
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
from ujobs_lab.mutants.tried import Copy, Runners

_HARMLESS = Path(__file__).with_name("harmless.toml")
_GOAL = 0.95
_MODULES = ("lib/ujobs", "firmware")


def main(
    count: Annotated[int, typer.Option(help="Faults to try.")] = 120,
    seed: Annotated[int, typer.Option(help="Chooses other faults.")] = 1,
    only: Annotated[str, typer.Option(help="Only in modules whose path contains this.")] = "",
    workers: Annotated[int, typer.Option(help="Faults tried at the same time.")] = 2,
) -> None:
    """Exit with 1 when less than 95 % of the faults are noticed."""
    console = Console(highlight=False)
    chosen = choose(count, seed, only)
    with tempfile.TemporaryDirectory(prefix="ujobs-mutants-") as temporary:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(workers):
            copies.put(Copy(Path(temporary) / str(number)))
        first = copies.get()
        runners = first.runners()
        copies.put(first)

        def attempt(fault: tuple[str, Mutation]) -> bool:
            tests = tests_for(runners, *fault)
            if not tests:
                return False
            copy = copies.get()
            try:
                return copy.notices(*fault, tests)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(workers) as pool:
            noticed = list(pool.map(attempt, chosen))
    tried, seen = Counter(module for module, _ in chosen), Counter[str]()
    for (module, one), found in zip(chosen, noticed, strict=True):
        seen[module] += found
        if not found:
            line = (REPOSITORY / module).read_text().splitlines()[one.line - 1].strip()
            console.print(f"not noticed: {module}:{one.line}: {one.what}: {line}", markup=False, soft_wrap=True)
    share = sum(noticed) / len(chosen) if chosen else 1.0
    rows: list[tuple[str, ...] | tuple[()]] = [_row(module, tried[module], seen[module]) for module in sorted(tried)]
    rows += [(), _row("all", len(chosen), sum(noticed))]
    console.print(as_table(Sheet(f"Faults noticed, seed {seed}", ("module", "tried", "noticed", "share"), rows)))
    raise SystemExit(share < _GOAL)


def _row(name: str, tried: int, noticed: int) -> tuple[str, ...]:
    return (name, f"{tried}", f"{noticed}", f"{noticed / max(tried, 1):.0%}")


def choose(count: int, seed: int, only: str = "") -> list[tuple[str, Mutation]]:
    """So many faults, by module, out of all that are not harmless."""
    harmless = {
        (one["module"], one["line"], one["what"]) for one in tomllib.loads(_HARMLESS.read_text()).get("fault", ())
    }
    faults = []
    for folder in _MODULES:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            module = str(path.relative_to(REPOSITORY))
            if only not in module or path.name == "manifest.py":
                continue
            source = path.read_bytes()
            lines = source.decode().splitlines()
            faults += [
                (module, one)
                for one in mutations(source)
                if (module, lines[one.line - 1].strip(), one.what) not in harmless
            ]
    return sorted(
        random.Random(seed).sample(faults, min(count, len(faults))), key=lambda fault: (fault[0], fault[1].start)
    )


def tests_for(runners: Runners, module: str, one: Mutation) -> list[str]:
    """The tests that run the line with a fault; for a line run at import, all tests of the module's other lines."""
    found = runners.get((module, one.line), set())
    if not found and (module, one.line) in runners:
        found = set().union(*(tests for (name, _), tests in runners.items() if name == module))
    return sorted(found)


if __name__ == "__main__":
    typer.run(main)
