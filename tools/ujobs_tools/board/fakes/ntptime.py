"""`ntptime` for the virtual board: the host's clock plays the time server.

Runs on MicroPython only.
"""

import hardware
import machine
import network
import real_time

host = "pool.ntp.org"
timeout = 1


def time() -> int:
    """Seconds since 2000-01-01; OSError when the network is away or the board was started with
    `--ntp-fails`."""
    if not network.reachable():
        raise OSError(-202)
    if hardware.settings["ntp_fails"]:
        raise OSError(110)
    return real_time.host_now()


def settime() -> None:
    """Set the board's clock from the time server."""
    year, month, day, hour, minute, second, weekday, _ = real_time.to_tuple(time())
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
