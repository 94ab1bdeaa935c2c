"""The tools of a case: the board, the cloud, and the options of the run."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ujobs_tools.aws.executions import details_of
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.qualify.account import Account
from ujobs_tools.qualify.board import BoardUnderTest
from ujobs_tools.qualify.case import LEAST_HEAP, RESET_LINE

_HEAP = "qualify: least heap "
_PATIENCE = 60.0  # seconds until the board has connected again


@dataclass(frozen=True)
class Choices:
    """Options of a run. resets: number of random resets. seed: seed of their times. bucket, role_arn: S3 bucket
    and role for files on AWS. firmware: application image for a firmware update."""

    resets: int = 50
    seed: int = 0
    bucket: str | None = None
    role_arn: str | None = None
    firmware: Path | None = None


@dataclass
class Bench:
    """facts: facts about the board, by name. figures: measurements of the current case. say: shows a line to the
    user."""

    board: BoardUnderTest
    account: Account
    choices: Choices
    say: Callable[[str], None]
    settings: dict[str, Any]
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    can: set[str] = field(default_factory=set)
    _tried: set[str] = field(default_factory=set)

    def has(self, need: str) -> bool:
        """Return whether a need of a case is met, see case.NEEDS. The reset line is tested once."""
        if need == RESET_LINE and need not in self._tried:
            self._tried.add(need)
            if self.board.has_reset_line():
                self.can.add(need)
        return need in self.can

    def recover(self) -> None:
        """Clean up after a failed case, so that none of its jobs runs when the next case begins."""
        self.account.cancel_all()
        try:
            self.restart()
        except BoardError as error:
            self.say(f"the board does not connect again: {error}")

    def restart(self) -> None:
        """Reset the board, and wait until it has connected. Raises BoardError."""
        since = len(self.board.lines)
        with self.board.stopped():
            pass
        self.board.wait_for(CONNECTED, _PATIENCE, since)

    def reset_after(self, seconds: float, patience: float) -> None:
        """Reset the board by its reset line after `seconds`, and wait until it has connected. Raises BoardError."""
        since = len(self.board.lines)
        time.sleep(seconds)
        self.board.reset_line()
        self.board.wait_for(CONNECTED, patience, since)

    def note_heap(self, since: int) -> None:
        """Record the lowest free heap that the application has printed since line `since`."""
        found = [int(line.rpartition(" ")[2]) for line in self.board.lines[since:] if line.startswith(_HEAP)]
        if found:
            self.figure(LEAST_HEAP, min(found))

    def figure(self, name: str, value: float) -> None:
        """Record a measurement of this case; its unit is part of the name."""
        self.figures[name] = round(value, 3)

    def random(self, purpose: str) -> random.Random:
        """Return a generator that depends only on the seed and the purpose, so that a single case can be repeated."""
        return random.Random(f"{self.choices.seed} {purpose}")

    def job(
        self, document: dict[str, Any], status: str = "SUCCEEDED", seconds: float = 60, **details: str
    ) -> dict[str, str]:
        """Create a job and wait until it has ended; returns its status details. Raises Unexpected, see
        account.expect."""
        return details_of(self.account.expect(self.account.create(document), status, seconds, **details))

    def marks(self) -> dict[str, str]:
        """Return the marks that the application's handlers left in flash, by job. Resets the board."""
        found: dict[str, str] = self.board.run(_MARKS)
        return found


_MARKS = """
def _marks():
    import os
    found = {}
    try:
        names = os.listdir("/qualify")
    except OSError:
        return found
    for name in names:
        with open("/qualify/" + name) as file:
            found[name] = file.read()
    return found
print(repr(_marks()))
"""
