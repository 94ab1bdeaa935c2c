"""Background tasks that must not end: one that does is logged and started again."""

import asyncio

_PAUSE = 1  # seconds


async def keep_running(name: str, work) -> None:
    """Run a coroutine function again whenever it ends, until cancelled. name: for the console.

    A task that ends unnoticed would leave a board that looks alive and is out of reach.
    """
    while True:
        try:
            await work()
            reason = "ended"
        except Exception as error:
            reason = repr(error)
        print("%s: %s; started again" % (name, reason))
        await asyncio.sleep(_PAUSE)
