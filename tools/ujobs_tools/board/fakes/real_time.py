"""The board's clock, told from the host's: seconds since 2000-01-01, starting there at power-on.

Runs on MicroPython only. It must be imported before the fake `time` takes the real one's name.
"""

import time

import hardware
import outside

EPOCH = 946684800  # 2000-01-01 in the host's seconds since 1970
_host = time


def now() -> int:
    """Seconds since 2000-01-01 on the board's clock."""
    return host_now() + hardware.settings["clock_offset"]


def host_now() -> int:
    """Seconds since 2000-01-01 on the host's clock, jumps included: what a time server answers."""
    return int(_host.time()) + outside.jumped() // 1000 - EPOCH


def set_now(seconds: int) -> None:
    """Set the board's clock; the supervisor keeps the setting over resets."""
    offset = seconds - host_now()
    hardware.settings["clock_offset"] = offset
    hardware.tell(f"clock {offset}")


def to_tuple(seconds: int) -> tuple:
    """The eight-element UTC tuple of seconds since 2000-01-01."""
    return _host.gmtime(seconds + EPOCH)[:8]


def to_seconds(fields: tuple) -> int:
    """Seconds since 2000-01-01 of a UTC tuple; the supervisor sets the host's time zone to UTC."""
    return int(_host.mktime(fields)) - EPOCH
