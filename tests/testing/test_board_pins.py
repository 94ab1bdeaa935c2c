"""A virtual board's pins, set and read by a test."""

from pathlib import Path

import pytest

from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

FOLLOW = """
from machine import Pin


def setup(agent):
    agent.on("follow")(follow)


def follow(job):
    Pin(2, Pin.OUT).value(Pin(4, Pin.IN).value())
"""


@pytest.fixture(scope="session")
def ujobs_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("follow") / "app.py"
    app.write_text(FOLLOW)
    return app


def test_set_and_read(service: JobsService, board: VirtualBoard) -> None:
    board.pin(4).value = 1
    assert service.job("follow").wait().status == "SUCCEEDED"
    assert board.pin(2).value == 1
    board.expect("start, PWRON_RESET")
    board.cut_power()
    board.start()
    board.expect("start, PWRON_RESET")
    # What a program drove ends with the power; what is attached stays.
    board.expect("connected")
    assert (board.pin(2).value, board.pin(4).value) == (0, 1)


def test_numbers_that_no_pin_has(board: VirtualBoard) -> None:
    for number in (-1, 64):
        with pytest.raises(ValueError, match="0 to 63"):
            board.pin(number)
