"""Two clouds, each with a board, that go through the same scenarios at the same time, and how what is seen differs."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from judged_record import Record
from judged_scenarios import APP, SCENARIOS, Site

from board_at_work import BoardAtWork, board_at_work
from clouds import Cloud

MISSING = "(missing)"


@dataclass(frozen=True)
class Difference:
    """Something that differs. where: names and list indices on the way to it, joined by "/"; what each cloud has there,
    MISSING included."""

    scenario: str
    where: str
    serve: Any
    ministack: Any

    def __str__(self) -> str:
        return f"{self.scenario}: {self.where}\n    ujobs serve: {self.serve!r}\n    MiniStack:   {self.ministack!r}"


class Judge:
    """One cloud, in a thread of its own: it has a board, which goes through the scenarios one after the other."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder
        self._thread = ThreadPoolExecutor(1)
        self._boards = contextlib.ExitStack()
        self._board: BoardAtWork | None = None
        self._things = 0

    def start(self, scenario: str) -> Future[Record]:
        """Begin a scenario; what it shows."""
        return self._thread.submit(self._run, scenario)

    def drop(self) -> None:
        """Let the next scenario have a board and thing of its own: nobody knows what this one is at."""
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
            board_at_work(self._cloud, f"judged-{self._things}", folder, APP, tapped=True, update_interval=None)
        )
        # Else it would depend on who comes first whether the board's first question finds a job.
        board.tap.wait_for(lambda: any(not message.from_board for message in board.tap.messages), "first answer")
        board.tap.settle()
        return board


class Judges:
    """`ujobs serve` and MiniStack, between `with` and its end."""

    def __init__(self, serve: Cloud, ministack: Cloud, folder: Path) -> None:
        self._judges = []
        for name, cloud in (("serve", serve), ("ministack", ministack)):
            (folder / name).mkdir()
            self._judges.append(Judge(cloud, folder / name))
        self._found: dict[str, list[Future[Record]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for judge in self._judges:
            judge.close()

    def differences(self, scenario: str) -> list[Difference]:
        """Let both boards go through a scenario, unless they have; raises what went wrong in it."""
        if scenario not in self._found:
            found = self._found[scenario] = [judge.start(scenario) for judge in self._judges]
            if any([record.exception() for record in found]):
                for judge in self._judges:
                    judge.drop()
        serve, ministack = [record.result() for record in self._found[scenario]]
        return list(compare(scenario, (), serve, ministack))


def compare(scenario: str, where: tuple[str, ...], serve: Any, ministack: Any) -> Iterator[Difference]:
    """The smallest parts that differ."""
    if isinstance(serve, list) and isinstance(ministack, list):
        serve, ministack = ({str(at): item for at, item in enumerate(items)} for items in (serve, ministack))
    if isinstance(serve, dict) and isinstance(ministack, dict):
        for name in serve | ministack:
            yield from compare(scenario, (*where, name), serve.get(name, MISSING), ministack.get(name, MISSING))
    elif serve != ministack:
        yield Difference(scenario, "/".join(where), serve, ministack)
