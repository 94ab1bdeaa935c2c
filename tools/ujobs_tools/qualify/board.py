"""The board under test: its console, its REPL, its reset line. Console and REPL take turns at the serial port."""

import ast
import contextlib
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial

from ujobs_tools.deploy import ports
from ujobs_tools.deploy.follower import Follower
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.deploy.remote import Remote

_LINE_PATIENCE = 5.0  # seconds for the reset command
_BOOT = 0.1  # seconds until the chip has read IO0


def pulse(line: serial.Serial) -> None:
    """Pulse EN low through the usual circuit of ESP32 boards. There, RTS alone pulls EN low; DTR alone pulls IO0 low,
    which selects the boot loader when EN rises; both together, as after pyserial opens a port, pull neither. Raises
    OSError if the port does not have these lines."""
    from esptool.reset import HardReset

    line.dtr = False
    HardReset(line).reset()
    time.sleep(_BOOT)
    line.dtr = True
    line.rts = True


class BoardUnderTest(Follower):
    """The board. port: its serial port. log: file for its console. reset_command: command that resets the board, if its
    port has no RTS line to the reset pin; for example, one that switches the USB power."""

    def __init__(self, port: str, log: Path, reset_command: str | None) -> None:
        super().__init__(port, log)
        self.port = port
        self.resets = 0  # resets by the reset line
        self._reset_command = reset_command

    @contextlib.contextmanager
    def stopped(self) -> Iterator[Remote]:
        """Stop the program in the body. Afterwards reset the board, which starts the program."""
        self.release()
        remote = Remote(self.port)
        with remote.reset_on_failure():
            yield remote
        self.listen(remote.restart())

    def run(self, program: str) -> Any:
        """Run a program on the board and return the literal that it prints; then reset the board."""
        with self.stopped() as remote:
            return ast.literal_eval(remote.run(program).strip())

    def reset_line(self) -> None:
        """Reset the board. Raises BoardError if there is no reset line."""
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
        """Test whether the reset line resets the board."""
        before = len(self.lines)
        try:
            self.reset_line()
        except BoardError:
            return False
        with contextlib.suppress(BoardError):
            self.wait_for(CONNECTED, 60, before)
            return True
        return False
