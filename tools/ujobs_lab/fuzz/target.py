"""One fuzz test in its own process; ujobs_lab.fuzz starts it. Arguments: MODULE, TEST, then libFuzzer's options.

Only the library is loaded with atheris's instrumentation. As usual with libFuzzer, the process ends at the first input
that fails the test, after printing that input.
"""
# Only `make fuzz` installs atheris, and parts of it are not Python.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import importlib
import pkgutil
import runpy
import sys
from typing import Any

import atheris

from ujobs_lab import REPOSITORY

_SHOWN = 2000  # characters shown of each value
_FOLDERS = (
    "lib", "tests/shims", "tests/device", "tools/ujobs_lab/on_board", "tools/ujobs_tools/testing/device",
    "tests/fuzz", "",
)


def fuzz(module_name: str, test_name: str, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process. options: libFuzzer's."""
    sys.path[:0] = [str(REPOSITORY / folder) for folder in _FOLDERS]
    # The shims that make CPython behave like a board.
    runpy.run_path(str(REPOSITORY / "tests" / "conftest.py"))
    _load_library()
    module = importlib.import_module(module_name)
    test: Any = getattr(module, test_name).hypothesis
    inner_test = test.inner_test
    given: dict[str, Any] = {}

    def remembering(*arguments: Any, **named: Any) -> None:
        given.update(named)
        inner_test(*arguments, **named)

    test.inner_test = remembering
    one_input = test.fuzz_one_input

    def one(data: bytes) -> None:
        try:
            one_input(data)
        except BaseException:
            for name, value in given.items():
                sys.stdout.write(f"given: {name} = {repr(value)[:_SHOWN]}\n")
            sys.stdout.flush()
            raise

    with importlib.import_module("fuzzing").prepared(module):
        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


def _load_library() -> None:
    # Load everything now: the agent unloads some modules, and would instrument them again at each import.
    with atheris.instrument_imports(include=["ujobs", "firmware"]):
        for found in pkgutil.walk_packages(importlib.import_module("ujobs").__path__, "ujobs."):
            importlib.import_module(found.name)
        importlib.import_module("firmware.settings")


if __name__ == "__main__":
    fuzz(sys.argv[1], sys.argv[2], sys.argv[3:])
