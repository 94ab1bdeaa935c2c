"""Flash in a file of the host: the block device for littlefs, in the virtual board and in the image tool.

Runs on MicroPython only. As on NOR flash, programming can clear bits but not set them, so a write to a block that was
not erased damages the data. Every operation writes to the file without buffering, so that a killed process loses no
data that littlefs has written.
"""

from micropython import const

BLOCK_SIZE = const(4096)
_CHUNK = const(128)
_ERASED = b"\xff" * _CHUNK


class BlockDevice:
    """`blocks` blocks of 4096 bytes in an open, unbuffered binary file, starting at offset 0."""

    def __init__(self, file, blocks: int) -> None:
        self._file = file
        self._blocks = blocks
        self._old = memoryview(bytearray(_CHUNK))

    def readblocks(self, block: int, buffer, offset: int = 0) -> None:
        """Read into `buffer`, starting `offset` bytes into `block`."""
        self._file.seek(block * BLOCK_SIZE + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer, offset: int | None = None) -> None:
        """Program `buffer`, starting `offset` bytes into `block`. Without an offset, erase the blocks first."""
        if offset is None:
            offset = 0
            for covered in range(block, block + (len(buffer) + BLOCK_SIZE - 1) // BLOCK_SIZE):
                self._erase(covered)
        position = block * BLOCK_SIZE + offset
        data = memoryview(buffer)
        for start in range(0, len(data), _CHUNK):
            self._program(position + start, data[start : start + _CHUNK])

    def ioctl(self, operation: int, argument: int) -> int | None:
        """Block count (4), block size (5) and block erase (6) of MicroPython's block protocol."""
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK_SIZE
        if operation == 6:
            self._erase(argument)
            return 0
        return None

    def _erase(self, block: int) -> None:
        self._file.seek(block * BLOCK_SIZE)
        for _ in range(BLOCK_SIZE // _CHUNK):
            self._file.write(_ERASED)

    def _program(self, position: int, data) -> None:
        old = self._old[: len(data)]
        self._file.seek(position)
        self._file.readinto(old)
        if len(data) == _CHUNK and old == _ERASED:
            old[:] = data  # most writes; _and() would take a hundred times as long
        else:
            self._and(old, data)
        self._file.seek(position)
        self._file.write(old)

    @staticmethod
    def _and(old, data) -> None:
        for index, byte in enumerate(data):
            old[index] &= byte
