"""One fuzz test in a process of its own; ujobs_lab.fuzz starts it. Arguments: MODULE, TEST, then libFuzzer's own.

The library is loaded with atheris's instruments in it, everything else without. The process ends at the first input
that fails the test, as libFuzzer does, after printing what the test was given.
"""
# Only `make fuzz` installs atheris, and what it is made of is not all in Python.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import importlib
import pkgutil
import runpy
import sys
from typing import Any

import atheris

from ujobs_lab import REPOSITORY

_SHOWN = 2000  # characters of each value
_FOLDERS = (
    "lib", "tests/shims", "tests/device", "tools/ujobs_lab/on_board", "tools/ujobs_tools/testing/device",
    "tests/fuzz", "",
)


def fuzz(module_name: str, test_name: str, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process. options: libFuzzer's."""
    sys.path[:0] = [str(REPOSITORY / folder) for folder in _FOLDERS]
    # Makes CPython look like the board.
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
    # All of it: the agent lets go of modules that it loads itself, and would load them instrumented ever again.
    with atheris.instrument_imports(include=["ujobs", "firmware"]):
        for found in pkgutil.walk_packages(importlib.import_module("ujobs").__path__, "ujobs."):
            importlib.import_module(found.name)
        importlib.import_module("firmware.settings")


if __name__ == "__main__":
    fuzz(sys.argv[1], sys.argv[2], sys.argv[3:])
