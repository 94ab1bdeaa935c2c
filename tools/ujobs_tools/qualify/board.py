"""The board under test: its console, its REPL, its reset line. Console and REPL take turns at the serial port."""

import ast
import contextlib
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial

from ujobs_tools.deploy import ports
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.deploy.remote import Remote

_LINE_PATIENCE = 5.0  # seconds for the reset command, and for a board to say something after a reset
_JOIN = 5.0  # seconds
_BOOT = 0.1  # seconds until the chip has read IO0


def pulse(line: serial.Serial) -> None:
    """Pull EN low for a moment, by the ESP32's usual circuit: RTS alone pulls EN low, and DTR alone IO0, which chooses
    the boot loader when EN rises. Both together, as pyserial opens a port, pull neither. Raises OSError when the port
    has no such lines."""
    from esptool.reset import HardReset

    line.dtr = False
    HardReset(line).reset()
    time.sleep(_BOOT)
    line.dtr = True
    line.rts = True


class BoardUnderTest:
    """port: its serial port. log: file that gets its console. reset_command: resets the board where its port has no RTS
    line that does, such as one that switches its USB power."""

    def __init__(self, port: str, log: Path, reset_command: str | None) -> None:
        self.port = port
        self.lines: list[str] = []
        self.resets = 0  # hard resets, by the line
        self._log = log
        self._reset_command = reset_command
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._reader: threading.Thread | None = None
        self._failure: BoardError | None = None

    def listen(self, opened: serial.SerialBase | None = None) -> None:
        """Follow the console from here on. opened: the port, if it is open already."""
        self._stop = threading.Event()
        self._failure = None
        self._reader = threading.Thread(target=self._read, args=(opened, self._stop), name="console", daemon=True)
        self._reader.start()

    def release(self) -> None:
        """Let go of the port."""
        if self._reader is not None:
            self._stop.set()
            self._reader.join(_JOIN)
            self._reader = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[Remote]:
        """The board at its REPL, its program stopped; afterwards it is reset, and its program starts."""
        self.release()
        remote = Remote(self.port)
        with remote.reset_on_failure():
            yield remote
        self.listen(remote.restart())

    def run(self, program: str) -> Any:
        """What a program that runs on the board prints, as the literal that it is; then the board starts again."""
        with self.stopped() as remote:
            return ast.literal_eval(remote.run(program).strip())

    def reset_line(self) -> None:
        """A hard reset at any instruction. Raises BoardError when there is no line."""
        self.resets += 1
        if self._reset_command is not None:
            command = shlex.split(self._reset_command)
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LINE_PATIENCE)
            if done.returncode:
                raise BoardError(f"{self._reset_command} ended with {done.returncode} {done.stderr.strip()}")
            return
        self.release()
        try:
            line = serial.Serial(self.port, ports.BAUD, exclusive=True)
        except serial.SerialException as error:
            raise BoardError(ports.why_not(self.port)) from error
        try:
            pulse(line)
        except OSError as error:
            raise BoardError(f"{self.port} has no RTS line") from error
        finally:
            self.listen(line)

    def has_reset_line(self) -> bool:
        """Whether the reset line resets the board: it is tried."""
        before = len(self.lines)
        try:
            self.reset_line()
        except BoardError:
            return False
        with contextlib.suppress(BoardError):
            self.wait_for(CONNECTED, 60, before)
            return True
        return False

    def wait_for(self, text: str, seconds: float, since: int = 0) -> str:
        """The first line with this text from line `since` on. Raises BoardError after that time."""
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
                for line in ports.lines(self.port, None, opened, stop):
                    log.write(line + "\n")
                    log.flush()
                    with self._changed:
                        self.lines.append(line)
                        self._changed.notify_all()
        except BoardError as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
