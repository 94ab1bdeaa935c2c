"""The board's clock: set by NTP before the first TLS handshake, which checks the dates of certificates.

Stands on MicroPython's `ntptime` and `time`. Works with either epoch: only the year is looked at.
"""

import asyncio
import time

_PLAUSIBLE_YEAR = 2025
_PAUSE = 1  # seconds between tries


def plausible() -> bool:
    """True when the clock has been set since power-on; boards without a battery start in 2000 or 1970."""
    return time.gmtime()[0] >= _PLAUSIBLE_YEAR


async def synchronise(host: str, timeout: float = 20) -> bool:
    """Set the clock from the NTP server `host`, unless it is plausible already; True when it is in the end.

    Tries about once a second for `timeout` seconds; each try blocks for up to a second. Prints one line on
    failure.
    """
    import ntptime

    ntptime.host = host
    start = time.ticks_ms()
    while not plausible():
        try:
            ntptime.settime()
        except Exception as error:
            # Not OSError alone: ntptime does not look at what it was sent.
            if time.ticks_diff(time.ticks_ms(), start) >= timeout * 1000:
                print(f"clock: no time from {host}: {error!r}")
                return False
            await asyncio.sleep(_PAUSE)
    return True
