"""Characters that status details must not have. In memory only while a text has others than printable ASCII."""

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

# Where characters begin to be forbidden and to be allowed again, in turns. Unassigned characters count as allowed, but
# for U+D7FF: the surrogates behind it have no UTF-8.
_EDGES = const(
    "\0\x20\x7F\xA0\xAD\xAE\u0600\u0606\u061C\u061D\u06DD\u06DE\u070F\u0710\u0890\u0892\u08E2\u08E3\u180E\u180F"
    "\u200B\u2010\u202A\u202F\u2060\u2070\uD7FF\uF900\uFEFF\uFF00\uFFF9\uFFFC\uFFFE\U00010000\U000110BD\U000110BE"
    "\U000110CD\U000110CE\U00013430\U00013440\U0001BCA0\U0001BCA4\U0001D173\U0001D17B\U000E0000"
)


def _each(data):
    # Each character of data, text in UTF-8, as bytes, whose order is that of the characters. MicroPython never frees
    # the one-character strings made by indexing a string.
    start = 0
    while start < len(data):
        first = data[start]
        end = start + 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
        yield data[start:end]
        start = end


def spaced(data: bytes) -> bytearray:
    """Return text in UTF-8 with a space in place of each character that DetailsValue excludes (see checks)."""
    edges = tuple(_each(_EDGES.encode()))
    text = bytearray()
    for character in _each(data):
        # MicroPython accepts an overlong form: of what should be three bytes it is there, of four before U+10000.
        allowed = not b"\xe0" < character < b"\xe0\xa0"
        for edge in edges:
            if character < edge:
                break
            allowed = not allowed
        text.extend(character if allowed else b" ")
    return text
