"""Time that stands still while anything runs, and jumps to the next deadline when all tasks wait; both interpreters.

What waits for minutes is then tested in milliseconds, and no test depends on how fast the machine is. Only for what
uses no sockets: nothing but time can wake a task here. One run can take up to six days of it.
"""

import asyncio
import time

import ujobs.job
import ujobs.link

_PERIOD = 1 << 30
_HEADROOM = 600000  # milliseconds, more than a test runs
_MICROPYTHON = not hasattr(asyncio, "SelectorEventLoop")


class Deadlock(Exception):
    """All tasks wait for something that will not come."""


class Clock:
    """Stands in for the module `time` in the library, and moves asyncio's time along.

    now: milliseconds since the start.
    """

    ticks_add = staticmethod(time.ticks_add)
    ticks_diff = staticmethod(time.ticks_diff)

    def __init__(self):
        self.now = 0
        # MicroPython's scheduler notes the real time for tasks that are ready: it must not be in this clock's future.
        self._start = time.ticks_ms() + _HEADROOM

    def ticks_ms(self):
        return (self._start + self.now) % _PERIOD

    def sleep_ms(self, milliseconds):
        """What blocks: time passes and nothing else runs."""
        self.now += milliseconds

    def sleep(self, seconds):
        self.now += int(seconds * 1000)

    def seconds(self):
        """Seconds since the start."""
        return self.now / 1000

    def advance(self, milliseconds):
        """Wait, as the event loop does when it has nothing to do: -1 for ever."""
        if milliseconds < 0:
            raise Deadlock
        self.now += milliseconds


def _run_on_micropython(clock, coroutine):
    core = asyncio.core
    real = core.ticks
    asyncio.new_event_loop()
    core.ticks = clock.ticks_ms
    core._io_queue.wait_io_event = clock.advance
    try:
        return asyncio.run(coroutine)
    finally:
        core.ticks = real
        asyncio.new_event_loop()


def _run_on_cpython(clock, coroutine):
    class Selector:
        def __init__(self, real):
            self.select = self._select
            self._real = real

        def __getattr__(self, name):
            return getattr(self._real, name)

        def _select(self, timeout=None):
            if timeout is None:
                raise Deadlock
            # Rounded up, so that what is waited for is due then.
            clock.advance(int(-(-timeout * 1000 // 1)))
            return []

    loop = asyncio.new_event_loop()
    loop._selector = Selector(loop._selector)
    loop.time = clock.seconds
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(coroutine)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


def run(main):
    """Run the coroutine main(clock) to its end on a clock of its own and return what it returns."""
    clock = Clock()
    modules = (ujobs.link, ujobs.job)
    for module in modules:
        module.time = clock
    try:
        return (_run_on_micropython if _MICROPYTHON else _run_on_cpython)(clock, main(clock))
    finally:
        for module in modules:
            module.time = time
