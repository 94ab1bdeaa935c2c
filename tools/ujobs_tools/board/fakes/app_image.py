"""Application images for the ESP32: their form, and what ESP-IDF checks before it starts one.

ESP-IDF, "App Image Format": a header, segments, a checksum, and the SHA-256 of all before. The first segment begins
with the description of the application, which a bootloader's own image does not have. Runs on MicroPython and CPython.
"""

import hashlib
import struct

MAGIC = 0xE9
CHIP = 0  # ESP32
HEADER = 24  # bytes
DESCRIPTION = b"\x32\x54\xcd\xab"  # ESP_APP_DESC_MAGIC_WORD

_SEGMENT = "<II"  # address in memory, bytes of data
_MOST_SEGMENTS = 16
_UNIT = 16  # the checksum is the last byte of one
_CHECKSUM = 0xEF
_HASH = 32
_PIECE = 4096


class Damaged(Exception):
    """An image that ESP-IDF does not accept."""


def image(content: bytes = b"", chip: int = CHIP, description: bytes = DESCRIPTION) -> bytes:
    """Return an image with this content in its only segment. description: what the segment begins with."""
    data = description + content
    data += bytes(-len(data) % 4)
    head = bytes((MAGIC, 1)) + bytes(10) + struct.pack("<H", chip) + bytes(9) + b"\x01"
    found = head + struct.pack(_SEGMENT, 0, len(data)) + data
    found += bytes(_UNIT - 1 - len(found) % _UNIT) + bytes((_xor(_CHECKSUM, data),))
    return found + hashlib.sha256(found).digest()


def check(read, size: int, chip: int = CHIP) -> bool:
    """Check an image as esp_image_verify() does, and return whether it is an application.

    read(offset, buffer): fills the buffer from the partition; size: of the partition, bytes. Raises Damaged.
    """
    digest = hashlib.sha256()
    header = _read(read, 0, HEADER, size, digest)
    if header[0] != MAGIC or header[1] > _MOST_SEGMENTS or struct.unpack("<H", header[12:14])[0] != chip:
        raise Damaged
    at, checksum, first = HEADER, _CHECKSUM, b""
    for number in range(header[1]):
        length = struct.unpack(_SEGMENT, _read(read, at, 8, size, digest))[1]
        at += 8
        if length % 4 or at + length > size:
            raise Damaged
        for begin in range(at, at + length, _PIECE):
            data = _read(read, begin, min(_PIECE, at + length - begin), size, digest)
            checksum = _xor(checksum, data)
            if not number and begin == at:
                first = bytes(data[:4])
        at += length
    padded = _read(read, at, _UNIT - at % _UNIT, size, digest)
    at += len(padded)
    if padded[-1] != checksum or (header[23] and _read(read, at, _HASH, size) != digest.digest()):
        raise Damaged
    return first == DESCRIPTION


def _read(read, at, length, size, digest=None):
    if at + length > size:
        raise Damaged
    data = bytearray(length)
    read(at, data)
    if digest:
        digest.update(data)
    return data


def _xor(value, data):
    for byte in data:
        value ^= byte
    return value
