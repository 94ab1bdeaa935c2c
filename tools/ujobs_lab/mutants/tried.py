"""A copy of the repository in which the tests run with one fault at a time."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import coverage  # pyright: ignore[reportMissingImports]

from ujobs_lab import REPOSITORY
from ujobs_lab.mutants.mutations import Mutation, mutated

TESTS = ("tests/device", "tests/library")
_COPIED = ("lib", "firmware", "tests", "tools", "boot.py", "main.py", "pyproject.toml", "examples")
_MEASURED = ("lib/*", "firmware/*", "boot.py", "main.py")
_ON_MICROPYTHON = "tests/library/test_on_micropython.py"
# Importing Hypothesis takes longer than most tests.
_PYTEST = (
    sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--timeout=120",
)
_OUTPUT = "output.txt"
_PATIENCE = 900.0  # seconds for all tests of one fault


@dataclass
class Runs:
    """The result of a run of all tests on CPython. lines: module and line -> the tests that run it. seconds: of
    each test, by the name of its function."""

    lines: dict[tuple[str, int], set[str]]
    seconds: dict[str, float]

    def tests_for(self, module: str, one: Mutation) -> list[str]:
        """The tests that run the line with a fault: those near the module first, then by duration.

        For a line that runs at import: the tests of the module's other lines.
        """
        line = one.line
        while line and (module, line) not in self.lines:
            line -= 1  # not the first line of a statement
        found = self.lines.get((module, line), set())
        if not found and line:
            found = set().union(*(tests for (name, _), tests in self.lines.items() if name == module))
        near = Path(module).stem

        def order(test: str) -> tuple[bool, float, str]:
            file, _, function = test.partition("::")
            return near not in file, self.seconds.get(function, 0), test

        return sorted(found, key=order)


class Copy:
    """folder: for the copy, which is created here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in _COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy2(source, folder / name)

    def notices(self, module: str, one: Mutation, tests: list[str]) -> bool:
        """Whether a test fails or does not end with the fault: on CPython, or else on MicroPython."""
        path = self._folder / module
        source = path.read_bytes()
        path.write_bytes(mutated(source, one))
        try:
            return any(self._run([*_PYTEST, *some]) != 0 for some in (tests, _on_micropython(tests)) if some)
        finally:
            path.write_bytes(source)

    def runs(self) -> Runs:
        """Run all tests once, without a fault. Raises RuntimeError if one fails."""
        data = self._folder / "coverage.data"
        report = self._folder / "report.xml"
        settings = self._folder / "coverage.ini"
        measured_files = "\n    ".join(str(self._folder / name) for name in _MEASURED)
        settings.write_text(
            f"[run]\ndata_file = {data}\ndynamic_context = test_function\ninclude =\n    {measured_files}\n"
        )
        coverage_run = (sys.executable, "-m", "coverage", "run", f"--rcfile={settings}")
        tests = (*TESTS, f"--ignore={_ON_MICROPYTHON}")
        if self._run([*coverage_run, *_PYTEST[1:], *tests, f"--junitxml={report}"], 1200.0) != 0:
            said = (self._folder / _OUTPUT).read_text()[-3000:]
            raise RuntimeError(f"{' '.join(TESTS)} fails without a fault:\n{said}")
        measured = coverage.CoverageData(str(data))
        measured.read()
        lines: dict[tuple[str, int], set[str]] = {}
        for file in measured.measured_files():
            module = str(Path(file).relative_to(self._folder))
            for line, contexts in measured.contexts_by_lineno(file).items():
                lines[module, line] = {self._test(context) for context in contexts if context}
        cases = ElementTree.parse(report).iter("testcase")
        return Runs(lines, {case.get("name", ""): float(case.get("time", 0)) for case in cases})

    def _test(self, context: str) -> str:
        # coverage names a test "test_link.test_ping".
        module, _, name = context.rpartition(".")
        file = module.rpartition(".")[2] + ".py"
        folder = next(folder for folder in TESTS if (self._folder / folder / file).exists())
        return f"{folder}/{file}::{name}"

    def _run(self, command: list[str], patience: float = _PATIENCE) -> int:
        # This also affects the programs that tests start.
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self._folder / "tools")}
        with (
            (self._folder / _OUTPUT).open("wb") as output,
            subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, process_group=0,
            ) as process,
        ):
            try:
                return process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return 1


def _on_micropython(tests: list[str]) -> list[str]:
    """The same tests as test_on_micropython.py names them."""
    found = [test.removeprefix("tests/device/").replace(".py::", "::") for test in tests if "/device/" in test]
    return [f"{_ON_MICROPYTHON}::test_on_micropython[{name}]" for name in found]
