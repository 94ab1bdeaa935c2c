"""The levels of a virtual board's pins, in a file beside its image, which the board and the host share.

Two bytes a pin: at its number what the program drives it to, 64 further on what is attached to it gives; "1" low, "2"
high, anything else nothing. A reset lets go of what the program drove, as on silicon.
"""

import os
from pathlib import Path

_PINS = 64
_LEVELS = {b"1": 0, b"2": 1}


def path_of(image: Path) -> Path:
    """The file of the board with this image."""
    return image.with_name(image.name + ".pins")


def open_file(image: Path) -> int:
    """Open the file, made if missing; returns its descriptor. Raises OSError."""
    descriptor = os.open(path_of(image), os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, 2 * _PINS)
    return descriptor


def let_go(descriptor: int) -> None:
    """The board is reset: its program drives no pin."""
    os.pwrite(descriptor, bytes(_PINS), 0)


class PinOutside:
    """A pin as seen from outside of the board."""

    def __init__(self, image: Path, number: int) -> None:
        if not 0 <= number < _PINS:
            raise ValueError(f"pin {number}: GPIO numbers are 0 to {_PINS - 1}")
        self._path = path_of(image)
        self._number = number

    @property
    def value(self) -> int:
        """The level. Setting it is for inputs: what the program drives wins."""
        levels = self._path.read_bytes() if self._path.exists() else b""
        for place in (self._number, _PINS + self._number):
            level = _LEVELS.get(levels[place : place + 1])
            if level is not None:
                return level
        return 0

    @value.setter
    def value(self, level: int) -> None:
        descriptor = open_file(self._path.with_name(self._path.name.removesuffix(".pins")))
        try:
            os.pwrite(descriptor, b"2" if level else b"1", _PINS + self._number)
        finally:
            os.close(descriptor)
