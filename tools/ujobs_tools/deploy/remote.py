"""A board at a serial port, made to do things: mpremote carries Python to it, `on_board` is what it runs."""

import ast
import base64
import contextlib
import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from .ports import BoardError, why_not

_PIECE = 768  # bytes at a time
_TIMEOUT = 10  # seconds without a byte
_PATIENCE = 120  # seconds for what a board does in one go, such as reading all of its flash


class FlashFull(BoardError):
    """There is no room for it on the board's flash."""


@dataclass(frozen=True)
class About:
    """version, mpy: sys.implementation.version and _mpy, 0 for none. machine: what it says it is. umqtt: whether it has
    umqtt.simple. slot: the application's folder. trial: whether something is on trial there."""

    version: tuple[int, ...]
    mpy: int
    machine: str
    umqtt: bool
    slot: str
    trial: bool


class Remote:
    """A board at its raw REPL, its program stopped. Every method raises BoardError when it does not do as it is asked,
    FlashFull when that is why."""

    def __init__(self, port: str) -> None:
        """Take the port and stop the program. Raises BoardError."""
        try:
            self._transport = SerialTransport(port, timeout=_TIMEOUT)
            self.port = port
        except (TransportError, ValueError) as error:
            raise BoardError(why_not(port)) from error
        try:
            with self._plain_errors(), contextlib.redirect_stdout(io.StringIO()):
                try:
                    self._transport.enter_raw_repl(soft_reset=True)
                except TransportError:
                    # What the program printed just then can hide the answer.
                    self._transport.enter_raw_repl(soft_reset=True)
            self._execute(Path(__file__).with_name("on_board.py").read_text())
        except BoardError as error:
            self.close()
            raise BoardError(f"no MicroPython answers at {port}: {error}") from error

    def about(self) -> About:
        """What the board is."""
        return About(*self._call("about"))

    def files(self, *places: str) -> dict[str, str]:
        """Path and SHA-256, in hexadecimal, of all files in folders, or of files."""
        found: dict[str, str] = {}
        for place in places:
            found |= self._call("files", place)
        return found

    def names(self, place: str) -> list[str]:
        """The paths of all files in a folder, "" for all."""
        found: list[str] = self._call("names", place)
        return found

    def free(self) -> int:
        """Bytes of flash that are free."""
        return self._call("free")

    def read(self, path: str) -> bytes:
        """A file. Raises KeyError when there is none."""
        if path not in self.names(path):
            raise KeyError(path)
        with self._plain_errors():
            return bytes(self._transport.fs_readfile(path))

    def write(self, path: str, content: bytes, progress: Callable[[int], None]) -> None:
        """Bring what is to become a file, and check it; `commit` gives it its name. progress: is told of bytes."""
        self._call("begin", path)
        for start in range(0, len(content), _PIECE):
            piece = content[start : start + _PIECE]
            self._call("write", base64.b64encode(piece).decode())
            progress(len(piece))
        if self._call("end", path) != hashlib.sha256(content).hexdigest():
            raise BoardError(f"{path} did not arrive as it was sent: try again")

    def copy(self, source: str, path: str) -> None:
        """The same of what the board has already."""
        self._call("copy", source, path)

    def commit(self, paths: Sequence[str], removed: Sequence[str], slot: str) -> None:
        """Give the new files their names, then remove others, then have the application start from `slot`, if any."""
        self._call("commit", list(paths), list(removed), slot)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files that are there, and folders that are empty then."""
        self._call("remove", list(paths))

    def end_trial(self) -> None:
        """Go back to what was before what is on trial now."""
        self._execute("from ujobs import trial\ntrial.fail('a deployment came')")

    def run(self, program: str) -> str:
        """What a program prints, in the REPL's own namespace."""
        return self._execute(program)

    def reset(self) -> None:
        """Reset the board, and let go of it: its program starts."""
        self.restart().close()

    @contextlib.contextmanager
    def reset_on_failure(self) -> Iterator[None]:
        """The board is reset, and let go of, if what is done with it fails or is interrupted."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(BoardError):
                self.reset()
            raise

    def restart(self) -> serial.SerialBase:
        """Reset the board, and hand over its port, for `ports.lines`: nothing that it prints is missed."""
        try:
            with self._plain_errors():
                self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
        except BoardError:
            self.close()
            raise
        line = self._transport.serial
        assert isinstance(line, serial.SerialBase)  # nothing is mounted
        return line

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(OSError):  # the cable is out
            self._transport.close()

    def _call(self, function: str, *arguments: Any) -> Any:
        text = ", ".join(map(repr, arguments))
        return ast.literal_eval(self._execute(f"print(repr({function}({text})))"))

    def _execute(self, program: str) -> str:
        with self._plain_errors():
            self._transport.exec_raw_no_follow(program)
            output, error = self._transport.follow(_PATIENCE)
            if error:
                raise TransportExecError(output, error.decode(errors="replace"))
        return output.decode()

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except TransportExecError as error:
            said = error.error_output.strip().splitlines()[-1]
            if "ENOSPC" in said or said.endswith("OSError: 28"):
                raise FlashFull("the board's flash is full") from error
            raise BoardError(f"the board says {said}") from error
        except (TransportError, OSError, struct.error) as error:
            # struct.error: mpremote got nothing where it had to come.
            raise BoardError("the board stopped answering: has it been unplugged?") from error
