"""Reads the console of a board in a thread, so that callers can do other work and wait for a line later."""

import threading
import time
from pathlib import Path

import serial

from . import ports
from .ports import BoardError

_JOIN = 5.0  # seconds


class Follower:
    """Collects the lines that a board prints. port: the board's serial port. log: file to which lines are appended."""

    def __init__(self, port: str, log: Path) -> None:
        self.lines: list[str] = []
        self._port = port
        self._log = log
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BoardError | None = None

    def listen(self, opened: serial.SerialBase | None = None) -> None:
        """Start to read. opened: the port, if it is already open; it is closed at the end."""
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._read, args=(opened, self._stop), name="console", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Stop reading and close the port."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(_JOIN)
            self._thread = None

    def wait_for(self, text: str, seconds: float, since: int = 0) -> str:
        """Wait for a line that contains this text, from line `since` on; returns it. Raises BoardError if there is none
        in time, or if the port cannot be opened."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.lines[since:]:
                    if text in line:
                        return line
                since = len(self.lines)
                if self._failure is not None:
                    raise self._failure
                left = deadline - time.monotonic()
                if left <= 0:
                    raise BoardError(f"the board has not printed {text!r} within {seconds:g} s")
                self._changed.wait(min(left, 1))

    def _read(self, opened: serial.SerialBase | None, stop: threading.Event) -> None:
        try:
            with self._log.open("a", encoding="utf-8") as log:
                for line in ports.lines(self._port, None, opened, stop):
                    log.write(line + "\n")
                    log.flush()
                    with self._changed:
                        self.lines.append(line)
                        self._changed.notify_all()
        except BoardError as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
