"""What is checked before it is sent, and before it is believed. In memory only while there is something to check.

Source: the API model "iot-jobs-data". DetailsKey: `[a-zA-Z0-9:_-]+`; DetailsValue: `[^\\p{C}]+`, which excludes
control, format, surrogate and private-use characters.
"""

import ujson

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

_WORD = const("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:")
_LONG = const(0x7FFFFFFFFFFFFFFF)
MOST_DETAILS = 10
_MOST_VALUE = const(1024)
# Where characters begin to be forbidden and to be allowed again, in turns, three bytes for each of them. Unassigned
# characters count as allowed.
_EDGES = const(
    b"\0\0\0" b"\0\0\x20" b"\0\0\x7F" b"\0\0\xA0" b"\0\0\xAD" b"\0\0\xAE"
    b"\0\x06\0" b"\0\x06\x06" b"\0\x06\x1C" b"\0\x06\x1D" b"\0\x06\xDD" b"\0\x06\xDE" b"\0\x07\x0F" b"\0\x07\x10"
    b"\0\x08\x90" b"\0\x08\x92" b"\0\x08\xE2" b"\0\x08\xE3" b"\0\x18\x0E" b"\0\x18\x0F"
    b"\0\x20\x0B" b"\0\x20\x10" b"\0\x20\x2A" b"\0\x20\x2F" b"\0\x20\x60" b"\0\x20\x70"
    b"\0\xD8\0" b"\0\xF9\0" b"\0\xFE\xFF" b"\0\xFF\0" b"\0\xFF\xF9" b"\0\xFF\xFC"
    b"\x01\x10\xBD" b"\x01\x10\xBE" b"\x01\x10\xCD" b"\x01\x10\xCE" b"\x01\x34\x30" b"\x01\x34\x40"
    b"\x01\xBC\xA0" b"\x01\xBC\xA4" b"\x01\xD1\x73" b"\x01\xD1\x7B" b"\x0E\0\0"
)


def check_name(field: str, value: object, most: int) -> None:
    """Check a name that becomes part of a topic or a key. Raises ValueError naming the field and the limit."""
    # MicroPython never frees the one-character strings made by indexing a string, so do not index.
    if not isinstance(value, str) or not 1 <= len(value) <= most or value.strip(_WORD):
        raise ValueError("%s must be 1 to %d characters of A-Z a-z 0-9 : _ -" % (field, most))


def check_number(field: str, value: "int | None", low: int = 0, high: int = _LONG) -> "int | None":
    """Return a value that is an integer within these limits. Raises ValueError naming the field and the limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError("%s must be an integer from %d to %d" % (field, low, high))
    return value


def check_options(step_timeout: int, on_restart: str, max_attempts: int, time_limit: int) -> None:
    """Check the arguments of Agent.on(). Raises ValueError naming the one that is wrong."""
    check_number("step_timeout, in minutes,", step_timeout, 1, 10080)
    check_number("max_attempts", max_attempts, 1, 255)
    check_number("time_limit, in minutes,", time_limit, 1, 7200)
    if on_restart not in ("rerun", "resume", "fail"):
        raise ValueError("on_restart must be rerun, resume or fail")


def field_of(reply: dict, name: str, default: "Any") -> "Any":
    """Return a field of a reply, `default` without it. Raises ValueError when it is not of the default's type."""
    value = reply.get(name, default)
    if not isinstance(value, type(default)):
        raise ValueError(name + " is of the wrong type")
    return value


def check_execution(found: object) -> dict:
    """Return an execution as the service describes it.

    Raises ValueError when a field that the agent would have to send back is missing or wrong.
    """
    if not isinstance(found, dict):
        raise ValueError("execution is not an object")
    check_name("jobId", found.get("jobId"), 64)
    found.setdefault("queuedAt", 0)
    for name in ("executionNumber", "versionNumber", "queuedAt"):
        check_number(name, found.get(name))
    return found


def _allowed(n):
    allowed = True
    for at in range(0, len(_EDGES), 3):
        if n < _EDGES[at] << 16 | _EDGES[at + 1] << 8 | _EDGES[at + 2]:
            break
        allowed = not allowed
    return allowed


def blank(text: bytes) -> str:
    """Return UTF-8 text in which each character that is not allowed is replaced by spaces, one or more."""
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

    Raises ValueError naming the key or the limit: see DetailsKey, and at most 10 pairs.
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
