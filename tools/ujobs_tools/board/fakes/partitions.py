"""The ESP32's two application partitions and the bootloader's records, in a file; the fake `esp32` uses this module.

Follows ESP-IDF's "Over The Air Updates". Two otadata sectors each contain a sequence number, which selects the
partition to boot, and a state. set_boot makes a partition NEW; at the next boot the bootloader makes it PENDING_VERIFY
and starts it. If it is still PENDING_VERIFY at the boot after that, nobody has declared it VALID: the bootloader makes
it ABORTED and starts the other partition. set_boot and every boot check the whole image; the bootloader starts the
other partition instead of a damaged one. It also does so instead of an image that is not an application, such as one
for the whole flash: that begins with a bootloader, whose place in memory is taken. As on NOR flash, programming can
clear bits but not set them. Runs on MicroPython and CPython.
"""

import struct
from binascii import crc32

from app_image import Damaged, check, image

SECTOR = 4096
SLOT = 256 * SECTOR  # bytes of one application partition
SIZE = 2 * SECTOR + 2 * SLOT

NEW, PENDING_VERIFY, VALID, INVALID, ABORTED = range(5)
_RECORD = "<I20sII"  # sequence number, label, state, CRC of the sequence number
_VALIDATE_FAILED = -5379, "ESP_ERR_OTA_VALIDATE_FAILED"


class Flash:
    """Flash in a file of SIZE bytes. A shorter file is filled with erased flash, and slot 0 gets an image."""

    def __init__(self, file) -> None:
        self._file = file
        if file.seek(0, 2) < SIZE:
            file.seek(0)
            for _ in range(SIZE // SECTOR):
                file.write(b"\xff" * SECTOR)
            self.program(slot_address(0), image())

    def read(self, address: int, buffer) -> None:
        """Read into a buffer."""
        self._file.seek(address)
        self._file.readinto(buffer)

    def erase(self, address: int) -> None:
        """Erase a sector."""
        self._file.seek(address)
        self._file.write(b"\xff" * SECTOR)

    def program(self, address: int, data) -> None:
        """Program bytes: clears bits, so bytes that were not erased before are damaged."""
        old = bytearray(len(data))
        self.read(address, old)
        if any(byte != 0xFF for byte in old):
            data = bytes([byte & given for byte, given in zip(old, data)])  # noqa: B905 - MicroPython has no strict=
        self._file.seek(address)
        self._file.write(data)


def slot_address(slot: int) -> int:
    """Return the address of a slot."""
    return 2 * SECTOR + slot * SLOT


class Bootloader:
    """Chooses the slot to run when it is created, and keeps the records. running: number of the running slot."""

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self.running = 0
        while True:
            sector, sequence, state = self._active()
            if sector < 0:
                return
            if state == PENDING_VERIFY:
                self._write(sector, sequence, ABORTED)
                continue
            if state == NEW:
                self._write(sector, sequence, PENDING_VERIFY)
            self.running = (sequence - 1) % 2
            if not self._starts(self.running):
                self.running = 1 - self.running
            return

    def _starts(self, slot: int) -> bool:
        try:
            return self._check(slot)
        except Damaged:
            return False

    def _check(self, slot: int) -> bool:
        return check(lambda offset, buffer: self.flash.read(slot_address(slot) + offset, buffer), SLOT)

    @property
    def next_to_boot(self) -> int:
        """The slot that the next boot starts, unless it rolls back."""
        sector, sequence, _ = self._active()
        return (sequence - 1) % 2 if sector >= 0 else 0

    @property
    def unproven(self) -> bool:
        """Whether the next boot would roll back to the other slot."""
        return self._active()[2] == PENDING_VERIFY

    def set_boot(self, slot: int) -> None:
        """Select the slot for the next boot. Raises OSError if there is no image in it, or a damaged one."""
        try:
            self._check(slot)
        except Damaged:
            raise OSError(*_VALIDATE_FAILED)
        sector, sequence, _ = self._active()
        sequence += 1
        if (sequence - 1) % 2 != slot:
            sequence += 1
        self._write(1 - sector if sector >= 0 else 0, sequence, NEW)

    def mark_valid(self) -> None:
        """Confirm the running slot."""
        sector, sequence, state = self._active()
        if sector >= 0 and state == PENDING_VERIFY:
            self._write(sector, sequence, VALID)

    def _active(self) -> tuple:
        best = (-1, 0, VALID)
        for sector in range(2):
            record = bytearray(struct.calcsize(_RECORD))
            self.flash.read(sector * SECTOR, record)
            sequence, _, state, check = struct.unpack(_RECORD, record)
            good = check == crc32(struct.pack("<I", sequence)) and state in (NEW, PENDING_VERIFY, VALID)
            if good and sequence > best[1]:
                best = (sector, sequence, state)
        return best

    def _write(self, sector: int, sequence: int, state: int) -> None:
        check = crc32(struct.pack("<I", sequence))
        self.flash.erase(sector * SECTOR)
        self.flash.program(sector * SECTOR, struct.pack(_RECORD, sequence, b"", state, check))


class Partition:
    """`esp32.Partition`, for application partitions. bootloader: to be set before the first one is created."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1
    bootloader: Bootloader

    def __init__(self, which: int | str) -> None:
        loader = self.bootloader
        labels = {self.BOOT: loader.next_to_boot, self.RUNNING: loader.running, "ota_0": 0, "ota_1": 1}
        if which not in labels:
            raise OSError(2)
        self._slot = labels[which]
        self._address = slot_address(self._slot)

    def info(self) -> tuple:
        """Return (type, subtype, address, size, label, encrypted)."""
        return (self.TYPE_APP, 16 + self._slot, self._address, SLOT, f"ota_{self._slot}", False)

    def readblocks(self, block: int, buffer, offset: int = 0) -> None:
        """Read into `buffer`, starting `offset` bytes into `block`."""
        self.bootloader.flash.read(self._address + block * SECTOR + offset, buffer)

    def writeblocks(self, block: int, buffer, offset: int | None = None) -> None:
        """Program `buffer`, starting `offset` bytes into `block`. Without an offset, erase the blocks first."""
        address = self._address + block * SECTOR
        if address + (offset or 0) + len(buffer) > self._address + SLOT:
            raise OSError(-258)  # ESP_ERR_INVALID_ARG
        if offset is None:
            for begin in range(0, len(buffer), SECTOR):
                self.bootloader.flash.erase(address + begin)
        self.bootloader.flash.program(address + (offset or 0), buffer)

    def ioctl(self, operation: int, argument: int) -> int | None:
        """Block count (4), block size (5) and block erase (6) of MicroPython's block protocol."""
        if operation == 6:
            self.bootloader.flash.erase(self._address + argument * SECTOR)
            return 0
        return {4: SLOT // SECTOR, 5: SECTOR}.get(operation)

    def get_next_update(self) -> "Partition":
        """Return the partition that is not running. On ESP32, OSError(2) if there is only one application
        partition."""
        return Partition(f"ota_{1 - self.bootloader.running}")

    def set_boot(self) -> None:
        """Select this partition for the next boot. Raises OSError if there is no image in it, or a damaged one."""
        self.bootloader.set_boot(self._slot)

    @classmethod
    def mark_app_valid_cancel_rollback(cls) -> None:
        """Confirm the running firmware; otherwise the bootloader rolls back at the next reset."""
        cls.bootloader.mark_valid()
