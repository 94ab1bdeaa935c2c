"""JSON text that MicroPython's json reads wrongly. Imported only for text with escapes, and before MicroPython 1.26.

AWS writes a character beyond the basic plane as two escapes, a surrogate pair. MicroPython's json makes two characters
of them, whose UTF-8 is not valid. Before 1.26 it also accepts text that breaks off.
"""

import ujson


def loads(text: "bytes | bytearray | memoryview") -> object:
    """Return the value in a JSON text. Raises ValueError for a text that breaks off."""
    # In an incomplete text a second element would land inside of the first.
    values = ujson.loads(join(b"[" + text + b",0]"))
    if len(values) != 2:
        raise ValueError("the JSON breaks off")
    return values[0]


def join(text: bytes) -> bytes:
    r"""Return JSON text with each escaped surrogate pair (`"\ud83d\ude00"`) replaced by its character in UTF-8.

    Raises ValueError for escapes that are not hexadecimal. Source: RFC 8259, section 7.
    """
    parts = []
    start = at = 0
    while True:
        at = text.find(b"\\", at)
        if at < 0:
            parts.append(text[start:])
            return b"".join(parts)
        if text[at + 1 : at + 2] == b"u":
            high = int(text[at + 2 : at + 6], 16) - 0xD800
            if 0 <= high < 0x400 and text[at + 6 : at + 8] == b"\\u":
                low = int(text[at + 8 : at + 12], 16) - 0xDC00
                if 0 <= low < 0x400:
                    parts.append(text[start:at])
                    parts.append(chr(0x10000 + (high << 10) + low).encode())
                    at += 10
                    start = at + 2
        at += 2
