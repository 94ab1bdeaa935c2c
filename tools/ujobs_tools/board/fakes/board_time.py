"""`time` for the virtual board: the unix port's, but with the ESP32's epoch (2000), whole seconds and UTC.

Runs on MicroPython only. stage0 replaces the real module with it.
"""

from time import *  # noqa: F403

import real_time


def time() -> int:
    """Return the seconds since 2000-01-01 on the board's clock."""
    return real_time.now()


def time_ns() -> int:
    """Return the nanoseconds since 2000-01-01 on the board's clock, in steps of a second."""
    return real_time.now() * 1_000_000_000


def gmtime(seconds: int | None = None) -> tuple:
    """Return the UTC tuple of `seconds` since 2000-01-01, or of now."""
    return real_time.to_tuple(real_time.now() if seconds is None else seconds)


localtime = gmtime


def mktime(fields: tuple) -> int:
    """Return the seconds since 2000-01-01 of a UTC tuple."""
    return real_time.to_seconds(fields)
