"""Time that stands still while anything runs, and jumps to the next deadline when all tasks wait; both interpreters.

What waits for minutes is then tested in milliseconds, and no test depends on how fast the machine is. Only for what
uses no sockets: nothing but time can wake a task here.
"""

import asyncio
import gc
import time

import ujobs.job
import ujobs.link

_PERIOD = 1 << 30  # of the ticks on a board
_HEADROOM = 3600000  # milliseconds, more than a run takes
_LAST_TICKS = time.ticks_add(0, -1)
_MICROPYTHON = not hasattr(asyncio, "SelectorEventLoop")


class Deadlock(Exception):
    """All tasks wait for something that will not come."""


class Clock:
    """Stands in for the module `time` in the library, and moves asyncio's time along.

    now: milliseconds since the start. first_ticks: what ticks_ms() was then.
    """

    def __init__(self):
        self.now = 0
        self.first_ticks = time.ticks_ms()

    def ticks_ms(self):
        return (self.first_ticks + self.now) % _PERIOD

    @staticmethod
    def ticks_add(ticks, delta):
        return (ticks + delta) % _PERIOD

    @staticmethod
    def ticks_diff(end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

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
    # The scheduler notes the real time for tasks that are ready: it must not be in this clock's future. Its ticks wrap
    # around with the interpreter's own period: 2**30 where a word has 32 bits.
    start = time.ticks_add(time.ticks_ms(), _HEADROOM)
    core.ticks = lambda: (start + clock.now) & _LAST_TICKS
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

    # A full collection is of all that the test run holds: a matter of milliseconds on a board, and not of fast time.
    collect, gc.collect = gc.collect, int
    loop = asyncio.new_event_loop()
    loop._selector = Selector(loop._selector)
    loop.time = clock.seconds
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(coroutine)
    finally:
        gc.collect = collect
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
