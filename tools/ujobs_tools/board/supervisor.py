"""The board around the processor: power, reset line, watchdog, real-time clock, access point and serial line.

It keeps the state that survives a reset on a real board, and the reset cause. The program sends requests as lines
through its pipe:

    reset                  reset now, cause HARD_RESET
    deepsleep MS           reset after MS milliseconds (-1: never), cause DEEPSLEEP_RESET
    watchdog MS, feed      start or feed the watchdog; if it is not fed, it resets the board, cause WDT_RESET
    clock SECONDS          the clock was set to that many seconds ahead of the host's
    memory HEX             new content of the real-time clock's memory
    listening              boot.py runs next: read input from the serial port from now on
"""

import contextlib
import hashlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from . import outside, process
from .image import BLOCK_SIZE, ImageError, lock
from .output import SerialLine
from .serial import SerialPort

STOPPED, PROGRAM_FAILED, USAGE, PROCESS_DIED = range(4)
"""Exit codes: stopped, or main.py ended; main.py did not start its work, or ended with an exception; bad arguments or
image; the MicroPython process died."""

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
DEFAULT_HEAP = 160 * 1024
FAKES_HEAP = 56 * 1024
"""Heap that the fakes use when boot.py starts, including the holes left by loading them. A real board has no fakes."""
_CAUSES = ("", "PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")
_EPOCH_2000 = 946684800  # 2000-01-01 in seconds since 1970
_DRIFT = 0.03  # fraction of the time in deep sleep that the clock is ahead afterwards
_NEVER = float("inf")
_RESET_LINE = "reset-line"
_LOOK = 0.05  # seconds between checks whether the serial port has been opened, for which there is no event

NTP_ANSWERS = ("right", "silent", "zeros", "kiss", "year", "foreign")


@dataclass
class BoardOptions:
    """Options of a board.

    heap: bytes of MicroPython heap for the program; the heap of the fakes is added. wifi_ssid, wifi_password, ntp: see
    process.Start. log: file for a copy of the output. stay: keep running when main.py has ended, like a board at its
    REPL. serial: path for a serial port, with which the REPL follows main.py; None for no port. jumps: the clock may
    jump, see outside.py; SIGALRM announces a jump.
    """

    heap: int = DEFAULT_HEAP
    wifi_ssid: str | None = None
    wifi_password: str | None = None
    ntp: str = "right"
    log: Path | None = None
    stay: bool = False
    serial: Path | None = None
    jumps: bool = False


