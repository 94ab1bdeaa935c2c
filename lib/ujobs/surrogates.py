"""Characters outside Unicode's basic plane, such as emoji, in JSON text. Imported only for text with escapes.

AWS writes such a character as two escapes, a surrogate pair. MicroPython's json makes two characters of them, whose
UTF-8 is not valid.
"""


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
        if text[at + 1 : at + 3] in (b"ud", b"uD") and text[at + 6 : at + 9] in (b"\\ud", b"\\uD"):
            high = int(text[at + 2 : at + 6], 16) - 0xD800
            low = int(text[at + 8 : at + 12], 16) - 0xDC00
            if 0 <= high < 0x400 and 0 <= low < 0x400:
                parts.append(text[start:at])
                parts.append(chr(0x10000 + (high << 10) + low).encode())
                at += 10
                start = at + 2
        at += 2
