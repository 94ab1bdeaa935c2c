"""`time` for the virtual board: that of the unix port, with the ESP32's epoch (2000), whole seconds and UTC.

Runs on MicroPython only. stage0 puts it in place of the real module.
"""

from time import *  # noqa: F403

import real_time


def time() -> int:
    """Seconds since 2000-01-01 on the board's clock."""
    return real_time.now()


def time_ns() -> int:
    """Nanoseconds since 2000-01-01 on the board's clock, in steps of a second."""
    return real_time.now() * 1_000_000_000


def gmtime(seconds: int | None = None) -> tuple:
    """UTC fields of `seconds` since 2000-01-01, or of now."""
    return real_time.to_tuple(real_time.now() if seconds is None else seconds)


localtime = gmtime


def mktime(fields: tuple) -> int:
    """Seconds since 2000-01-01 of the UTC `fields`."""
    return real_time.to_seconds(fields)