class Board:
    """One board with its flash in the file `image`, from power-on until `run` returns."""

    def __init__(self, image: Path, options: BoardOptions) -> None:
        self._path = image
        self._options = options
        self._serial = SerialLine(options.log)
        self._port: SerialPort | None = None
        self._listening = False
        self._wake, self._wake_end = socket.socketpair()
        self._radio = os.memfd_create("radio")
        self._set_radio(True)
        self._cause = PWRON_RESET
        self._clock_offset = 0
        self._rtc_memory = ""
        self._watchdog: float | None = None  # timeout in seconds, once started
        self._deadline = _NEVER  # when the watchdog resets the board, in monotonic seconds
        self._request = ""
        self._stopping = False

    def run(self) -> int:
        """Power the board on and run it until it stops; returns the exit code (STOPPED, ...).

        Call it once, from the main thread: until it returns, it handles SIGTERM and SIGINT (stop), SIGQUIT (reset
        line), SIGUSR1 (access point off), SIGUSR2 (access point on) and SIGALRM (the clock has jumped). Raises
        ImageError if the image is missing, incomplete or in use.
        """
        image = self._open_image()
        partitions = os.open(self._path.with_name(self._path.name + ".partitions"), os.O_RDWR | os.O_CREAT, 0o600)
        self._outside = outside.open_file(self._path)
        self._clock_offset = _EPOCH_2000 - int(time.time() + outside.jumped(self._outside))
        with self._handling_signals():
            try:
                if self._options.serial:
                    self._port = SerialPort(self._options.serial)
                while True:
                    self._serial.say(f"start, {_CAUSES[self._cause]}")
                    code = self._run_until_reset(image, partitions)
                    if code is not None:
                        return code
            except BrokenPipeError:  # nobody reads our output any more
                return STOPPED
            finally:
                if self._port:
                    self._port.close()
                for descriptor in (image, partitions, self._outside, self._radio):
                    os.close(descriptor)

    def _open_image(self) -> int:
        try:
            image = os.open(self._path, os.O_RDWR)
        except OSError as error:
            raise ImageError(f"{self._path}: {error.strerror}") from error
        size = os.fstat(image).st_size
        if size == 0 or size % BLOCK_SIZE:
            os.close(image)
            raise ImageError(f"{self._path} is not a flash image: {size} bytes are not whole blocks of {BLOCK_SIZE}")
        lock(image, self._path)
        return image

    def _run_until_reset(self, image: int, partitions: int) -> int | None:
        """Run one boot. Returns None, with the reset cause set, if the board boots again; else the exit code."""
        self._listening = False
        outside.let_go(self._outside)
        processor = process.Processor(self._start_settings(image, partitions), self._options.heap + FAKES_HEAP)
        try:
            while self._listen(processor, self._deadline):
                if self._overdue() and self._listen(processor, 0) and self._overdue():
                    # The watchdog was not fed, not even by a message that was still in the pipe.
                    self._request = "watchdog"
                    break
        finally:
            returncode = processor.kill()
            self._take_in(processor)
            processor.close()
            self._serial.end_line()
        if self._stopping:
            return STOPPED
        return self._restart(self._request) if self._request else self._after_end(returncode)

    def _restart(self, request: str) -> int | None:
        """Carry out a request of the program or the watchdog; returns None to boot again, else the exit code."""
        self._request, self._watchdog, self._deadline = "", None, _NEVER
        if self._port:
            self._port.restarted(soft=False)
        kind, _, argument = request.partition(" ")
        if kind == "deepsleep":
            self._cause = DEEPSLEEP_RESET
            milliseconds = int(argument)
            self._serial.say(f"deep sleep, {milliseconds} ms" if milliseconds >= 0 else "deep sleep")
            self._deep_sleep(milliseconds)
            # The oscillator used in deep sleep is inaccurate.
            self._clock_offset += round(milliseconds / 1000 * _DRIFT)
            if self._request and not self._stopping:
                return self._restart(self._request)
            return STOPPED if self._stopping else None
        if kind == _RESET_LINE:
            # The ESP32's EN pin also resets the real-time clock and its memory; the reset cause is power-on.
            self._cause, self._rtc_memory = PWRON_RESET, ""
            self._clock_offset = _EPOCH_2000 - int(time.time())
            return None
        self._cause = WDT_RESET if kind == "watchdog" else HARD_RESET
        return None

    def _deep_sleep(self, milliseconds: int) -> None:
        end = self._now() + milliseconds / 1000 if milliseconds >= 0 else _NEVER
        while not (self._stopping or self._request) and self._now() < end:
            self._sleep([], time.monotonic() + end - self._now())

    def _now(self) -> float:
        """Return monotonic seconds, including jumps."""
        return time.monotonic() + outside.jumped(self._outside)

    def _after_end(self, returncode: int) -> int | None:
        """Handle the end of the process: returns None to boot again, else the exit code."""
        if returncode == process.NO_FILE_SYSTEM:
            return USAGE
        # With a serial port, the REPL follows the program, so MicroPython ends only by Ctrl-D or SystemExit.
        if returncode == process.SOFT_RESET or (self._port and returncode >= 0):
            if self._port:
                self._port.restarted(soft=True)
            self._cause = SOFT_RESET
            return None
        if returncode not in (process.ENDED, process.RAISED):
            how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
            self._serial.say(f"the MicroPython process died: {how}")
            return PROCESS_DIED
        how = "ended" if returncode == process.ENDED else "ended with an exception"
        if self._watchdog is not None or self._options.stay:
            self._serial.say(f"the program {how}; idle")
            self._idle(self._deadline)
            if not self._stopping:
                return self._restart(self._request or "watchdog")
        else:
            self._serial.say(f"the program {how}")
        return STOPPED if returncode == process.ENDED and not self._serial.not_started else PROGRAM_FAILED

    def _start_settings(self, image: int, partitions: int) -> process.Start:
        return process.Start(
            image_fd=image,
            blocks=os.fstat(image).st_size // BLOCK_SIZE,
            partitions_fd=partitions,
            message_fd=-1,
            radio_fd=self._radio,
            outside_fd=self._outside,
            cause=self._cause,
            clock_offset=self._clock_offset,
            unique_id=hashlib.sha256(bytes(self._path.resolve())).hexdigest()[:12],
            wifi_ssid=self._options.wifi_ssid,
            wifi_password=self._options.wifi_password,
            ntp=self._options.ntp,
            rtc_memory=self._rtc_memory,
            jumps=self._options.jumps,
            repl=self._port is not None,
            raw=self._port is not None and self._port.raw,
        )

    def _listen(self, processor: process.Processor, deadline: float) -> bool:
        """Wait for output, messages or input, at most until `deadline`, and handle them; returns False when this boot
        is over."""
        host = self._port if self._port and self._listening and self._port.connected() else None
        self._sleep([processor.output, processor.messages, *([host.fileno()] if host else [])], deadline)
        running = self._take_in(processor) and not self._request and not self._stopping
        if host and running:
            processor.type(host.received())
        return running

    def _take_in(self, processor: process.Processor) -> bool:
        for message in processor.read_messages():
            self._obey(message)
        output = processor.read_output()
        self._serial.feed(output or b"")
        if self._port and output:
            self._port.send(output)
        return output is not None

    def _obey(self, message: str) -> None:
        kind, _, argument = message.partition(" ")
        if kind == "listening":
            self._listening = True
        elif kind == "clock":
            self._clock_offset = int(argument)
        elif kind == "memory":
            self._rtc_memory = argument
        elif kind in ("watchdog", "feed"):
            if kind == "watchdog":
                self._watchdog = int(argument) / 1000
            self._deadline = time.monotonic() + (self._watchdog or _NEVER)
        else:
            self._request = message

    def _overdue(self) -> bool:
        return time.monotonic() >= self._deadline

    def _idle(self, deadline: float) -> None:
        while not (self._stopping or self._request) and time.monotonic() < deadline:
            self._sleep([], deadline)

    def _sleep(self, descriptors: list[int], deadline: float) -> None:
        """Wait until one of the descriptors is readable, a signal arrives, or the deadline passes."""
        sending = []
        if self._port:
            self._port.flush()
            if self._port.waiting():
                sending.append(self._port.fileno())
            if self._port.fileno() not in descriptors:
                deadline = min(deadline, time.monotonic() + _LOOK)
        timeout = None if deadline == _NEVER else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([self._wake, *descriptors], sending, [], timeout)
        if self._wake in readable:
            self._wake.recv(4096)

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        # Every signal ends a wait; SIGALRM has no other effect.
        self._wake_end.setblocking(False)
        woken = signal.set_wakeup_fd(self._wake_end.fileno())
        numbers = (
            signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
        )
        before = [(number, signal.signal(number, self._on_signal)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken)
            self._wake.close()
            self._wake_end.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGUSR1, signal.SIGUSR2):
            self._set_radio(number == signal.SIGUSR2)
        elif number == signal.SIGQUIT:
            self._request = _RESET_LINE
        elif number != signal.SIGALRM:
            self._stopping = True

    def _set_radio(self, up: bool) -> None:
        os.pwrite(self._radio, b"1" if up else b"0", 0)
