"""Time that stops while code runs, and jumps to the next deadline when all tasks wait; both interpreters.

A test of minutes then takes milliseconds, and does not depend on the speed of the machine. The code must not use
sockets: only time can wake a task here.
"""

import asyncio
import gc
import time

import ujobs.job
import ujobs.link
from board_ticks import Ticks

_HEADROOM = 3600000  # milliseconds, more than a run lasts
_LAST_TICKS = time.ticks_add(0, -1)
_MICROPYTHON = not hasattr(asyncio, "SelectorEventLoop")


class Deadlock(Exception):
    """All tasks wait for an event that cannot occur."""


class Clock(Ticks):
    """Replaces the module `time` in the library, and controls the time of asyncio.

    now: milliseconds since the start. first_ticks: value of ticks_ms() at the start.
    """

    def __init__(self):
        self.now = 0
        self.first_ticks = time.ticks_ms()

    def ticks(self):
        return self.first_ticks + self.now

    def sleep_ms(self, milliseconds):
        """Block: time passes, and no task runs."""
        self.now += milliseconds

    def sleep(self, seconds):
        self.now += int(seconds * 1000)

    def seconds(self):
        """Return the seconds since the start."""
        return self.now / 1000

    def advance(self, milliseconds):
        """Wait, for the event loop when all tasks wait. milliseconds: -1 means forever, which raises Deadlock."""
        if milliseconds < 0:
            raise Deadlock
        self.now += milliseconds


def _run_on_micropython(clock, coroutine):
    core = asyncio.core
    real = core.ticks
    asyncio.new_event_loop()
    # The scheduler stores the real time of tasks that are ready, so this clock must be ahead of it. The scheduler's
    # ticks wrap around with the interpreter's period: 2**30 where a word has 32 bits.
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
            # Round up, so that the task is due afterwards.
            clock.advance(int(-(-timeout * 1000 // 1)))
            return []

    # A full collection is quick on a board, but here it would search all objects of the test run.
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
    """Run the coroutine main(clock) on a new clock, and return its result."""
    clock = Clock()
    modules = (ujobs.link, ujobs.job)
    for module in modules:
        module.time = clock
    try:
        return (_run_on_micropython if _MICROPYTHON else _run_on_cpython)(clock, main(clock))
    finally:
        for module in modules:
            module.time = time
