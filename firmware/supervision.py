"""Keeps background tasks running: one that ends is logged and started again."""

import asyncio

_PAUSE = 1  # seconds


async def keep_running(name: str, work) -> None:
    """Run a coroutine function, and run it again whenever it ends, until cancelled. name: for the console.

    If such a task ended unnoticed, the board would look alive but be unreachable.
    """
    while True:
        try:
            await work()
            reason = "ended"
        except Exception as error:
            reason = repr(error)
        print("%s: %s; started again" % (name, reason))
        await asyncio.sleep(_PAUSE)
