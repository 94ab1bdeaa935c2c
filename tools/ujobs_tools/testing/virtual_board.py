"""The fixture `board`: a virtual board whose power, link, flash and console a test has in hand."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ujobs_tools.board.image import fill, read_files, write_files
from ujobs_tools.board.outside import Analogue, I2cBus, Outside, PinOutside, Pwm
from ujobs_tools.processes import kill_group
from ujobs_tools.testing.jobs_service import JobsService

_LOOK = 0.02  # seconds
_LONGEST_JUMP = 6 * 24 * 3600  # seconds
_TRACEBACK = "Traceback (most recent call last):"
_STARTS = re.compile(r"job (\S+) \(\d+\) starts, attempt (\d+)")


class Files(Mapping[str, bytes]):
    """The files on a board's flash at this moment, by path from / on; writing needs the power to be off."""

    def __init__(self, image: Path) -> None:
        self._image = image

    def __getitem__(self, path: str) -> bytes:
        return read_files(self._image)[path]

    def __setitem__(self, path: str, content: bytes) -> None:
        write_files(self._image, {path: content})

    def __iter__(self) -> Iterator[str]:
        return iter(read_files(self._image))

    def __len__(self) -> int:
        return len(read_files(self._image))


class VirtualBoard:
    """image: its flash. log: file that gets its console. Tracebacks on the console fail the test, unless expected.

    files, analogue, pwm, i2c: what is on its flash, and around it; set and read them as dicts."""

    def __init__(self, image: Path, log: Path, service: JobsService) -> None:
        self.files = Files(image)
        self._outside = Outside(image)
        self.analogue = Analogue(self._outside)
        self.pwm = Pwm(self._outside)
        self.i2c = I2cBus(self._outside)
        self._image = image
        self._log = log
        self._service = service
        self._seen = 0  # characters of the console that expect() has used up
        self._process: subprocess.Popen[bytes] | None = None
        self._expected_tracebacks = 0
        self._timers: list[threading.Timer] = []
        service.attempts = self.attempts

    @property
    def console(self) -> str:
        """All that the board has printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Switch the power on."""
        if self._process is not None:
            raise ValueError("the board has power already")
        command = [sys.executable, "-m", "ujobs_tools.testing.board_process", str(self._image), str(self._log)]
        output = self._log.with_suffix(".err")
        with output.open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )

    def cut_power(self) -> None:
        """Switch the power off, at any instruction."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def expect(self, text: str, seconds: float = 30) -> str:
        """Wait until the board prints this text, after what was expected before; its line. Fails after that time."""
        deadline = time.monotonic() + seconds
        while True:
            console = self.console
            at = console.find(text, self._seen)
            if at >= 0:
                self._seen = at + len(text)
                start = console.rfind("\n", 0, at) + 1
                return console[start:].partition("\n")[0]
            if self._process is not None and self._process.poll() is not None:
                error = self._log.with_suffix(".err").read_text(errors="replace").strip()
                pytest.fail(f"the board stopped with exit code {self._process.returncode} {error}".rstrip())
            if time.monotonic() > deadline:
                pytest.fail(f"the board has not printed {text!r} within {seconds:g} s")
            time.sleep(_LOOK)

    def expect_traceback(self, text: str = "", seconds: float = 30) -> None:
        """Wait for a traceback that is meant to be there; text: in it or after it."""
        self._expected_tracebacks += 1
        self.expect(_TRACEBACK, seconds)
        if text:
            self.expect(text, seconds)

    def lose_link(self, seconds: float) -> None:
        """Take the access point away for so long, and break the connection; returns at once."""
        if self._process is None:
            raise ValueError("the board has no power")
        process = self._process
        process.send_signal(signal.SIGUSR1)
        self._service.cut()

        def back() -> None:
            if process.poll() is None:
                process.send_signal(signal.SIGUSR2)

        timer = threading.Timer(seconds, back)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def advance(self, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Have the board's clocks jump ahead, at most six days at once; deep sleep ends.

        What was due in between is due at once afterwards, as if the processor had stood still for so long. The watchdog
        and the service's timers go by real time.
        """
        span = seconds + 60 * minutes + 3600 * hours
        if not 0 < span <= _LONGEST_JUMP:
            raise ValueError("a board's clock can jump ahead by up to 6 days, for its ticks wrap around after 12")
        self._outside.jump(span)
        if self._process is not None:
            self._process.send_signal(signal.SIGALRM)

    def fill_flash(self) -> None:
        """Leave no block free on flash; the power must be off."""
        if self._process is not None:
            raise ValueError("cut the power before the flash is filled")
        fill(self._image)

    def pin(self, number: int) -> PinOutside:
        """A pin: `pin(2).value` is its level; setting it is for inputs."""
        return PinOutside(self._outside, number)

    def attempts(self, job_id: str) -> int:
        """How often the handler of a job has been started."""
        return max((int(number) for found, number in _STARTS.findall(self.console) if found == job_id), default=0)

    def unexpected_traceback(self) -> str | None:
        """The first traceback that no test expected, with what follows; None without."""
        parts = self.console.split(_TRACEBACK)
        if len(parts) - 1 <= self._expected_tracebacks:
            return None
        return _TRACEBACK + parts[self._expected_tracebacks + 1]

    def close(self) -> None:
        """Switch it off for good."""
        for timer in self._timers:
            timer.cancel()
        self.cut_power()
