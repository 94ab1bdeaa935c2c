"""MicroPython onto an ESP32: checks the image, and builds the command for esptool."""

import sys
from dataclasses import dataclass
from pathlib import Path

from .ports import BoardError

_MAGIC = 0xE9
_CHIP_AT = 12  # of an image, 16 bits (ESP-IDF, "Firmware image format", extended file header)
_HEADER = 24  # bytes
_PARTITIONS = 0x8000  # where in flash the table of partitions lies (ESP-IDF, "Partition Tables")
_PARTITION_MAGIC = b"\xaa\x50"
# chip id in an image's header -> esptool's name of the chip, and where its boot loader lies (esptool documentation,
# "Firmware image format" and "write-flash").
_CHIPS = {
    0: ("esp32", 0x1000), 2: ("esp32s2", 0x1000), 5: ("esp32c3", 0), 9: ("esp32s3", 0), 12: ("esp32c2", 0),
    13: ("esp32c6", 0), 16: ("esp32h2", 0), 18: ("esp32p4", 0x2000), 20: ("esp32c61", 0), 23: ("esp32c5", 0x2000),
}


@dataclass(frozen=True)
class Image:
    """chip: what it is for, as esptool calls it. offset: where in flash it belongs. size: bytes."""

    chip: str
    offset: int
    size: int


def examine(firmware: Path) -> Image:
    """What a file with MicroPython for the ESP32 says about itself.

    Raises BoardError for a file that is none, such as an image for updates (it has no boot loader, but looks alike: the
    chip is known, so esptool would write it), OSError.
    """
    content = firmware.read_bytes()
    if len(content) < _HEADER or content[0] != _MAGIC:
        raise BoardError(f"{firmware} is no image for an ESP32: MicroPython has one for every board")
    number = int.from_bytes(content[_CHIP_AT : _CHIP_AT + 2], "little")
    if number not in _CHIPS:
        raise BoardError(f"{firmware} is for a chip with the number {number}, which is not known here")
    if content[_PARTITIONS - _CHIPS[number][1] :][:2] != _PARTITION_MAGIC:
        raise BoardError(f"{firmware} has no partition table: it is an update for a board that has MicroPython already")
    return Image(*_CHIPS[number], len(content))


def command(port: str, firmware: Path, image: Image, baud: int) -> list[str]:
    """The command that erases the chip and writes the image; esptool itself checks the chip and what it has written."""
    return [
        sys.executable, "-m", "esptool", "--chip", image.chip, "--port", port, "--baud", str(baud),
        "write-flash", "--erase-all", hex(image.offset), str(firmware),
    ]
