"""The board's serial port: a pseudo-terminal that mpremote, or any terminal program, opens as it opens a real one.

MicroPython's own REPL runs behind it. What a board adds to that is here: the line stays when the interpreter starts
anew, what is printed while nobody listens is lost, and after a soft reset in raw mode the REPL is in raw mode again.
"""

import os
import re
import select
import tty
from pathlib import Path

CTRL_A = b"\x01"
CTRL_C = b"\x03"
_NAME = b"MicroPython "  # begins the banner
_FRIENDLY = b'Type "help()" for more information.'  # ends it
_RAW = b"raw REPL; CTRL-B to exit"
_LOOKED_BACK = max(len(_FRIENDLY), len(_RAW)) - 1  # bytes of output
_LIMIT = 1 << 20  # bytes that wait for a slow listener


class SerialPort:
    """The port, to be reached at `path` until `close`.

    raw: whether the REPL is in raw mode, in which mpremote works.
    """

    def __init__(self, path: Path) -> None:
        """Make the port. path: becomes a link to the terminal. Raises OSError when there is another file."""
        self.raw = False
        self._path = path
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            os.set_blocking(self._master, False)
            self._terminal = os.ttyname(slave)
            if path.is_symlink():
                path.unlink()
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
        """What is readable when the host has sent something."""
        return self._master

    def connected(self) -> bool:
        """Whether anybody has the port open."""
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    def waiting(self) -> bool:
        """Whether the host has yet to take something, so that it is time for `flush` when there is room."""
        return bool(self._waiting)

    def received(self) -> bytes:
        """What the host has sent since the last call."""
        try:
            return os.read(self._master, 65536)
        except OSError:  # nothing, or nobody there any more
            return b""

    def restarted(self, soft: bool) -> None:
        """The interpreter is about to start anew; soft: by a soft reset, which does not end raw mode."""
        self._write(self._held or b"")
        if soft:
            self._write(b"MPY: soft reboot\r\n")
        self.raw = soft and self.raw
        self._held = b"" if self.raw else None
        self._tail = b""

    def send(self, data: bytes) -> None:
        """Pass on what the board printed."""
        if self._held is not None:
            # MicroPython's unix port starts in the friendly REPL; a board in raw mode shows no banner of that.
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
        # The unix port leaves it to the terminal to begin lines at the left. Programs that speak raw mode do not mind,
        # and what they get may be no text.
        self._write(data if self.raw else re.sub(rb"(?<!\r)\n", b"\r\n", data))

    def flush(self) -> None:
        """Send what waits, as far as there is room; when nobody listens, it is lost."""
        if not self.connected():
            self._waiting = b""
        while self._waiting:
            try:
                self._waiting = self._waiting[os.write(self._master, self._waiting) :]
            except OSError:  # no room, or nobody there any more
                return

    def close(self) -> None:
        """Take the port away, as when a board is unplugged."""
        if self._path.is_symlink() and os.readlink(self._path) == self._terminal:
            self._path.unlink()
        os.close(self._master)

    def _write(self, data: bytes) -> None:
        self._waiting = (self._waiting + data)[-_LIMIT:]
        self.flush()
