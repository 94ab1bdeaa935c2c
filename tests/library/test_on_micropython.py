"""Runs every test of tests/device on MicroPython as well: each function is a test here, each file one process.

tests/device has plain functions `test_...()` with plain asserts, which pytest also collects on CPython.
"""

import ast
import functools
import subprocess
from pathlib import Path

import pytest

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

DEVICE_TESTS = REPOSITORY / "tests" / "device"
_RUNNER = Path(__file__).with_name("micropython_runner.py")
_HEAP = "4m"  # large, because the library is compiled from source; benchmarks measure the heap that it needs
_TIMEOUT = 240  # seconds per file


def find_functions(file: Path) -> list[str]:
    """The names of the test functions in a file, in order, without importing it."""
    body = ast.parse(file.read_text()).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@functools.cache
def run_file(file: Path) -> tuple[dict[str, bool], dict[str, str], str]:
    """Run one file's functions on MicroPython.

    Returns, for each function that ended, whether it passed; the output of each, with the traceback of a failure; and
    how the process failed, "" if it did not.
    """
    names = find_functions(file)
    places = (umqtt.find()[0], REPOSITORY / "lib", file.parent, ON_BOARD, DEVICE, REPOSITORY)
    command = [find_micropython(), "-X", f"heapsize={_HEAP}", _RUNNER]
    try:
        result = subprocess.run(
            [*command, file.stem, *names],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            env=environment(*places),
        )
        printed, end = (
            result.stdout,
            f"MicroPython died, exit code {result.returncode}" if result.returncode else "",
        )
    except subprocess.TimeoutExpired as error:
        printed, end = error.stdout or b"", f"MicroPython was still busy after {_TIMEOUT} s"
    return *read_results(names, printed.decode(errors="replace")), end


def read_results(names: list[str], printed: str) -> tuple[dict[str, bool], dict[str, str]]:
    """Split the runner's output by function: the verdicts, and the lines that each printed."""
    verdicts: dict[str, bool] = {}
    output: dict[str, list[str]] = {name: [] for name in names}
    waiting = list(names)
    current = output[names[0]]
    for line in printed.splitlines():
        word, _, name = line.partition(" ")
        if waiting and name == waiting[0] and word in ("ok", "FAIL"):
            verdicts[waiting.pop(0)] = word == "ok"
            current = output[name]
        elif waiting and line == f"run {waiting[0]}":
            current = output[waiting[0]]
        else:
            current.append(line)
    return verdicts, {name: "\n".join(lines) for name, lines in output.items()}


CASES = [
    pytest.param(file, name, id=f"{file.stem}::{name}")
    for file in sorted(DEVICE_TESTS.glob("test_*.py"))
    for name in find_functions(file)
]


@pytest.mark.parametrize(("file", "name"), CASES)
def test_on_micropython(file: Path, name: str) -> None:
    verdicts, output, end = run_file(file)
    if name not in verdicts:
        last = next((other for other in output if other not in verdicts), name)
        pytest.fail(f"{end or 'no verdict'}, in {last}:\n{output[last]}", pytrace=False)
    if not verdicts[name]:
        pytest.fail(output[name], pytrace=False)
    print(output[name])
