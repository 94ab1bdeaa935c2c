"""What the header of a MicroPython image for the ESP32 says. Such a file is either for the whole flash, with bootloader
and partition table, or an application image, for updates."""

import struct
from pathlib import Path
from typing import Any

MAGIC = 0xE9  # first byte of both
HEADER = 24  # bytes
_CHIP_AT = 12  # 16 bits (ESP-IDF, "Firmware image format", extended file header)
_PARTITIONS = 0x8000  # offset of the partition table in flash (ESP-IDF, "Partition Tables")
_PARTITION_MAGIC = b"\xaa\x50"
_DESCRIPTION = slice(32, 36)  # of the application, at the start of the first segment; a bootloader has another one
_DESCRIPTION_MAGIC = b"\x32\x54\xcd\xab"  # ESP_APP_DESC_MAGIC_WORD
# Chip id -> esptool's name of the chip, and the offset of its bootloader in flash, where an image for the whole flash
# begins (esptool documentation, "Firmware image format" and "write-flash").
CHIPS = {
    0: ("esp32", 0x1000), 2: ("esp32s2", 0x1000), 5: ("esp32c3", 0), 9: ("esp32s3", 0), 12: ("esp32c2", 0),
    13: ("esp32c6", 0), 16: ("esp32h2", 0), 18: ("esp32p4", 0x2000), 20: ("esp32c61", 0), 23: ("esp32c5", 0x2000),
}


def chip_id(content: bytes) -> int:
    """Return the number of the chip for which an image is."""
    return int.from_bytes(content[_CHIP_AT : _CHIP_AT + 2], "little")


def chip(content: bytes, path: Path) -> tuple[str, int]:
    """Return an image's entry in CHIPS. path: the image's, for the error. Raises ValueError for an unknown chip."""
    number = chip_id(content)
    if number not in CHIPS:
        raise ValueError(f"{path} is for an unknown chip, number {number}")
    return CHIPS[number]


def is_whole_flash(content: bytes) -> bool:
    """Return whether an image has a partition table, and so is for the whole flash."""
    offset = CHIPS.get(chip_id(content), ("", 0))[1]
    return content[_PARTITIONS - offset :][:2] == _PARTITION_MAGIC


def is_application(content: bytes) -> bool:
    """Return whether an image has the description of an application."""
    return content[_DESCRIPTION] == _DESCRIPTION_MAGIC


def is_whole(content: bytes) -> bool:
    """Return whether an image for one of CHIPS ends where its header says, and its checksum and SHA-256 match. A chip
    starts no other."""
    from esptool.bin_image import LoadFirmwareImage  # takes long to import
    from esptool.util import FatalError

    try:
        found: Any = LoadFirmwareImage(CHIPS[chip_id(content)][0], content)
    except (FatalError, struct.error, TypeError):  # the last two: of what is cut short
        return False
    matches: bool = found.checksum == found.calculate_checksum()
    return matches and (not found.append_digest or found.stored_digest == found.calc_digest)
