"""Reads the output of programs that test many cases one after the other, and notices when one hangs."""

import os
import select
import subprocess
from collections.abc import Iterator

SILENCE = 120
"""Seconds without output after which a program counts as hung; a case takes less than 2 s on an idle machine."""


def lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines that a process prints. Raises TimeoutError if it prints nothing for SILENCE seconds."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    rest = b""
    while True:
        if not select.select([descriptor], [], [], SILENCE)[0]:
            raise TimeoutError
        data = os.read(descriptor, 65536)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
