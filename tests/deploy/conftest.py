"""Boards with a serial port, for tests of commands that use mpremote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from board_process import BoardProcess
from mpremote_board import MpremoteBoard, Start
from ujobs_tools.board.image import DEFAULT_BLOCKS, build_image


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a board. files: content by path, for a new image; None to use the existing image."""
    running: list[BoardProcess] = []

    def start_board(image: Path, *options: str) -> BoardProcess:
        running.append(BoardProcess(image, *options))
        return running[-1]

    def started(
        files: dict[str, bytes] | None = None, *options: str, blocks: int = DEFAULT_BLOCKS
    ) -> MpremoteBoard:
        image = tmp_path / "flash.img"
        if files is not None:
            build_image(image, files, blocks)
        return MpremoteBoard(start_board, image, *options)

    yield started
    for board in running:
        board.stop()
