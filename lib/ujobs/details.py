"""Status details: what the service accepts, and how what a handler says is made that.

Source: API DetailsKey, `[a-zA-Z0-9:_-]+`; DetailsValue, `[^\\p{C}]+`: no control, format, surrogate or private-use
character.
"""

import ujson
from micropython import const

from .agent import check_name

MOST_DETAILS = 10
_MOST_VALUE = const(1024)
# Format characters that stand alone in Unicode; the others come in ranges.
_ALONE = (0xAD, 0x61C, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x180E, 0xFEFF, 0x110BD, 0x110CD)


def _allowed(n):
    # Unassigned ones are let through.
    return n >= 32 and not (
        127 <= n < 160 or n in _ALONE or 0x600 <= n < 0x606 or 0x200B <= n < 0x2010 or 0x202A <= n < 0x202F
        or 0x2060 <= n < 0x2070 or 0xD800 <= n < 0xF900 or 0xFFF9 <= n < 0xFFFC or 0x13430 <= n < 0x13440
        or 0x1BCA0 <= n < 0x1BCA4 or 0x1D173 <= n < 0x1D17B or n >= 0xE0000
    )


def blank(text: bytes) -> str:
    """Return UTF-8 text with spaces, one or more, in place of each character that is not allowed."""
    # In bytes: MicroPython never frees the one-character strings made by indexing a string.
    data = bytearray(text)
    start = 0
    while start < len(data):
        n = data[start]
        end = start + (1 if n < 0xC0 else 2 if n < 0xE0 else 3 if n < 0xF0 else 4)
        if n >= 0xC0:
            n &= 0x7F >> (end - start)
        for at in range(start + 1, end):
            n = n << 6 | data[at] & 0x3F
        if not _allowed(n):
            data[start:end] = b" " * (end - start)
        start = end
    return data.decode()


def clean(text: str) -> str:
    """Return any text as a value of status details: forbidden characters become spaces, cut at 1024 characters."""
    text = text[:_MOST_VALUE]
    data = text.encode("utf-8", "surrogatepass")
    if data and (min(data) < 32 or max(data) > 126):
        text = blank(data)[:_MOST_VALUE]
    return text.strip() or "-"


def details_of(result: "dict | None") -> dict:
    """Return what a handler returns as status details: numbers and booleans become text, None is left out.

    Raises ValueError naming the key or the limit for what cannot be said: API DetailsKey, at most 10 pairs.
    """
    details = {}
    try:
        for key, value in (result or {}).items():
            check_name("statusDetails key", key, 128)
            if isinstance(value, (bool, int, float)):
                value = ujson.dumps(value)
            if value is not None:
                details[key] = clean(value)
    except (AttributeError, LookupError, TypeError):
        raise ValueError("a result must be a dict of text, numbers and booleans")
    if len(details) > MOST_DETAILS:
        raise ValueError("statusDetails must have at most %d pairs" % MOST_DETAILS)
    return details


