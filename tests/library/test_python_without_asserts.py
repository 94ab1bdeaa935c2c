"""The library under `python -O`, where `__debug__` is false as in a .mpy at -O2."""

import subprocess
import sys

import pytest

from ujobs_lab import REPOSITORY
from ujobs_tools.board import umqtt

_LIBRARY = REPOSITORY / "lib"
_PATH = [str(folder) for folder in (umqtt.find()[0], _LIBRARY, REPOSITORY / "tests" / "shims", REPOSITORY / "tools")]
_NAMES = [
    ".".join(file.relative_to(_LIBRARY).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted((_LIBRARY / "ujobs").rglob("*.py"))
]


@pytest.mark.parametrize("module", ["boardlike", "ujobs_tools.testing.on_cpython"])
def test_every_module_of_the_library_can_be_imported(module: str) -> None:
    # Both make CPython look like a board: the one for the tests here, the other for the tests of an application.
    program = f"""
import importlib, sys
sys.path[:0] = {_PATH}
importlib.import_module({module!r}).install()
for name in {_NAMES}:
    importlib.import_module(name)
"""
    result = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
