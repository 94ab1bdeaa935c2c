"""A copy of the repository in which the tests run with one fault at a time."""

import ast
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_lab.mutants.mutations import Mutation, mutated
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython

_COPIED = ("lib", "firmware", "tests", "tools", "boot.py", "main.py", "pyproject.toml", "examples")
_MEASURED = ("lib/*", "firmware/*", "boot.py", "main.py")
_RESULTS = REPOSITORY / "build" / "mutants.json"
_DEVICE = "tests/device"
# The tests of the library that run on CPython only. Importing Hypothesis takes longer than most of them.
_PYTEST = (
    sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--timeout=120",
    "tests/library", "--ignore=tests/library/test_on_micropython.py",
)
# Limits of a test: three times its seconds without a fault, and so many more.
_PROCESSOR, _WALL = 2.0, 30.0
_PATIENCE = 600.0  # seconds for all tests of one fault on CPython
_ON_MICROPYTHON = 60.0  # seconds for a file of tests; ten times their seconds more


@dataclass
class Runs:
    """The result of a run of all tests without a fault. seconds: of each test, by name. lines: module -> line -> the
    tests that run it, "" for their import."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, set[str]]]

    def tests_for(self, module: str, one: Mutation) -> list[str]:
        """The tests that run the line with a fault: those near the module first, then by duration.

        For a line that runs at import: the tests of all lines of the module.
        """
        lines, line = self.lines.get(module, {}), one.line
        inside = _in_functions((REPOSITORY / module).read_text())
        while line in inside and line not in lines:
            line -= 1  # not the first line of a statement
        found = lines.get(line, set())
        if line not in inside or "" in found:
            found = set[str]().union(*lines.values())
        found = found - {""}
        near = Path(module).stem
        return sorted(found, key=lambda test: (near not in test.partition("::")[0], self.seconds[test], test))


class Copy:
    """folder: for the copy, which is created here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in _COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("node_modules"))
            else:
                shutil.copy2(source, folder / name)
        self._umqtt = umqtt.find()[0]
        paths = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["pythonpath"]
        # This also affects the programs that tests start.
        self._environment = os.environ | {
            "PYTHONDONTWRITEBYTECODE": "1", "UMQTT_PATH": str(self._umqtt),
            "PYTHONPATH": os.pathsep.join(map(str, (self._umqtt, *(folder / path for path in paths)))),
        }

    def notices(self, module: str, one: Mutation, tests: list[str], runs: Runs) -> bool:
        """Whether a test fails or does not end with the fault: on CPython, on MicroPython, or one of tests/library."""
        path = self._folder / module
        source = path.read_bytes()
        path.write_bytes(mutated(source, one))
        limits = [(runs.seconds[test] * 3 + _PROCESSOR, runs.seconds[test] * 3 + _WALL) for test in tests]
        try:
            return not (
                self.in_one_process({"tests": tests, "limits": limits})[0]
                and self._passes_on_micropython(tests, runs)
                and (not module.startswith("lib/") or self._run(_PYTEST)[0])
            )
        finally:
            path.write_bytes(source)

    def runs(self) -> Runs:
        """Run all tests once, without a fault. The result is kept for the next time. Raises RuntimeError if one
        fails."""
        sources = hashlib.sha256()
        for path in sorted(self._folder.rglob("*.py")):
            sources.update(path.read_bytes())
        kept: dict[str, Any] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
        if kept.get("sources") != sources.hexdigest():
            kept = {"sources": sources.hexdigest()} | self._measured()
            _RESULTS.parent.mkdir(exist_ok=True)
            _RESULTS.write_text(json.dumps(kept))
        tests = kept["tests"]
        names = [*tests, ""]
        return Runs(
            dict(zip(tests, kept["seconds"], strict=True)),
            {
                module: {int(line): {names[number] for number in numbers} for line, numbers in lines.items()}
                for module, lines in kept["lines"].items()
            },
        )

    def _measured(self) -> dict[str, Any]:
        tests = [
            f"{file.stem}::{node.name}"
            for file in sorted((self._folder / _DEVICE).glob("test_*.py"))
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        files = [str(self._folder / name) for name in _MEASURED]
        passed, said = self.in_one_process({"tests": tests, "measure": files})
        if not passed:
            raise RuntimeError(f"{_DEVICE} fails without a fault: {said}")
        result = json.loads(said)
        lines = {str(Path(file).relative_to(self._folder)): lines for file, lines in result["lines"].items()}
        return {"tests": tests, "seconds": result["seconds"], "lines": lines}

    def in_one_process(self, order: dict[str, Any]) -> tuple[bool, str]:
        """Run tests of tests/device on CPython; order: see one_process.py. Returns whether all pass, and the output."""
        program = Path(__file__).with_name("one_process.py")
        return self._run((sys.executable, str(program)), json.dumps(order))

    def _passes_on_micropython(self, tests: list[str], runs: Runs) -> bool:
        folders = ("lib", _DEVICE, ON_BOARD.relative_to(REPOSITORY), "tools/ujobs_tools/testing/device", ".")
        places = environment(self._umqtt, *(self._folder / folder for folder in folders))
        runner = self._folder / "tests" / "library" / "micropython_runner.py"
        files: dict[str, list[str]] = {}
        for test in tests:
            file, _, name = test.partition("::")
            files.setdefault(file, []).append(name)
        for file, names in files.items():
            command = (str(find_micropython()), "-X", "heapsize=4m", str(runner), file, *names)
            patience = _ON_MICROPYTHON + 10 * sum(runs.seconds[f"{file}::{name}"] for name in names)
            _, said = self._run(command, patience=patience, environment=places)
            if not {f"ok {name}" for name in names} <= set(said.splitlines()):
                return False
        return True

    def _run(
        self, command: tuple[str, ...], text: str = "", patience: float = _PATIENCE,
        environment: dict[str, str] | None = None,
    ) -> tuple[bool, str]:
        """Run a program with this input. Returns whether it succeeds in time, and its output."""
        with subprocess.Popen(
            command, cwd=self._folder, env=environment or self._environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace", process_group=0,
        ) as process:
            try:
                said = process.communicate(text, patience)[0]
                return process.returncode == 0, said
            except subprocess.TimeoutExpired:
                return False, ""
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # also what the tests have started


def _in_functions(source: str) -> set[int]:
    """The lines that do not run at import."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    }
