"""The hardware watchdog, fed from asyncio: a loop that stands still for too long resets the board.

Stands on `machine.WDT`, which cannot be stopped once started. A plain (not async) job handler must let the
loop run by calling `job.tick()` more often than the watchdog bites.
"""

import asyncio

import machine


def start(seconds: int) -> asyncio.Task:
    """Start the watchdog; returns the task that feeds it. Cancelling that task resets the board.

    seconds: how long the event loop may stand still, at least 1; above the longest blocking call, which is a
    TLS handshake or a name look-up and can take 10 s on an ESP32. Raises ValueError for less than 1.
    """
    if seconds < 1:
        raise ValueError("watchdog: at least 1 second")
    return asyncio.create_task(_feed(machine.WDT(timeout=int(seconds * 1000)), seconds / 4))


async def _feed(watchdog: machine.WDT, period: float) -> None:
    while True:
        watchdog.feed()
        await asyncio.sleep(period)
