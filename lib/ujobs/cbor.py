"""CBOR (RFC 8949) as far as streams need it: a flat map of numbers, texts and byte strings, read without a copy."""

from micropython import const

# The first byte of an item: its kind in three bits, then a number, or in how many bytes more the number comes.
_NEGATIVE = const(0x20)
_BYTES = const(0x40)
_TEXT = const(0x60)
_MAP = const(0xA0)
_SIMPLE = const(0xE0)
_ENDLESS = const(31)  # a map that goes on until a break
_BREAK = const(0xFF)


def decode(data: memoryview) -> "dict[str, int | str | memoryview | None]":
    """Read a map of at most 23 fields; byte strings are parts of `data`, and valid as long as it is.

    Fractions, true, false and null are read as None. Raises ValueError for what is not CBOR, or not a flat map.
    """
    fields = {}
    try:
        left = data[0] ^ _MAP
        if left > _ENDLESS or 24 <= left < _ENDLESS:
            raise ValueError
        endless = left == _ENDLESS
        at = 1
        while left and not (endless and data[at] == _BREAK):
            name, at = _read(data, at)
            if not isinstance(name, str):
                raise ValueError
            fields[name], at = _read(data, at)
            left -= 1
    except (IndexError, ValueError):
        raise ValueError("not a flat CBOR map")
    return fields


def _read(data, at):
    """Return the item that begins at an index, and the index after it."""
    kind, number = data[at] & 0xE0, data[at] & 31
    at += 1
    if number > 23:
        if number > 27:
            raise ValueError
        end = at + (1 << number - 24)
        number = int.from_bytes(data[at:end], "big")
        at = end
    item = None
    if kind == 0:
        item = number
    elif kind == _NEGATIVE:
        item = -1 - number
    elif kind in (_BYTES, _TEXT):
        end = at + number
        if end > len(data):
            raise ValueError
        item = data[at:end]
        if kind == _TEXT:
            item = str(item, "utf-8")
        at = end
    elif kind != _SIMPLE:
        raise ValueError
    if at > len(data):
        raise ValueError
    return item, at
