"""The hardware watchdog, fed by an asyncio task: it resets the board when the event loop is blocked for too long.

Built on `machine.WDT`, which cannot be stopped once started. A plain (not async) job handler must let the loop run by
calling `job.tick()` more often than the watchdog's timeout.
"""

import asyncio

import machine


class Watchdog:
    """A running watchdog, which resets the board unless run() feeds it.

    seconds: how long the event loop may be blocked, at least 1. Choose more than the longest blocking call: a TLS
    handshake or a DNS lookup can take 10 s on an ESP32. Raises ValueError for less than 1.
    """

    def __init__(self, seconds: int):
        if seconds < 1:
            raise ValueError("watchdog: at least 1 second")
        self._period = seconds / 4
        self._timer = machine.WDT(timeout=int(seconds * 1000))

    async def run(self) -> None:
        """Feed the watchdog forever."""
        while True:
            self._timer.feed()
            await asyncio.sleep(self._period)
