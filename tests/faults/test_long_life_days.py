"""`make long-life` for some days: the memory in use does not grow, with 32-bit words either."""

import shutil

from installed import require
from ujobs_lab.faults import long_life


def _lives(found: long_life.Figures) -> None:
    assert found[-1]["jobs"] > 200
    assert found[-1]["held"] <= found[0]["held"]


def test_some_days_with_64_bit_words() -> None:
    _lives(long_life.live(2))


def test_some_days_with_32_bit_words() -> None:
    found = shutil.which("node") and long_life.PACKAGES.exists()
    require(found, "the 32-bit MicroPython", "`make clients` installs it, with Node.js and npm")
    _lives(long_life.live_on_32_bits(2))
