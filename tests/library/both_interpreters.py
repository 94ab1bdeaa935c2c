"""Runs the function attempt() of a program on CPython, through the shims, and on MicroPython."""

import asyncio
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ujobs_lab import REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython

_RUN = """
import sys
print(asyncio.run(attempt(*sys.argv[1:])))
"""
Attempt = Callable[..., str]


def on_both(program: str) -> pytest.MarkDecorator:
    """Run a test twice, with an `attempt` that calls `async def attempt()` of this program with texts, and returns its
    result."""

    def on_cpython(*arguments: object) -> str:
        names: dict[str, Any] = {}
        exec(program, names)
        return asyncio.run(names["attempt"](*map(str, arguments)))

    def on_micropython(*arguments: object) -> str:
        command = [find_micropython(), "-X", "heapsize=2m", "-c", program + _RUN, *map(str, arguments)]
        imports = environment(umqtt.find()[0], REPOSITORY / "lib")
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=imports)
        return (done.stdout or done.stderr).splitlines()[-1]

    return pytest.mark.parametrize("attempt", [on_cpython, on_micropython])
