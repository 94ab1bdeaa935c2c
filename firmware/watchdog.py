"""The hardware watchdog, fed from asyncio: a loop that stands still for too long resets the board.

Built on `machine.WDT`, which cannot be stopped once started. A plain (not async) job handler must let the loop run by
calling `job.tick()` more often than the watchdog's timeout.
"""

import asyncio

import machine


class Watchdog:
    """A started watchdog, which resets the board unless run() runs.

    seconds: how long the event loop may stand still, at least 1; above the longest blocking call, which is a TLS
    handshake or a name look-up and can take 10 s on an ESP32. Raises ValueError for less than 1.
    """

    def __init__(self, seconds: int):
        if seconds < 1:
            raise ValueError("watchdog: at least 1 second")
        self._period = seconds / 4
        self._timer = machine.WDT(timeout=int(seconds * 1000))

    async def run(self) -> None:
        """Feed it, forever."""
        while True:
            self._timer.feed()
            await asyncio.sleep(self._period)
