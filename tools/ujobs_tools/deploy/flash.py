"""Flashing MicroPython to an ESP32: checks the image and builds the esptool command."""

import sys
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0xE9
_CHIP_AT = 12  # of an image, 16 bits (ESP-IDF, "Firmware image format", extended file header)
_HEADER = 24  # bytes
_PARTITIONS = 0x8000  # offset of the partition table in flash (ESP-IDF, "Partition Tables")
_PARTITION_MAGIC = b"\xaa\x50"
# Chip id in an image's header -> esptool's name of the chip, and the offset of its boot loader (esptool documentation,
# "Firmware image format" and "write-flash").
_CHIPS = {
    0: ("esp32", 0x1000), 2: ("esp32s2", 0x1000), 5: ("esp32c3", 0), 9: ("esp32s3", 0), 12: ("esp32c2", 0),
    13: ("esp32c6", 0), 16: ("esp32h2", 0), 18: ("esp32p4", 0x2000), 20: ("esp32c61", 0), 23: ("esp32c5", 0x2000),
}


@dataclass(frozen=True)
class Image:
    """A MicroPython image. chip: esptool's name of the chip. offset: address in flash. size: bytes."""

    chip: str
    offset: int
    size: int


def examine(firmware: Path) -> Image:
    """Read the header of a file with MicroPython for the ESP32.

    Raises ValueError if it is not such a file, OSError. An image for updates is refused, too: it has no boot loader,
    but names a known chip, so esptool would write it.
    """
    content = firmware.read_bytes()
    if len(content) < _HEADER or content[0] != _MAGIC:
        raise ValueError(f"{firmware} is not an image for an ESP32: download MicroPython's image for your board")
    number = int.from_bytes(content[_CHIP_AT : _CHIP_AT + 2], "little")
    if number not in _CHIPS:
        raise ValueError(f"{firmware} is for an unknown chip, number {number}")
    if content[_PARTITIONS - _CHIPS[number][1] :][:2] != _PARTITION_MAGIC:
        raise ValueError(f"{firmware} has no partition table: it is an update for boards that have MicroPython")
    return Image(*_CHIPS[number], len(content))


def command(port: str, firmware: Path, image: Image, baud: int) -> list[str]:
    """Return the command that erases the chip and writes the image. esptool checks the chip and the written data."""
    return [
        sys.executable, "-m", "esptool", "--chip", image.chip, "--port", port, "--baud", str(baud),
        "write-flash", "--erase-all", hex(image.offset), str(firmware),
    ]
