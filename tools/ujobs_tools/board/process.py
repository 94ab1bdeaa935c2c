"""Start MicroPython as the virtual board's processor: its file descriptors, its heap, and its end with
ours."""

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
from .interpreter import find_micropython
from .serial import CTRL_A, CTRL_C

# Exit codes of fakes/stage0.py.
ENDED = 10  # main.py came to its end
RAISED = 11  # boot.py or main.py ended with an exception
NO_FILE_SYSTEM = 12  # the image cannot be mounted
SOFT_RESET = 42  # machine.soft_reset() or SystemExit

_BUSY = 1.0  # seconds of processor time that Ctrl-C waits for a program to wait for something
_LOOK = 0.002  # seconds
_PR_SET_PDEATHSIG = 1
_SIGINT_BIT = 1 << (signal.SIGINT - 1)


@dataclass
class Start:
    """What one start of the board is told, as the fakes read it from UJOBS_BOARD.

    image_fd, blocks: the open image and its size in blocks of 4096 bytes. partitions_fd: the open file of the
    application partitions. message_fd: pipe to the supervisor.
    radio_fd: a file holding "1" while the access point is up.
    outside_fd: the open file of what is around the board, see outside.py.
    cause: machine's *_RESET number. clock_offset: seconds that the board's clock is ahead of the host's.
    unique_id: six bytes in hexadecimal. wifi_ssid,
    wifi_password: what the access point accepts, None for anything. ntp: how the time server answers, see
    fakes/time_server.py. rtc_memory: the bytes that outlast resets, in hexadecimal. one_partition: the firmware has one
    application partition. jumps: whether the clock may jump.
    repl: there is a serial port, so that the REPL follows main.py. raw: it was in raw mode before a soft reset, which
    leaves out main.py then.
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
    one_partition: bool
    jumps: bool
    repl: bool
    raw: bool


class Processor:
    """The MicroPython process of one start, and its pipes."""

    def __init__(self, start: Start, heap: int) -> None:
        """Start stage0 as `start` says; `message_fd` in it is set here.

        heap: MicroPython's -X heapsize in bytes. The process is in a session of its own, so that Ctrl-C
        reaches only the supervisor, and the kernel kills it when the thread that called this ends: no
        orphans, even at SIGKILL.
        """
        self.output, output = os.pipe()
        self.messages, start.message_fd = os.pipe()
        self._rest = b""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MICROPY")}
        environment["UJOBS_BOARD"] = json.dumps(asdict(start))
        environment["TZ"] = "UTC0"
        environment.pop("HOME", None)  # where the REPL would keep its history
        try:
            self._process = subprocess.Popen(
                [find_micropython(), "-X", f"heapsize={heap}", "-c", "__import__('stage0').start(globals())"],
                cwd=compiled_fakes(),
                stdin=subprocess.PIPE if start.repl else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
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
        """Send the board what came over its serial line; what it does not take in time is lost.

        Ctrl-C interrupts a program that may be interrupted, and is one more byte at the prompt.
        """
        for number, piece in enumerate(data.split(CTRL_C)):
            if number and not self._interrupt():
                piece = CTRL_C + piece
            if self._input:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(self._input.fileno(), piece)

    def _interrupt(self) -> bool:
        """Send SIGINT where it is caught, which MicroPython sees to for as long as a program runs; whether it was."""
        pid = self._process.pid
        # The unix port raises KeyboardInterrupt wherever the signal finds it: where it waits that is as on a board, in
        # the middle of garbage collection it is the end of MicroPython.
        state, before = self._state()
        used = before
        while state == "R" and used - before < _BUSY:
            time.sleep(_LOOK)
            state, used = self._state()
        # Stopped, so that the program cannot end in between: at the prompt SIGINT would be the end of MicroPython.
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)
        caught = int(Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0], 16)
        if caught & _SIGINT_BIT:
            os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGCONT)
        return bool(caught & _SIGINT_BIT)

    def _state(self) -> tuple[str, float]:
        """Whether it runs ("R") or waits ("S", "D"), and the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read_output(self) -> bytes | None:
        """What has been printed since the last call, perhaps nothing; None once the process has ended."""
        return _read(self.output)

    def read_messages(self) -> list[str]:
        """The lines that came through the message pipe since the last call."""
        *lines, self._rest = (self._rest + (_read(self.messages) or b"")).split(b"\n")
        return [line.decode() for line in lines]

    def kill(self) -> int:
        """Cut its power, if it has not ended yet; returns its exit code (negative: killed by that signal).

        What it printed and said before can still be read.
        """
        self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        """Let go of the pipes."""
        os.close(self.output)
        os.close(self.messages)
        if self._input:
            self._input.close()


def _read(descriptor: int) -> bytes | None:
    """All there is in a non-blocking pipe; None at its end."""
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
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return in_child
