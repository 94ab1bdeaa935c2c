"""The MicroPython process that is the virtual board's processor."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .fakes_cache import compiled_fakes
from .interpreter import environment, find_micropython
from .serial import CTRL_A, CTRL_C

# Exit codes of fakes/stage0.py.
ENDED = 10  # main.py ended
RAISED = 11  # boot.py or main.py ended with an exception
NO_FILE_SYSTEM = 12  # the image cannot be mounted
SOFT_RESET = 42  # machine.soft_reset() or SystemExit

_BUSY = 1.0  # seconds of processor time after which Ctrl-C interrupts a program that does not wait for anything
_LOOK = 0.002  # seconds between polls
_PR_SET_PDEATHSIG = 1
_SIGINT_BIT = 1 << (signal.SIGINT - 1)


@dataclass
class Start:
    """Parameters of one boot; the fakes read them from UJOBS_BOARD.

    image_fd, blocks: the open image and its size in blocks of 4096 bytes. partitions_fd: open file with the application
    partitions. message_fd: pipe to the supervisor. radio_fd: file that contains "1" while the access point is on.
    outside_fd: open file of the surroundings, see outside.py.

    cause: number of the machine.*_RESET constant. clock_offset: seconds that the board's clock is ahead of the host's.
    unique_id: six bytes in hexadecimal. wifi_ssid, wifi_password: of the access point; None to accept any. ntp:
    behaviour of the time server, see fakes/time_server.py. rtc_memory: bytes that survive resets, in hexadecimal.
    jumps: the clock may jump. repl: there is a serial port, so the REPL follows main.py. raw: the REPL was in raw mode
    before a soft reset, so main.py does not run.
    """

    image_fd: int
    blocks: int
    partitions_fd: int
    message_fd: int
    radio_fd: int
    outside_fd: int
    cause: int
    clock_offset: int
    unique_id: str
    wifi_ssid: str | None
    wifi_password: str | None
    ntp: str
    rtc_memory: str
    jumps: bool
    repl: bool
    raw: bool


class Processor:
    """The MicroPython process of one boot, and its pipes."""

    def __init__(self, start: Start, heap: int) -> None:
        """Start stage0.

        start: parameters; its `message_fd` is set here. heap: MicroPython's -X heapsize in bytes. The process has its
        own session, so that Ctrl-C reaches only the supervisor. The kernel kills it when the calling thread ends, even
        by SIGKILL, so that no orphan is left.
        """
        self.output, output = os.pipe()
        self.messages, start.message_fd = os.pipe()
        self._rest = b""
        variables = environment()
        variables["UJOBS_BOARD"] = json.dumps(asdict(start))
        variables["TZ"] = "UTC0"
        variables.pop("HOME", None)  # the REPL would write its history there
        try:
            self._process = subprocess.Popen(
                [find_micropython(), "-X", f"heapsize={heap}", "-c", "__import__('stage0').start(globals())"],
                cwd=compiled_fakes(),
                stdin=subprocess.PIPE if start.repl else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                pass_fds=(start.image_fd, start.partitions_fd, start.message_fd, start.radio_fd, start.outside_fd),
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        finally:
            os.close(output)
            os.close(start.message_fd)
        os.set_blocking(self.output, False)
        os.set_blocking(self.messages, False)
        self._input = self._process.stdin
        if self._input:
            os.set_blocking(self._input.fileno(), False)
        if start.raw:
            self.type(CTRL_A)  # the unix port's REPL starts in friendly mode

    def type(self, data: bytes) -> None:
        """Send input to the board; bytes for which its buffer has no room are lost.

        Ctrl-C interrupts a running program; at the REPL it is passed on as a byte.
        """
        for number, piece in enumerate(data.split(CTRL_C)):
            if number and not self._interrupt():
                piece = CTRL_C + piece
            if self._input:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(self._input.fileno(), piece)

    def _interrupt(self) -> bool:
        """Send SIGINT if MicroPython catches it, which it does while a program runs; returns whether it was sent."""
        pid = self._process.pid
        # Wait until the program waits for something: SIGINT during a garbage collection would end MicroPython.
        state, before = self._state()
        used = before
        while state == "R" and used - before < _BUSY:
            time.sleep(_LOOK)
            state, used = self._state()
        # Stop the process, so that the program cannot end before the signal: SIGINT at the REPL would end MicroPython.
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)
        caught = int(Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0], 16)
        if caught & _SIGINT_BIT:
            os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGCONT)
        return bool(caught & _SIGINT_BIT)

    def _state(self) -> tuple[str, float]:
        """Return the process state, "R" (running), "S" or "D" (waiting), and the seconds of processor time used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read_output(self) -> bytes | None:
        """Return the output since the last call, perhaps empty; None once the process has ended."""
        return _read(self.output)

    def read_messages(self) -> list[str]:
        """Return the lines received from the message pipe since the last call."""
        *lines, self._rest = (self._rest + (_read(self.messages) or b"")).split(b"\n")
        return [line.decode() for line in lines]

    def kill(self) -> int:
        """Kill the process unless it has ended; returns its exit code (negative: killed by that signal).

        Its output and messages can still be read.
        """
        self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        """Close the pipes."""
        os.close(self.output)
        os.close(self.messages)
        if self._input:
            self._input.close()


def _read(descriptor: int) -> bytes | None:
    """Read everything from a non-blocking pipe; None at its end."""
    gathered = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return gathered
        if not data:
            return gathered or None
        gathered += data


def _die_with_parent() -> Callable[[], None]:
    if sys.platform != "linux":
        raise OSError("the virtual board runs on Linux only")
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl
            os._exit(1)

    return in_child
