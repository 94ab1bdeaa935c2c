"""The surroundings of a virtual board: levels of its pins, voltages, I2C devices, and jumps of its clocks.

The board and the host share a file next to the image. Its layout, with offsets in bytes and little-endian numbers:

    0      64 of 1   pin as set by the program: "1" low, "2" high, "3" input with pull-up, else input
    64     64 of 1   pin as set from outside: "1" low, "2" high, else not connected
    128    64 of 2   ADC reading of a pin, 0 to 65535
    256    64 of 8   PWM of a pin: frequency in hertz (4), duty (2), "1" if PWM is on (1), unused (1)
    768    8         milliseconds that the board's clocks are ahead of the host's
    1024   128 of 1  "1" if an I2C device has this address
    2048   128 of 256   registers of the I2C device

A reset makes all pins inputs again, as on a real board.
"""

import os
import struct
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

_PINS, _ADDRESSES, _REGISTERS = 64, 128, 256
_ATTACHED, _ANALOGUE, _PWM, _JUMPED, _DEVICES, _MEMORY = 64, 128, 256, 768, 1024, 2048
_SIZE = _MEMORY + _ADDRESSES * _REGISTERS
_DRIVEN = {b"1": 0, b"2": 1}
_PULLED_UP = b"3"


def open_file(image: Path) -> int:
    """Open the file that belongs to an image; returns its descriptor. A missing file is created. Raises OSError."""
    descriptor = os.open(image.with_name(image.name + ".outside"), os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, _SIZE)
    return descriptor


def let_go(descriptor: int) -> None:
    """Reset the pins: make them inputs and end PWM."""
    os.pwrite(descriptor, bytes(_PINS), 0)
    os.pwrite(descriptor, bytes(8 * _PINS), _PWM)


def jumped(descriptor: int) -> float:
    """Return the seconds that the board's clocks have jumped."""
    return int.from_bytes(os.pread(descriptor, 8, _JUMPED), "little") / 1000


class Outside:
    """Access to the file from the host, whether the board has power or not."""

    def __init__(self, image: Path) -> None:
        self._image = image

    def read(self, place: int, size: int) -> bytes:
        """Read bytes of the file."""
        descriptor = open_file(self._image)
        try:
            return os.pread(descriptor, size, place)
        finally:
            os.close(descriptor)

    def write(self, place: int, content: bytes) -> None:
        """Change bytes of the file."""
        descriptor = open_file(self._image)
        try:
            os.pwrite(descriptor, content, place)
        finally:
            os.close(descriptor)

    def jump(self, seconds: float) -> None:
        """Move the board's clocks ahead."""
        before = int.from_bytes(self.read(_JUMPED, 8), "little")
        self.write(_JUMPED, (before + int(seconds * 1000)).to_bytes(8, "little"))


def _pin(number: int) -> int:
    if not 0 <= number < _PINS:
        raise ValueError(f"GPIO number {number} must be 0 to {_PINS - 1}")
    return number


class PinOutside:
    """A pin, seen from outside the board."""

    def __init__(self, outside: Outside, number: int) -> None:
        self._outside = outside
        self._number = _pin(number)

    @property
    def value(self) -> int:
        """The level, 0 or 1. Setting it has no effect while the program uses the pin as an output."""
        driven = self._outside.read(self._number, 1)
        attached = self._outside.read(_ATTACHED + self._number, 1)
        for level in (driven, attached):
            if level in _DRIVEN:
                return _DRIVEN[level]
        return int(driven == _PULLED_UP)

    @value.setter
    def value(self, level: int) -> None:
        self._outside.write(_ATTACHED + self._number, b"2" if level else b"1")


class Analogue(MutableMapping[int, int]):
    """Readings of the ADC, 0 to 65535, by GPIO number."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def __getitem__(self, number: int) -> int:
        return int.from_bytes(self._outside.read(_ANALOGUE + 2 * _pin(number), 2), "little")

    def __setitem__(self, number: int, reading: int) -> None:
        if not 0 <= reading <= 65535:
            raise ValueError(f"reading of pin {number} must be 0 to 65535, not {reading}")
        self._outside.write(_ANALOGUE + 2 * _pin(number), reading.to_bytes(2, "little"))

    def __delitem__(self, number: int) -> None:
        self[number] = 0

    def __iter__(self) -> Iterator[int]:
        return iter(range(_PINS))

    def __len__(self) -> int:
        return _PINS


class Pwm(Mapping[int, dict[str, int]]):
    """The pins with PWM: {"freq": hertz, "duty_u16": 0 to 65535} by GPIO number."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def __getitem__(self, number: int) -> dict[str, int]:
        frequency, duty, there = struct.unpack("<IHcx", self._outside.read(_PWM + 8 * _pin(number), 8))
        if there != b"1":
            raise KeyError(number)
        return {"freq": frequency, "duty_u16": duty}

    def __iter__(self) -> Iterator[int]:
        found = self._outside.read(_PWM, 8 * _PINS)
        return (number for number in range(_PINS) if found[8 * number + 6 : 8 * number + 7] == b"1")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Registers(MutableMapping[int, int]):
    """The registers of one I2C device, one byte each."""

    def __init__(self, outside: Outside, address: int) -> None:
        self._outside = outside
        self._place = _MEMORY + _REGISTERS * address

    def __getitem__(self, register: int) -> int:
        return self._outside.read(self._at(register), 1)[0]

    def __setitem__(self, register: int, byte: int) -> None:
        if not 0 <= byte <= 255:
            raise ValueError(f"register {register} must be 0 to 255, not {byte}")
        self._outside.write(self._at(register), bytes([byte]))

    def __delitem__(self, register: int) -> None:
        self[register] = 0

    def __iter__(self) -> Iterator[int]:
        return iter(range(_REGISTERS))

    def __len__(self) -> int:
        return _REGISTERS

    def _at(self, register: int) -> int:
        if not 0 <= register < _REGISTERS:
            raise ValueError(f"register number {register} must be 0 to {_REGISTERS - 1}")
        return self._place + register


class I2cBus(Mapping[int, Registers]):
    """The devices on the bus, by address: `bus[0x48] = {0: 25}` attaches one, `del bus[0x48]` removes it."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def __getitem__(self, address: int) -> Registers:
        if self._outside.read(_DEVICES + _address(address), 1) != b"1":
            raise KeyError(address)
        return Registers(self._outside, address)

    def __setitem__(self, address: int, registers: Mapping[int, int]) -> None:
        self._outside.write(_MEMORY + _REGISTERS * _address(address), bytes(_REGISTERS))
        Registers(self._outside, address).update(registers)
        self._outside.write(_DEVICES + address, b"1")

    def __delitem__(self, address: int) -> None:
        self._outside.write(_DEVICES + _address(address), b"\0")

    def __iter__(self) -> Iterator[int]:
        return (address for address, found in enumerate(self._outside.read(_DEVICES, _ADDRESSES)) if found)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _address(address: int) -> int:
    if not 8 <= address < _ADDRESSES - 8:
        raise ValueError(f"I2C address {address} must be 8 to {_ADDRESSES - 9}")
    return address
