"""`python -m ujobs_lab.fuzz`, run by `make fuzz`: the tests of tests/fuzz, one process each, on all processors."""

import ast
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ujobs_lab import REPOSITORY

_TESTS = REPOSITORY / "tests" / "fuzz"
_KEPT = REPOSITORY / "build" / "fuzz"
_SLOWEST = 30  # seconds after which an input counts as hung
_MEMORY = 1024  # MB
_GRACE = 60  # seconds for the start of a process, its first inputs and its end
_SEEDS = 20  # random inputs at the start
_SEED_BYTES = 2000
_SHOWN = 40  # lines shown of a failed process


@dataclass(frozen=True)
class Outcome:
    """The outcome of one test. inputs: their number. coverage: branches of the library that they reached. failed: the
    output, if the test failed. in_time: False for a process that was ended by the time limit; its inputs count, too."""

    test: str
    inputs: int
    coverage: int
    failed: str
    in_time: bool


def find_tests() -> list[str]:
    """The names of all fuzz tests, as MODULE::TEST."""
    return [
        f"{file.stem}::{node.name}"
        for file in sorted(_TESTS.glob("test_*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and any(_is_given(node))
    ]


def _is_given(function: ast.FunctionDef) -> Iterator[bool]:
    for decorator in function.decorator_list:
        yield isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "given"


def fuzz(test: str, seconds: int, seed: int) -> Outcome:
    """Run a test for so many seconds, or until it fails; the failing input is kept."""
    corpus = _KEPT / test.replace("::", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    for number in range(_SEEDS):
        (corpus / f"seed-{number}").write_bytes(source.randbytes(_SEED_BYTES))
    return _run(
        test, f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={_SLOWEST}", f"-rss_limit_mb={_MEMORY}",
        "-len_control=0", "-print_final_stats=1", f"-artifact_prefix={corpus}-", str(corpus), timeout=seconds + _GRACE,
    )


def _run(test: str, *options: str, timeout: int) -> Outcome:
    command = [sys.executable, "-m", "ujobs_lab.fuzz.target", *test.split("::"), *options]
    # A folder for the temporary files of the tests, because libFuzzer does not let them clean up.
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                env=os.environ | {"TMPDIR": folder},
            )
            return read(test, result.stdout, result.returncode)
        except subprocess.TimeoutExpired as error:
            # An input that hangs is reported by libFuzzer itself, before this limit.
            return read(test, error.stdout or b"", None)


def read(test: str, printed: bytes, code: int | None) -> Outcome:
    """Read what the process of a test has printed. code: its exit code, None if it was ended by the time limit."""
    said = printed.decode(errors="replace")
    # The statistics at the end, or the last line about the progress.
    inputs = re.findall(r"^(?:#|stat::number_of_executed_units: )(\d+)", said, re.MULTILINE)
    coverage = re.findall(r" cov: (\d+) ", said)
    lines = said.splitlines()
    given = [line for line in lines if line.startswith("given: ")]
    failed = "\n".join([*given, *lines[-_SHOWN:]]) if code else ""
    return Outcome(
        test, int(inputs[-1]) if inputs else 0, int(coverage[-1]) if coverage else 0, failed, code is not None
    )


def main(
    seconds: Annotated[int, typer.Option(help="Seconds for each test.")] = 60,
    only: Annotated[str, typer.Option(help="Only tests whose name contains this.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the random choices.")] = 1,
    again: Annotated[Path | None, typer.Option(help="Repeat this kept input with the test that --only names.")] = None,
) -> None:
    """Run the fuzz tests. Exit code 0: no test failed."""
    console = Console()
    tests = [test for test in find_tests() if only in test]
    if not tests or (again and len(tests) > 1):
        raise typer.BadParameter(f"{len(tests)} tests have {only!r} in their names")
    if again:
        outcomes = [_run(tests[0], str(again), timeout=_GRACE)]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(lambda test: fuzz(test, seconds, seed), tests))
    table = Table("test", "inputs", "branches reached", "", title="Fuzzing")
    for outcome in outcomes:
        verdict = "[red]failed[/red]" if outcome.failed else "" if outcome.in_time else "ended by the time limit"
        table.add_row(outcome.test.partition("::")[2], str(outcome.inputs), str(outcome.coverage), verdict)
    console.print(table)
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        console.print(f"[red]{outcome.test}[/red]\n" + escape(outcome.failed))
        console.print(f'again: python -m ujobs_lab.fuzz --only "{outcome.test}" --again FILE, as written above')
    total = sum(outcome.inputs for outcome in outcomes)
    print(f"{len(outcomes)} tests, {total} inputs, {len(failed)} failed, seed {seed}")
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
