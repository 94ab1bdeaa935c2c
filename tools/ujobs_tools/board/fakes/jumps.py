"""A clock that a test can move ahead, for ticks, sleeps and asyncio.

Runs on MicroPython only; stage0 installs it if the clock may jump. After a jump, everything that was due in between is
due at once, as if the processor had stopped for that time. The watchdog uses real time.
"""

import time as _host

import board_time
import outside

from micropython import const

_LOOK = const(50)  # milliseconds after which a wait notices a jump


def ticks_ms() -> int:
    """Return milliseconds, including jumps."""
    return _host.ticks_add(_host.ticks_ms(), outside.jumped())


def ticks_us() -> int:
    """Return microseconds, including jumps."""
    return _host.ticks_add(_host.ticks_us(), outside.jumped() * 1000)


def sleep_ms(milliseconds: int) -> None:
    """Wait for milliseconds, or until the clock has jumped over them."""
    end = _host.ticks_add(ticks_ms(), milliseconds)
    left = milliseconds
    while left > 0:
        _host.sleep_ms(min(left, _LOOK))
        left = _host.ticks_diff(end, ticks_ms())


def sleep(seconds: float) -> None:
    """Wait for seconds, or until the clock has jumped over them."""
    sleep_ms(int(seconds * 1000))


def install() -> None:
    """Put these functions into the module `time`, and make asyncio check the clock often."""
    for function in (ticks_ms, ticks_us, sleep_ms, sleep):
        setattr(board_time, function.__name__, function)

    from asyncio import core

    wait = core.IOQueue.wait_io_event
    core.IOQueue.wait_io_event = lambda queue, dt: wait(queue, _LOOK if dt < 0 or dt > _LOOK else dt)
