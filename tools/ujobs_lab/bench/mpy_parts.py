"""Splits the bytes of a .mpy file into parts, by its layout in MicroPython's documentation ("MicroPython .mpy files").

It reads version 6 with bytecode only: native code has another layout."""

from dataclasses import asdict, dataclass

_TUPLE = 10
_STRINGS = (5, 6)  # str and bytes, which end with a zero byte
_WITHOUT_LENGTH = 5  # types below this one: None, False, True, Ellipsis and MicroPython's function table


@dataclass
class Parts:
    """Bytes of each part. names: identifiers and short strings. objects: all other constants. prelude: signature,
    argument names and cells of the functions. lines: line numbers. bytecode: instructions. rest: the header, and the
    length and number of children of each function."""

    names: int = 0
    objects: int = 0
    prelude: int = 0
    lines: int = 0
    bytecode: int = 0
    rest: int = 0

    def total(self) -> int:
        """The sum of all parts."""
        return sum(asdict(self).values())


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def number(self) -> int:
        value = 0
        while True:
            byte = self.content[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def bits(self) -> list[int]:
        begin = self.at
        self.number()
        return list(self.content[begin : self.at])


def parts(content: bytes) -> Parts:
    """Split a .mpy file. Raises ValueError if it is not version 6, has native code or is incomplete."""
    if content[:2] != b"M\x06" or len(content) < 4 or content[2] & 0x7C:
        raise ValueError("not a .mpy file of version 6 with bytecode only")
    reader, found = _Reader(content), Parts()
    reader.at = 4
    try:
        names, objects = reader.number(), reader.number()
        found.rest = reader.at
        for _ in range(names):
            found.names -= reader.at
            length = reader.number()
            # An odd value is the number of a string that is in every firmware.
            reader.at += 0 if length & 1 else (length >> 1) + 1
            found.names += reader.at
        found.objects = -reader.at
        for _ in range(objects):
            _skip_object(reader)
        found.objects += reader.at
        _function(reader, found)
    except IndexError:
        raise ValueError("the .mpy file is incomplete") from None
    if reader.at != len(content):
        raise ValueError(f"the .mpy file has {len(content)} bytes, but its parts have {reader.at}")
    return found


def _skip_object(reader: _Reader) -> None:
    kind = reader.content[reader.at]
    reader.at += 1
    if kind < _WITHOUT_LENGTH:
        return
    length = reader.number()
    if kind == _TUPLE:
        for _ in range(length):
            _skip_object(reader)
    else:
        reader.at += length + (kind in _STRINGS)


def _function(reader: _Reader, found: Parts) -> None:
    begin = reader.at
    kind = reader.number()
    if kind & 3:
        raise ValueError("a function is native code")
    found.rest += reader.at - begin
    begin, end = reader.at, reader.at + (kind >> 3)
    # xSSSSEAA, then xFSSKAED: A are the bits of the number of positional arguments, K of keyword-only ones.
    first, *more = reader.bits()
    arguments = first & 3
    for index, byte in enumerate(more):
        arguments += (byte & 4) << index
        arguments += (byte >> 3 & 1) << index
    # xIIIIIIC: I are the bits of the length of names and lines, C of the number of cells.
    information = cells = 0
    for index, byte in enumerate(reader.bits()):
        information |= (byte >> 1 & 0x3F) << 6 * index
        cells |= (byte & 1) << index
    lines_end = reader.at + information
    for _ in range(1 + arguments):
        reader.number()
    lines, code = lines_end - reader.at, end - lines_end - cells
    if lines < 0 or code <= 0:
        raise ValueError("the parts of a function are longer than the function")
    found.prelude += reader.at - begin + cells
    found.lines += lines
    found.bytecode += code
    reader.at = end
    if kind & 4:
        begin = reader.at
        children = reader.number()
        found.rest += reader.at - begin
        for _ in range(children):
            _function(reader, found)
