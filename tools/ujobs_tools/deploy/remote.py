"""Runs Python on a board at a serial port, through mpremote; `on_board` is the program there."""

import ast
import base64
import contextlib
import hashlib
import io
import struct
import threading
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
_TRIES = 3  # to reach the REPL
_GRACE = 5  # seconds without a byte that a call gets to end before it is stopped
FEED_PERIOD = 30  # seconds; on_board's watchdog waits for 120
_PATIENCE = 120  # seconds for one call on the board, such as reading all of its flash


class FlashFull(BoardError):
    """The board's flash is full."""


@dataclass(frozen=True)
class About:
    """Facts about a board. version, mpy: sys.implementation.version and _mpy; 0 if it has none. machine: name of the
    board. umqtt: it has umqtt.simple. slot: the application's folder. trial: a version is in its trial."""

    version: tuple[int, ...]
    mpy: int
    machine: str
    umqtt: bool
    slot: str
    trial: bool


class Remote:
    """A board at its raw REPL, with its program stopped. Every method raises BoardError if it fails, and FlashFull if
    the board's flash is full."""

    def __init__(self, port: str) -> None:
        """Open the port and stop the program. Raises BoardError."""
        try:
            self._transport = SerialTransport(port, timeout=_TIMEOUT)
            self.port = port
        except (TransportError, ValueError) as error:
            raise BoardError(why_not(port)) from error
        try:
            with self._plain_errors(), contextlib.redirect_stdout(io.StringIO()):
                for left in reversed(range(_TRIES)):
                    try:
                        self._transport.enter_raw_repl(soft_reset=True)
                        break
                    except TransportError:
                        # Output of the program can garble the reply, or the board has just restarted.
                        if not left:
                            raise
            self._execute(Path(__file__).with_name("on_board.py").read_text())
        except BoardError as error:
            self.close()
            raise BoardError(f"no MicroPython answers at {port}: {error}") from error
        except KeyboardInterrupt:
            with contextlib.suppress(BoardError):
                self.reset()
            raise

    def about(self) -> About:
        """Return facts about the board."""
        return About(*self._call("about"))

    def files(self, *places: str) -> dict[str, str]:
        """Return the SHA-256 (hexadecimal), by path, of files and of all files in folders."""
        found: dict[str, str] = {}
        for place in places:
            found |= self._call("files", place)
        return found

    def names(self, place: str) -> list[str]:
        """Return the paths of all files in a folder; "" means the whole file system."""
        found: list[str] = self._call("names", place)
        return found

    def free(self) -> int:
        """Return the free bytes of flash."""
        return self._call("free")

    def read(self, path: str) -> bytes:
        """Read a file. Raises KeyError if it does not exist."""
        if path not in self.names(path):
            raise KeyError(path)
        with self._plain_errors():
            return bytes(self._transport.fs_readfile(path))

    def write(self, path: str, content: bytes, progress: Callable[[int], None]) -> None:
        """Send a file under a temporary name and check it; `commit` renames it. progress: called with the bytes just
        sent."""
        self._call("begin", path)
        for start in range(0, len(content), _PIECE):
            piece = content[start : start + _PIECE]
            self._call("write", base64.b64encode(piece).decode())
            progress(len(piece))
        if self._call("end", path) != hashlib.sha256(content).hexdigest():
            raise BoardError(f"{path} was damaged on the way to the board: try again")

    def copy(self, source: str, path: str) -> None:
        """Copy a file on the board to a temporary name; `commit` renames it."""
        self._call("copy", source, path)

    def commit(self, paths: Sequence[str], removed: Sequence[str], slot: str) -> None:
        """Rename the new files, then remove others, then make `slot`, if given, the application's folder."""
        self._call("commit", list(paths), list(removed), slot)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, and folders that are empty afterwards. Missing files are ignored."""
        self._call("remove", list(paths))

    def end_trial(self) -> None:
        """Roll back the version that is in its trial."""
        self._call("end_trial")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Feed the board's watchdog while the body does something else, such as wait for the user."""
        done = threading.Event()

        def feed() -> None:
            with contextlib.suppress(BoardError):  # the next call says so
                while not done.wait(FEED_PERIOD):
                    self._call("feed")

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield
        finally:
            done.set()
            feeder.join()

    def run(self, program: str) -> str:
        """Run a program in the REPL's namespace; returns its output."""
        return self._execute(program)

    def reset(self) -> None:
        """Reset the board, which starts its program, and close the port."""
        self.restart().close()

    @contextlib.contextmanager
    def reset_on_failure(self) -> Iterator[None]:
        """Reset the board and close the port if the body fails or is interrupted."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(BoardError):
                self.reset()
            raise

    def restart(self) -> serial.SerialBase:
        """Reset the board and return its open port for `ports.lines`, so that no output is missed."""
        try:
            with self._plain_errors(), contextlib.redirect_stdout(io.StringIO()):
                # Ctrl-C may have come in the middle of a call: let the board end it, such as `commit`; if it waits for
                # the rest of the call, stop it.
                self._transport.read_until(1, b">", timeout=_GRACE)
                self._transport.enter_raw_repl(soft_reset=False)
                self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
        except BoardError:
            self.close()
            raise
        line = self._transport.serial
        assert isinstance(line, serial.SerialBase)  # nothing is mounted
        return line

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):  # the cable is unplugged
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
            # struct.error: mpremote received nothing instead of a reply.
            raise BoardError("the board stopped answering: has it been unplugged?") from error
