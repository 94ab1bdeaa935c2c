"""Pins, voltages and I2C devices of a virtual board, set and read by a test."""

from pathlib import Path

import pytest

from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

APP = """
from machine import ADC, I2C, PWM, Pin, SoftI2C


def setup(agent):
    agent.on("follow")(follow)
    agent.on("heat")(heat)


def follow(job):
    Pin(2, Pin.OUT).value(Pin(4, Pin.IN).value())
    return {"pulled": Pin(5, Pin.IN, Pin.PULL_UP).value(), "door": Pin(6, Pin.IN, Pin.PULL_UP).value()}


def heat(job):
    bus = I2C(0, scl=Pin(22), sda=Pin(21))
    if 0x48 not in bus.scan():
        raise OSError("no sensor answers on the bus")
    PWM(Pin(15), freq=1000, duty_u16=ADC(Pin(34)).read_u16())
    bus.writeto_mem(0x48, 2, b"\\x60")
    bus.writeto(0x48, b"\\x01")
    return {"temperature": SoftI2C(scl=Pin(22), sda=Pin(21)).readfrom(0x48, 2)[0]}
"""


@pytest.fixture(scope="session")
def ujobs_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("follow") / "app.py"
    app.write_text(APP)
    return app


def test_set_and_read(service: JobsService, board: VirtualBoard) -> None:
    board.pin(4).value = 1
    board.pin(6).value = 0
    assert service.job("follow").wait().details == {"pulled": "1", "door": "0"}
    assert (board.pin(2).value, board.pin(5).value, board.pin(6).value) == (1, 1, 0)
    board.analogue[34] = 40000
    board.i2c[0x48] = {0: 1, 1: 25}
    assert service.job("heat").wait().details == {"temperature": "25"}
    assert board.pwm == {15: {"freq": 1000, "duty_u16": 40000}}
    assert board.i2c[0x48][2] == 0x60
    del board.i2c[0x48]
    assert service.job("heat").wait().status == "FAILED"
    board.expect("start, PWRON_RESET")
    board.expect_traceback("no sensor answers")
    board.cut_power()
    board.start()
    board.expect("start, PWRON_RESET")
    # A power cut resets the pins that the program set; attached devices stay.
    board.expect("connected")
    assert (board.pin(2).value, board.pin(4).value, len(board.pwm)) == (0, 1, 0)
    assert board.analogue[34] == 40000


def test_properties_that_no_board_has(board: VirtualBoard) -> None:
    for number in (-1, 64):
        with pytest.raises(ValueError, match="0 to 63"):
            board.pin(number)
        with pytest.raises(ValueError, match="0 to 63"):
            board.analogue[number] = 1
    with pytest.raises(ValueError, match="0 to 65535"):
        board.analogue[34] = 65536
    with pytest.raises(ValueError, match="8 to 119"):
        board.i2c[0x90] = {}
    for registers in ({256: 1}, {1: 256}):
        with pytest.raises(ValueError, match="0 to 255"):
            board.i2c[0x48] = registers
