"""A copy of the repository in which one fault at a time is tried with the tests that run the faulty line."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import coverage  # pyright: ignore[reportMissingImports]

from ujobs_lab import REPOSITORY
from ujobs_lab.mutants.mutations import Mutation, mutated

TESTS = "tests/device"
_COPIED = ("lib", "firmware", "tests", "tools", "boot.py", "main.py", "pyproject.toml", "examples")
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=60")
_OUTPUT = "output.txt"
_PATIENCE = 300.0  # seconds for all tests of one fault

# Module and line -> the tests that run it.
Runners = dict[tuple[str, int], set[str]]


class Copy:
    """folder: for the copy, which is made at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in _COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy2(source, folder / name)

    def notices(self, module: str, one: Mutation, tests: list[str]) -> bool:
        """Whether a test fails, or does not end, with the fault in the module."""
        path = self._folder / module
        source = path.read_bytes()
        path.write_bytes(mutated(source, one))
        try:
            return self._run([*_PYTEST, *tests]) != 0
        finally:
            path.write_bytes(source)

    def runners(self) -> Runners:
        """Which tests run which lines, by running them all once. Raises RuntimeError when one fails without a fault."""
        data = self._folder / "coverage.data"
        settings = self._folder / "coverage.ini"
        settings.write_text(
            f"[run]\ndata_file = {data}\ndynamic_context = test_function\nsource = {self._folder / 'lib'}\n"
            f"    {self._folder / 'firmware'}\n"
        )
        command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", *_PYTEST[1:], TESTS]
        if self._run(command, 1200.0) != 0:
            said = (self._folder / _OUTPUT).read_text()[-3000:]
            raise RuntimeError(f"{TESTS} fails without a fault:\n{said}")
        measured = coverage.CoverageData(str(data))
        measured.read()
        found: Runners = defaultdict(set)
        for file in measured.measured_files():
            module = str(Path(file).relative_to(self._folder))
            for line, contexts in measured.contexts_by_lineno(file).items():
                found[module, line] = {_test(context) for context in contexts if context}
        return found

    def _run(self, command: list[str], patience: float = _PATIENCE) -> int:
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        with (
            (self._folder / _OUTPUT).open("wb") as output,
            subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            ) as process,
        ):
            try:
                return process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return 1


def _test(context: str) -> str:
    # "test_link.test_ping" is what coverage calls it.
    module, _, name = context.rpartition(".")
    return f"{TESTS}/{module.rpartition('.')[2]}.py::{name}"
