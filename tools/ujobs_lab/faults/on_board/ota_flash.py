"""The flash of a board's two application partitions, whose power can fail at any operation.

Runs on MicroPython only.
"""

from app_image import image
from nor_flash import ALL
from partitions import SECTOR, slot_address


class OtaFlash:
    """The flash operations for `partitions.Bootloader`. Once the power is off, they raise PowerCut.

    sectors: content by number, used in place; missing sectors are erased. board: whose power can fail. stopped: the
    exception.
    """

    def __init__(self, sectors: dict, board, stopped: type):
        self._sectors = sectors
        self._board = board
        self._stopped = stopped
        first = slot_address(0) // SECTOR
        if first not in sectors:
            running = image()
            sectors[first] = bytearray(running + b"\xff" * (SECTOR - len(running)))

    def read(self, address: int, buffer: bytearray) -> None:
        """Fill a buffer from an address."""
        for at in range(0, len(buffer), SECTOR):
            number, begin = divmod(address + at, SECTOR)
            count = min(len(buffer) - at, SECTOR - begin)
            sector = self._sectors.get(number)
            buffer[at : at + count] = sector[begin : begin + count] if sector else b"\xff" * count

    def erase(self, address: int) -> None:
        """Erase a sector."""
        size = SECTOR * self._lasts() // ALL
        self._sector(address)[:size] = b"\xff" * size
        self._stop()

    def program(self, address: int, data: bytes) -> None:
        """Clear bits within a sector."""
        begin = address % SECTOR
        sector = self._sector(address)
        for at in range(len(data) * self._lasts() // ALL):
            sector[begin + at] &= data[at]
        self._stop()

    def _sector(self, address):
        return self._sectors.setdefault(address // SECTOR, bytearray(b"\xff" * SECTOR))

    def _lasts(self):
        return self._board.power.lasts()

    def _stop(self):
        if self._board.power.off:
            raise self._stopped
