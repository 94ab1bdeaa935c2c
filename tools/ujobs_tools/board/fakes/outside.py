"""The surroundings of the virtual board, in the file that it shares with the host.

Runs on MicroPython only. `ujobs_tools.board.outside` describes the layout of the file.
"""

import struct

import hardware

from micropython import const

_ATTACHED = const(64)
_ANALOGUE = const(128)
_PWM = const(256)
_JUMPED = const(768)
_DEVICES = const(1024)
_ADDRESSES = const(128)
_MEMORY = const(2048)
_REGISTERS = const(256)

_file = open(hardware.settings["outside_fd"], "r+b")  # noqa: SIM115
_eight = bytearray(8)


def _read(place: int, size: int) -> bytes:
    _file.seek(place)
    return _file.read(size)


def _write(place: int, content: bytes) -> None:
    _file.seek(place)
    _file.write(content)


def jumped() -> int:
    """Return the milliseconds that the clocks have jumped. Called often, so it allocates no memory."""
    _file.seek(_JUMPED)
    _file.readinto(_eight)
    return struct.unpack_from("<Q", _eight)[0]


class State:
    """State for `peripherals`, with the same methods as its own State."""

    def read(self, number: int) -> int:
        """Return the level of a pin: as set by the program, else as set from outside, else that of the pull-up."""
        driven = _read(number, 1)
        for found in (driven, _read(_ATTACHED + number, 1)):
            if found in (b"1", b"2"):
                return found[0] - 49
        return 1 if driven == b"3" else 0

    def written(self, number: int, level: int) -> None:
        """Set the level of a pin, by the program."""
        _write(number, b"2" if level else b"1")

    def pulled_up(self, number: int) -> None:
        """Switch the pull-up of a pin on."""
        _write(number, b"3")

    def reading(self, number: int) -> int:
        """Return the reading of the ADC, 0 to 65535."""
        return struct.unpack("<H", _read(_ANALOGUE + 2 * number, 2))[0]

    def pwm_of(self, number: int) -> tuple:
        """Return frequency and duty of a pin."""
        return struct.unpack("<IH", _read(_PWM + 8 * number, 6))

    def set_pwm(self, number: int, frequency: int, duty: int) -> None:
        """Set frequency and duty of a pin."""
        _write(_PWM + 8 * number, struct.pack("<IH", frequency, duty) + b"1")

    def addresses(self) -> list:
        """Return the addresses of the devices on the I2C bus."""
        found = _read(_DEVICES, _ADDRESSES)
        return [address for address in range(_ADDRESSES) if found[address]]

    def register(self, address: int, register: int) -> int:
        """Return a register of a device."""
        return _read(_place(address, register), 1)[0]

    def set_register(self, address: int, register: int, byte: int) -> None:
        """Set a register of a device."""
        _write(_place(address, register), bytes([byte]))


def _place(address: int, register: int) -> int:
    # After the last register comes the first one, as in memory chips with one-byte addresses.
    return _MEMORY + _REGISTERS * address + register % _REGISTERS
