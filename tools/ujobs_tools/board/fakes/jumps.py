"""A clock that a test can move ahead: ticks, sleeps and asyncio's waits go by it.

Runs on MicroPython only; stage0 puts it in place where the supervisor says that the clock may jump. What was due in
the time jumped over is due at once afterwards, as on a board whose processor stood still. The watchdog goes by real
time.
"""

import time as _host

import board_time
import outside

from micropython import const

_LOOK = const(50)  # milliseconds: a jump ends a wait within that time


def ticks_ms() -> int:
    """Milliseconds, jumps included."""
    return _host.ticks_add(_host.ticks_ms(), outside.jumped())


def ticks_us() -> int:
    """Microseconds, jumps included."""
    return _host.ticks_add(_host.ticks_us(), outside.jumped() * 1000)


def sleep_ms(milliseconds: int) -> None:
    """Block for so long."""
    end = _host.ticks_add(ticks_ms(), milliseconds)
    left = milliseconds
    while left > 0:
        _host.sleep_ms(min(left, _LOOK))
        left = _host.ticks_diff(end, ticks_ms())


def sleep(seconds: float) -> None:
    """Block for seconds."""
    sleep_ms(int(seconds * 1000))


def install() -> None:
    """From here on the module `time` has these functions, and asyncio, imported after it, looks at the clock often."""
    for function in (ticks_ms, ticks_us, sleep_ms, sleep):
        setattr(board_time, function.__name__, function)

    from asyncio import core

    wait = core.IOQueue.wait_io_event
    core.IOQueue.wait_io_event = lambda queue, dt: wait(queue, _LOOK if dt < 0 or dt > _LOOK else dt)
