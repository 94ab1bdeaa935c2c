"""Fixtures of the virtual board's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from board_process import BoardProcess, StartBoard


@pytest.fixture
def start_board() -> Iterator[StartBoard]:
    """Start boards; kill those that still run at the end of the test."""
    started: list[BoardProcess] = []

    def start(image: Path, *options: str) -> BoardProcess:
        started.append(BoardProcess(image, *options))
        return started[-1]

    yield start
    for board in started:
        board.stop()
