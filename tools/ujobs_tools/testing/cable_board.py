"""The fixture `board` with --ujobs-board PORT: a real board on a cable. A test is skipped if it needs something that is
impossible on a cable."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import serial

from ujobs_tools.deploy import install
from ujobs_tools.deploy.follower import Follower
from ujobs_tools.deploy.plan import OWNED, SLOTS
from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.deploy.remote import Remote
from ujobs_tools.testing.console import BoardOnConsole
from ujobs_tools.testing.jobs_service import JobsService

_PATIENCE = 60.0  # seconds to join the network and to connect
_BOOT = 5.0  # seconds until a board prints something after a reset
_LOOK = 0.05  # seconds
_KEPT = ("/boot.py", "/main.py", "/lib/", *OWNED, *SLOTS)


class Files(Mapping[str, bytes]):
    """The files on the board's flash. Reading them stops the program, and resets the board afterwards if it was on;
    writing requires that it is off."""

    def __init__(self, board: "CableBoard") -> None:
        self._board = board

    def __getitem__(self, path: str) -> bytes:
        with self._board.interrupted() as remote:
            return remote.read(path)

    def __setitem__(self, path: str, content: bytes) -> None:
        if self._board.on:
            raise ValueError("cut the power before a file is written")
        with self._board.interrupted() as remote:
            remote.write(path, content, lambda size: None)
            remote.commit([path], [], "")

    def __iter__(self) -> Iterator[str]:
        with self._board.interrupted() as remote:
            return iter(remote.names(""))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class CableBoard(BoardOnConsole):
    """A real board. port: device or pyserial URL. log: file for the console. on: whether the program runs."""

    def __init__(self, port: str, log: Path, service: JobsService) -> None:
        super().__init__(log, service)
        # mpremote recognises a pseudo-terminal only by its own name, not by a link.
        self._port = os.path.realpath(port) if os.path.realpath(port).startswith("/dev/pts/") else port
        self.files = Files(self)
        self.on = False
        self._line: serial.SerialBase | None = None
        self._held = False  # in reset, by the reset line
        self._follower = Follower(self._port, log)

    def deploy(self, app: Path | None, own: Mapping[str, bytes]) -> None:
        """Deploy the library, an application and the board's own files, remove other files, and start.

        Raises BoardError, InterpreterError, OSError.
        """
        with self.interrupted() as remote:
            plan = install.plan_for(remote, app, own)
            install.carry_out(remote, plan, lambda path, size: None)
            remote.remove([path for path in remote.names("") if not path.startswith(_KEPT) and path not in own])
        self.start()
        deadline = time.monotonic() + _PATIENCE
        while CONNECTED not in self.console:
            if time.monotonic() > deadline:
                pytest.fail(
                    f"the board at {self._port} did not connect within {_PATIENCE:g} s. Its settings must name a Wi-Fi "
                    "network (UJOBS_WIFI_PASSWORD: its password), and --ujobs-host this machine's address on it"
                )
            time.sleep(_LOOK)

    def start(self) -> None:
        """Switch the board on: release the reset line, or, if its program was stopped, reset it through mpremote."""
        if self.on:
            raise ValueError("the board already has power")
        if self._held:
            self._let_go_of_reset()
        else:
            self.listen(Remote(self._port).restart())

    def cut_power(self) -> None:
        """Hold the board in reset, at any instruction; its RAM is lost as in a power cut."""
        if not self.on:
            return
        assert self._line is not None
        try:
            if self._port.startswith("socket://"):
                raise OSError("a TCP connection has no lines")
            self._line.dtr = False
            self._line.rts = True
        except OSError:
            self._cannot("cut_power", "needs a port whose RTS line is connected to the board's reset pin")
        self.on, self._held = False, True

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[Remote]:
        """Stop the program in the body. Afterwards reset the board if the program was running."""
        ran = self.on
        if self._held:
            self._let_go_of_reset()
        self._hang_up()
        remote = Remote(self._port)
        self.on = False
        try:
            yield remote
        finally:
            remote.close()
            if ran:
                self.start()

    def close(self) -> None:
        """Close the port; the board continues to run."""
        if self._held and self._line is not None:
            self._line.rts = False
        self._hang_up()

    def lose_link(self, seconds: float) -> None:
        """Skip the test: impossible on a cable."""
        self._cannot("lose_link", "cannot switch a real access point off; service.cut() breaks the connection")

    def advance(self, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Not on a cable."""
        self._cannot("advance", "cannot move a real board's clock")

    def fill_flash(self) -> None:
        """Not on a cable."""
        self._cannot("fill_flash", "would wear the flash of a real board")

    def pin(self, number: int) -> NoReturn:
        """Not on a cable."""
        self._cannot("pin", "cannot reach the pins of a real board")

    @property
    def analogue(self) -> Any:
        """Not on a cable."""
        self._cannot("analogue", "cannot reach the pins of a real board")

    @property
    def pwm(self) -> Any:
        """Not on a cable."""
        self._cannot("pwm", "cannot reach the pins of a real board")

    @property
    def i2c(self) -> Any:
        """Not on a cable."""
        self._cannot("i2c", "cannot reach the I2C bus of a real board")

    def _cannot(self, what: str, why: str) -> NoReturn:
        pytest.skip(f"board.{what} {why}: not on the board at {self._port}")

    def _let_go_of_reset(self) -> None:
        assert self._line is not None
        printed = len(self.console)
        self._line.rts = False
        self.on, self._held = True, False
        deadline = time.monotonic() + _BOOT
        while len(self.console) == printed:
            if time.monotonic() > deadline:
                pytest.fail(f"the board at {self._port} prints nothing after a reset: is RTS wired to its reset pin?")
            time.sleep(_LOOK)

    def listen(self, line: serial.SerialBase) -> None:
        """Read the output of a running board from an open port."""
        self._line = line
        self.on = True
        self._follower.listen(line)

    def _hang_up(self) -> None:
        self._follower.release()
        self._line = None
