"""Flashing MicroPython to an ESP32: checks the image and builds the esptool command."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ujobs_tools.host.esp32_images import HEADER, MAGIC, chip, is_whole_flash


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
    if len(content) < HEADER or content[0] != MAGIC:
        raise ValueError(f"{firmware} is not an image for an ESP32: download MicroPython's image for your board")
    name, offset = chip(content, firmware)
    if not is_whole_flash(content):
        raise ValueError(f"{firmware} has no partition table: it is an update for boards that have MicroPython")
    return Image(name, offset, len(content))


def command(port: str, firmware: Path, image: Image, baud: int) -> list[str]:
    """Return the command that erases the chip and writes the image. esptool checks the chip and the written data."""
    return [
        sys.executable, "-m", "esptool", "--chip", image.chip, "--port", port, "--baud", str(baud),
        "write-flash", "--erase-all", hex(image.offset), str(firmware),
    ]
