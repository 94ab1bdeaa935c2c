"""The output of the board's serial line."""

import sys
from pathlib import Path

from .fakes_cache import HIDDEN_NAME


class SerialLine:
    """Splits output into lines, and writes them to stdout and to a log file.

    log: file to append to, or None. Frames of stage0 and board_imports are left out of tracebacks: on a real board they
    are C.
    """

    def __init__(self, log: Path | None) -> None:
        self._log = log.open("ab", buffering=0) if log else None
        self._rest = b""
        self.not_started = False
        """Whether main.py printed "not started: ..." after the last boot."""
        self._hidden = f'  File "{HIDDEN_NAME}"'.encode()

    def feed(self, data: bytes) -> None:
        """Add output of the board."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line.rstrip(b"\r"))

    def say(self, message: str) -> None:
        """Write a line of the supervisor, which begins with "board: "."""
        self.end_line()
        self._emit(f"board: {message}".encode())

    def end_line(self) -> None:
        """Write out an unfinished line, because the board has stopped."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._emit(rest)

    def _emit(self, line: bytes) -> None:
        if line.startswith(self._hidden):
            return
        self.not_started = line.startswith(b"not started: ") or (
            self.not_started and not line.startswith(b"board: start, ")
        )
        line += b"\n"
        if self._log:
            self._log.write(line)
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
