"""JSON text that MicroPython's json reads wrongly. Imported only for text with escapes, and before MicroPython 1.26.

AWS writes such a character as two escapes, a surrogate pair. MicroPython's json makes two characters of them, whose
UTF-8 is not valid.
"""

import sys

import ujson


def whole(text: "bytes | bytearray | memoryview") -> bytes:
    """Return JSON text that json reads right. Raises ValueError for text that breaks off."""
    text = join(bytes(text))
    # Before 1.26 json accepts that; but a second element then lands inside of the first.
    if sys.implementation.version < (1, 26) and len(ujson.loads(b"[" + text + b",0]")) != 2:
        raise ValueError("the JSON breaks off")
    return text


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
