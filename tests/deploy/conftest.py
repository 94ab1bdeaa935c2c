"""Boards with a serial port, for the tests of `ujobs deploy` and its like, which work through real mpremote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from board_process import BoardProcess
from mpremote_board import MpremoteBoard, Start
from ujobs_tools.board.image import DEFAULT_BLOCKS, build_image


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a board: on a fresh image with files (path -> content), without any on the image as it is."""
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
