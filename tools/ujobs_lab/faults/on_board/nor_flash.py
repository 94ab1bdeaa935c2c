"""NOR flash in memory, with a power supply that can fail at any operation. Runs on MicroPython only.

Programming can clear bits but not set them; erasing sets a block to 0xFF. Once the power is off, every operation fails
and changes nothing. As on a board, the block device never raises, because that would leave littlefs in the middle of a
call, and it allocates nothing, because garbage collection also closes files.
"""
# The types of MicroPython's viper code.
# ruff: noqa: F821

import micropython
from micropython import const

BLOCK_SIZE = const(4096)
NOTHING, HALF, ALL = range(3)
_FAILED = const(-5)  # -EIO


class Power:
    """The power supply of one boot.

    fails_at: number of the moment of the power loss, from 1; 0: never. lands: how much of that operation still happens:
    NOTHING, HALF or ALL. moments: their number so far; whole: moments whose operation cannot happen by half. off:
    whether the power has failed.
    """

    def __init__(self, fails_at: int = 0, lands: int = ALL):
        self.fails_at = fails_at
        self.lands = lands
        self.moments = 0
        self.whole = set()
        self.off = False

    def lasts(self, whole: bool = False) -> int:
        """Count a moment at which the power could fail; return how much of its operation happens."""
        if self.off:
            return NOTHING
        self.moments += 1
        if whole:
            self.whole.add(self.moments)
        if self.moments != self.fails_at:
            return ALL
        self.off = True
        return self.lands


class NorFlash:
    """MicroPython's block device, of the extended kind that littlefs needs, over a bytearray.

    content: of the flash, whole blocks of 4096 bytes. programs, erases: operations so far; worn: erases of each
    block, counted while it is a list.
    """

    def __init__(self, content: bytearray, power: Power):
        self._content = content
        self._power = power
        self._let_go = False
        self.programs = self.erases = 0
        self.worn = None

    def let_go(self) -> None:
        """Do nothing from now on: the garbage collector closes files that a reset left open."""
        self._let_go = True

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> "int | None":
        if self._let_go or self._power.off:
            return _FAILED
        _copy(self._content, block * BLOCK_SIZE + offset, buffer, len(buffer))

    def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> "int | None":
        if self._let_go:
            return _FAILED
        self.programs += 1
        size = len(buffer) * self._power.lasts() // ALL
        _program(self._content, block * BLOCK_SIZE + offset, buffer, size)
        return _FAILED if self._power.off else None

    def ioctl(self, operation: int, argument: int) -> "int | None":
        if operation == 4:
            return len(self._content) // BLOCK_SIZE
        if operation == 5:
            return BLOCK_SIZE
        if operation == 6:
            if self._let_go:
                return _FAILED
            self.erases += 1
            if self.worn:
                self.worn[argument] += 1
            _erase(self._content, argument * BLOCK_SIZE, BLOCK_SIZE * self._power.lasts() // ALL)
            return _FAILED if self._power.off else 0


@micropython.viper
def _copy(content: ptr8, start: int, buffer: ptr8, size: int):
    for i in range(size):
        buffer[i] = content[start + i]


@micropython.viper
def _program(content: ptr8, start: int, buffer: ptr8, size: int):
    for i in range(size):
        content[start + i] = content[start + i] & buffer[i]


@micropython.viper
def _erase(content: ptr8, start: int, size: int):
    for i in range(start, start + size):
        content[i] = 0xFF
