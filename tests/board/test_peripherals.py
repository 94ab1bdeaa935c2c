"""The fake peripherals refuse what an ESP32 refuses."""

import importlib.util
from pathlib import Path

import pytest

from board_process import run_board
from ujobs_tools.board.fakes_cache import FAKES


def test_an_output_that_was_switched_off_cannot_be_used() -> None:
    spec = importlib.util.spec_from_file_location("peripherals", FAKES / "peripherals.py")
    assert spec
    assert spec.loader
    peripherals = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peripherals)
    output = peripherals.PWM(peripherals.Pin(15), freq=1000, duty_u16=5)
    output.deinit()
    output.deinit()
    assert peripherals.state.pwm == {15: {"freq": 1000, "duty_u16": 0}}
    for call in (output.freq, output.duty, output.duty_u16, lambda: output.duty(5)):
        with pytest.raises(RuntimeError, match="inactive"):
            call()
    assert peripherals.PWM(15).freq() == 5000


def test_the_processor_has_five_frequencies(tmp_path: Path) -> None:
    main = """
import machine
machine.freq(240_000_000)
try:
    machine.freq(200_000_000)
except ValueError as error:
    print(machine.freq(), error)
"""
    lines = run_board(tmp_path, main)[1]
    assert "240000000 frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz" in lines
