"""The board's serial port: a pseudo-terminal for mpremote and terminal programs.

MicroPython's own REPL runs behind it. This module adds the behaviour of a board: the port survives resets, output is
lost while no program has the port open, and the REPL returns to raw mode after a soft reset in raw mode.
"""

import os
import re
import select
import tty
from pathlib import Path

from ujobs_tools.host.files import named

CTRL_A = b"\x01"
CTRL_C = b"\x03"
_NAME = b"MicroPython "  # beginning of the banner
_FRIENDLY = b'Type "help()" for more information.'  # end of the banner
_RAW = b"raw REPL; CTRL-B to exit"
_LOOKED_BACK = max(len(_FRIENDLY), len(_RAW)) - 1  # bytes of output
_LIMIT = 1 << 20  # bytes that wait for a slow listener


class SerialPort:
    """The port; it exists at `path` until `close`.

    raw: whether the REPL is in raw mode, which mpremote uses.
    """

    def __init__(self, path: Path) -> None:
        """Create the port. path: becomes a link to the terminal. Raises OSError if a file exists there."""
        self.raw = False
        self._path = path
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            os.set_blocking(self._master, False)
            self._terminal = os.ttyname(slave)
            if path.is_symlink():
                path.unlink()
            with named(path):
                path.symlink_to(self._terminal)
        except OSError:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._tail = b""
        self._held: bytes | None = None
        self._waiting = b""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the host sends something."""
        return self._master

    def connected(self) -> bool:
        """Return whether a program has the port open."""
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    def waiting(self) -> bool:
        """Return whether output waits for the host; call `flush` when the descriptor is writable."""
        return bool(self._waiting)

    def received(self) -> bytes:
        """Return the bytes that the host has sent since the last call."""
        try:
            return os.read(self._master, 65536)
        except OSError:  # no bytes, or the port is no longer open
            return b""

    def restarted(self, soft: bool) -> None:
        """Prepare for a restart of the interpreter. soft: it is a soft reset, which does not end raw mode."""
        self._write(self._held or b"")
        if soft:
            self._write(b"MPY: soft reboot\r\n")
        self.raw = soft and self.raw
        self._held = b"" if self.raw else None
        self._tail = b""

    def send(self, data: bytes) -> None:
        """Send output of the board to the host."""
        if self._held is not None:
            # MicroPython's unix port starts in the friendly REPL: hide its banner, which a board in raw mode does not
            # print.
            self._held += data
            if _RAW not in self._held:
                return
            shown, _, data = self._held.rpartition(_RAW)
            self._write(shown[: shown.rfind(_NAME)])
            data = _RAW + data
            self._held = None
        seen = self._tail + data
        raw, friendly = seen.rfind(_RAW), seen.rfind(_FRIENDLY)
        if raw != friendly:
            self.raw = raw > friendly
        self._tail = seen[-_LOOKED_BACK:]
        # The unix port prints only \n; a board prints \r\n. Output in raw mode may be binary, so leave it unchanged.
        self._write(data if self.raw else re.sub(rb"(?<!\r)\n", b"\r\n", data))

    def flush(self) -> None:
        """Send waiting output as far as there is room; discard it if no program has the port open."""
        if not self.connected():
            self._waiting = b""
        while self._waiting:
            try:
                self._waiting = self._waiting[os.write(self._master, self._waiting) :]
            except OSError:  # no room, or the port is no longer open
                return

    def close(self) -> None:
        """Remove the port, as if the board were unplugged."""
        if self._path.is_symlink() and os.readlink(self._path) == self._terminal:
            self._path.unlink()
        os.close(self._master)

    def _write(self, data: bytes) -> None:
        self._waiting = (self._waiting + data)[-_LIMIT:]
        self.flush()
