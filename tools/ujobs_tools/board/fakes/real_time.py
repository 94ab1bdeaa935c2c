"""The board's clock: seconds since 2000-01-01, derived from the host's clock. At power-on it starts at 0.

Runs on MicroPython only. It must be imported before the fake `time` replaces the real one.
"""

import time

import hardware
import outside

EPOCH = 946684800  # 2000-01-01 in the host's seconds since 1970
_host = time


def now() -> int:
    """Return the seconds since 2000-01-01 on the board's clock."""
    return host_now() + hardware.settings["clock_offset"]


def host_now() -> int:
    """Return the seconds since 2000-01-01 on the host's clock, including jumps. The time server uses this clock."""
    return int(_host.time()) + outside.jumped() // 1000 - EPOCH


def set_now(seconds: int) -> None:
    """Set the board's clock; the supervisor keeps it over resets."""
    offset = seconds - host_now()
    hardware.settings["clock_offset"] = offset
    hardware.tell(f"clock {offset}")


def to_tuple(seconds: int) -> tuple:
    """Return the eight-element UTC tuple of seconds since 2000-01-01."""
    return _host.gmtime(seconds + EPOCH)[:8]


def to_seconds(fields: tuple) -> int:
    """Return the seconds since 2000-01-01 of a UTC tuple. The supervisor has set the time zone to UTC."""
    return int(_host.mktime(fields)) - EPOCH
