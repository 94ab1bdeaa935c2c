"""What is checked before it is sent, and before it is believed. In memory only while there is something to check.

Source: the API model "iot-jobs-data". DetailsKey: `[a-zA-Z0-9:_-]+`; DetailsValue: `[^\\p{C}]+`, which excludes
control, format, surrogate and private-use characters.
"""

import ujson

from . import lend

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

_WORD = const("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:")
_LONG = const(0x7FFFFFFFFFFFFFFF)
_MOST_DETAILS = const(10)
_MOST_VALUE = const(1024)


def check_name(field: str, value: object, most: int) -> None:
    """Check a name that becomes part of a topic or a key. Raises ValueError naming the field and the limit."""
    # MicroPython never frees the one-character strings made by indexing a string, so do not index.
    if not isinstance(value, str) or not 1 <= len(value) <= most or value.strip(_WORD):
        raise ValueError("%s must be 1 to %d characters of A-Z a-z 0-9 : _ -" % (field, most))


def check_number(field: str, value: "int | None", least: int = 0, most: int = _LONG) -> "int | None":
    """Return a value that is an integer within these limits. Raises ValueError naming the field and the limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError("%s must be an integer from %d to %d" % (field, least, most))
    return value


def field_of(found: dict, field: str, default: "Any") -> "Any":
    """Return a field of what the service sent, `default` without it. Raises ValueError for another type than its."""
    value = found.get(field, default)
    if not isinstance(value, type(default)):
        raise ValueError(field + " is of the wrong type")
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


def clean(text: str) -> str:
    """Return any text as a value of status details: forbidden characters become spaces, cut at 1024 characters."""
    text = text[:_MOST_VALUE]
    data = text.encode("utf-8", "surrogatepass")
    if data and (min(data) < 32 or max(data) > 126):
        text = lend("characters", "spaced", data).decode()  # type: ignore[attr-defined]
    return text.strip(" ") or "-"


def details_of(result: "dict | None", noted: "dict" = {}) -> dict:  # noqa: B006
    """Return what a handler returns as status details: numbers and booleans become text, None is left out.

    noted: status details from before, to which the result is added; if they are too many together, it stands alone.
    Raises ValueError naming the key or the limit: see DetailsKey, and at most 10 pairs.
    """
    details = {}
    key, value = "", result
    try:
        for key, value in () if result is None else result.items():
            check_name("statusDetails key '%s'" % str(key)[:128], key, 128)
            if isinstance(value, (bool, int, float)):
                value = ujson.dumps(value)
            if value is not None:
                details[key] = clean(value)
    except (AttributeError, LookupError, TypeError):
        of = type(value).__name__ + (key and " in " + key)
        raise ValueError("a result must be a dict of text or numbers, not " + of)
    if len(details) > _MOST_DETAILS:
        raise ValueError("statusDetails must have at most 10 pairs")
    both = dict(noted)
    both.update(details)
    return details if len(both) > _MOST_DETAILS else both
