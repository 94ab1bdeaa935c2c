"""Runs the same scenarios on two clouds at the same time, each with a board, and lists the differences."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scenario_record import Record
from scenarios import APP, SCENARIOS, Site

from board_at_work import BoardAtWork, board_at_work
from clouds import Cloud

MISSING = "(missing)"


@dataclass(frozen=True)
class Difference:
    """One difference. where: its path of names and list indices, joined by "/". serve, ministack: the values there, or
    MISSING."""

    scenario: str
    where: str
    serve: Any
    ministack: Any

    def __str__(self) -> str:
        return f"{self.scenario}: {self.where}\n    ujobs serve: {self.serve!r}\n    MiniStack:   {self.ministack!r}"


class Runner:
    """Runs scenarios one after the other on one cloud with one board, in its own thread."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder
        self._thread = ThreadPoolExecutor(1)
        self._boards = contextlib.ExitStack()
        self._board: BoardAtWork | None = None
        self._things = 0

    def start(self, scenario: str) -> Future[Record]:
        """Start a scenario; returns its record."""
        return self._thread.submit(self._run, scenario)

    def drop(self) -> None:
        """Use a new board and thing for the next scenario, because the state of this one is unknown."""
        self._board = None
        self._thread.submit(self._boards.close).result()

    def close(self) -> None:
        """Switch the board off."""
        self.drop()
        self._thread.shutdown()

    def _run(self, scenario: str) -> Record:
        if self._board is None:
            self._board = self._new_board()
        site = Site(self._board, scenario)
        SCENARIOS[scenario](site)
        return site.recorder.finish()

    def _new_board(self) -> BoardAtWork:
        self._things += 1
        folder = self._folder / str(self._things)
        folder.mkdir()
        board = self._boards.enter_context(
            board_at_work(self._cloud, f"compared-{self._things}", folder, APP, tapped=True, update_interval=None)
        )
        # Otherwise the board's first request might or might not find the scenario's first job.
        board.tap.wait_for(lambda: any(not message.from_board for message in board.tap.messages), "first answer")
        board.tap.settle()
        return board


class Comparison:
    """A context manager that runs scenarios on `ujobs serve` and on MiniStack."""

    def __init__(self, serve: Cloud, ministack: Cloud, folder: Path) -> None:
        self._runners = []
        for name, cloud in (("serve", serve), ("ministack", ministack)):
            (folder / name).mkdir()
            self._runners.append(Runner(cloud, folder / name))
        self._found: dict[str, list[Future[Record]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for runner in self._runners:
            runner.close()

    def differences(self, scenario: str) -> list[Difference]:
        """The differences that a scenario shows; it runs once. Raises the exception of a scenario that failed."""
        if scenario not in self._found:
            found = self._found[scenario] = [runner.start(scenario) for runner in self._runners]
            if any([record.exception() for record in found]):
                for runner in self._runners:
                    runner.drop()
        serve, ministack = [record.result() for record in self._found[scenario]]
        return list(compare(scenario, (), serve, ministack))


def compare(scenario: str, where: tuple[str, ...], serve: Any, ministack: Any) -> Iterator[Difference]:
    """The smallest differing parts of two values."""
    if isinstance(serve, list) and isinstance(ministack, list):
        serve, ministack = ({str(at): item for at, item in enumerate(items)} for items in (serve, ministack))
    if isinstance(serve, dict) and isinstance(ministack, dict):
        for name in serve | ministack:
            yield from compare(scenario, (*where, name), serve.get(name, MISSING), ministack.get(name, MISSING))
    elif serve != ministack:
        yield Difference(scenario, "/".join(where), serve, ministack)
