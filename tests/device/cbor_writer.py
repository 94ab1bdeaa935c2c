"""Writes CBOR for tests on both interpreters: a flat map in its shortest form, as the stream service sends it."""

import struct

_BYTES = 0x40
_TEXT = 0x60
_MAP = 0xA0


def encode(fields: "dict[str, int | str | bytes]") -> bytes:
    """Write a map. fields: at most 23; numbers from 0 to 4294967295."""
    data = bytes((_MAP | len(fields),))
    for name, value in fields.items():
        data += _written(name) + _written(value)
    return data


def _written(item):
    if isinstance(item, int):
        return _head(0, item)
    data = item.encode() if isinstance(item, str) else item
    return _head(_TEXT if isinstance(item, str) else _BYTES, len(data)) + data


def _head(kind, number):
    if number < 24:
        return bytes((kind | number,))
    if number < 256:
        return bytes((kind | 24, number))
    if number < 65536:
        return struct.pack(">BH", kind | 25, number)
    return struct.pack(">BI", kind | 26, number)
