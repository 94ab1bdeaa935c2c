"""The fixture `board`: a virtual board whose power, link, flash and console a test controls."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from ujobs_tools.board.image import fill, read_files, write_files
from ujobs_tools.board.outside import Analogue, I2cBus, Outside, PinOutside, Pwm
from ujobs_tools.host.processes import kill_group
from ujobs_tools.testing.console import BoardOnConsole
from ujobs_tools.testing.jobs_service import JobsService

_LONGEST_JUMP = 6 * 24 * 3600  # seconds


class Files(Mapping[str, bytes]):
    """The current files on a board's flash, content by absolute path; writing requires that the power is off."""

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


class VirtualBoard(BoardOnConsole):
    """A virtual board. image: file with its flash. log: file for its console.

    files, analogue, pwm, i2c: its files and peripherals; read and set them like dicts.
    """

    def __init__(self, image: Path, log: Path, service: JobsService) -> None:
        super().__init__(log, service)
        self.files = Files(image)
        self._outside = Outside(image)
        self.analogue = Analogue(self._outside)
        self.pwm = Pwm(self._outside)
        self.i2c = I2cBus(self._outside)
        self._image = image
        self._service = service
        self._process: subprocess.Popen[bytes] | None = None
        self._timers: list[threading.Timer] = []

    def stopped(self) -> str | None:
        """Return why the board has stopped; None while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        error = self._log.with_suffix(".err").read_text(errors="replace").strip()
        return f"the board stopped with exit code {self._process.returncode} {error}".rstrip()

    def start(self) -> None:
        """Switch the power on."""
        if self._process is not None:
            raise ValueError("the board already has power")
        command = [sys.executable, "-m", "ujobs_tools.board.run_image", str(self._image), str(self._log)]
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

    def lose_link(self, seconds: float) -> None:
        """Switch the access point off for `seconds`, and break the connection; returns immediately."""
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
        """Move the board's clocks ahead, by at most six days at once; ends deep sleep.

        Everything that was due in between is due at once afterwards, as if the processor had stopped for that time. The
        watchdog and the service's timers use real time.
        """
        span = seconds + 60 * minutes + 3600 * hours
        if not 0 < span <= _LONGEST_JUMP:
            raise ValueError("a board's clock can jump ahead by up to 6 days, because its ticks wrap around after 12")
        self._outside.jump(span)
        if self._process is not None:
            self._process.send_signal(signal.SIGALRM)

    def fill_flash(self) -> None:
        """Use up all free blocks of the flash; the power must be off."""
        if self._process is not None:
            raise ValueError("cut the power before the flash is filled")
        fill(self._image)

    def pin(self, number: int) -> PinOutside:
        """Return a pin: `pin(2).value` is its level; set it for inputs."""
        return PinOutside(self._outside, number)

    def close(self) -> None:
        """Switch the power off at the end of the test."""
        for timer in self._timers:
            timer.cancel()
        self.cut_power()
