"""Common base of the boards in tests: waits for console output, finds tracebacks, counts attempts."""

import re
import time
from pathlib import Path

import pytest

from ujobs_tools.testing.jobs_service import JobsService

_LOOK = 0.02  # seconds
_TRACEBACK = "Traceback (most recent call last):"
_STARTS = re.compile(r"job (\S+) \(\d+\) starts, attempt (\d+)")


class BoardOnConsole:
    """A board with a console. log: file for the console. Unexpected tracebacks on it fail the test."""

    def __init__(self, log: Path, service: JobsService) -> None:
        self._log = log
        self._seen = 0  # characters of the console up to the end of the last text that expect() found
        self._expected_tracebacks = 0
        service.attempts = self.attempts

    @property
    def console(self) -> str:
        """All output of the board."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stopped(self) -> str | None:
        """Return why the board has stopped; None while it runs."""
        return None

    def expect(self, text: str, seconds: float = 30) -> str:
        """Wait until the board prints this text, after the text of the previous call; returns its line. Fails the test
        after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            why = self.stopped()
            console = self.console
            at = console.find(text, self._seen)
            if at >= 0:
                self._seen = at + len(text)
                start = console.rfind("\n", 0, at) + 1
                return console[start:].partition("\n")[0]
            if why is not None:
                pytest.fail(why)
            if time.monotonic() > deadline:
                pytest.fail(f"the board has not printed {text!r} within {seconds:g} s")
            time.sleep(_LOOK)

    def expect_traceback(self, text: str = "", seconds: float = 30) -> None:
        """Wait for a traceback that the test causes. text: part of it, or of the output after it."""
        self._expected_tracebacks += 1
        self.expect(_TRACEBACK, seconds)
        if text:
            self.expect(text, seconds)

    def attempts(self, job_id: str) -> int:
        """Return the number of attempts of a job."""
        return max((int(number) for found, number in _STARTS.findall(self.console) if found == job_id), default=0)

    def unexpected_traceback(self) -> str | None:
        """Return the first unexpected traceback, with the output after it; None if there is none."""
        parts = self.console.split(_TRACEBACK)
        if len(parts) - 1 <= self._expected_tracebacks:
            return None
        return _TRACEBACK + parts[self._expected_tracebacks + 1]
