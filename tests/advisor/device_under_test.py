"""The console of the virtual board under test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from endpoint import Endpoint

from ujobs_tools.host.processes import NotReady, wait_until

_PATIENCE = 60.0  # seconds
THING = "kiln-7"


@dataclass
class Device:
    """The board under test. log: file with its output."""

    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the board has printed a text so many times."""
        try:
            wait_until(lambda: self.said().count(text) >= times, repr(text), _PATIENCE)
        except NotReady as error:
            raise AssertionError(f"{error}; the board said:\n{self.said()}") from None


StartDevice = Callable[[Endpoint], Device]
