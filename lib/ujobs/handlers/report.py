"""The job `{"operation": "report"}`: how the board is, as status details.

Options of Agent.use(): facts, called for a dict of more of them; clock, a coroutine function that says how far the
clock is off. What is None is left out. The service takes ten at most: four are from here.
"""

import gc
import sys

from .. import __version__, trial
from ..flash import free
from ..restore import reset_cause

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_GRAIN = const(64)  # bytes, to which the largest block is found


async def run(job: "Job", options: dict) -> "dict | None":
    """Return reset cause, heap, flash and versions, and what the options add."""
    gc.collect()
    heap = most = gc.mem_free()
    largest = 0
    while most - largest > _GRAIN:
        size = (most + largest) // 2
        try:
            bytearray(size)
            largest = size
        except MemoryError:
            most = size
    # The heap of an ESP32 has grown to hold the block, and TLS needs that memory.
    gc.collect()
    it = sys.implementation
    details = {
        "reset_cause": reset_cause(),
        "heap": "%d free, %d in one piece" % (heap, largest),
        "flash": "%d free" % free("/"),
        "versions": "application %s, ujobs %s, %s %d.%d.%d" % (
            (trial.read(trial.slot() + ".version") or "unknown", __version__, it.name) + tuple(it.version[:3])
        ),
    }
    if "facts" in options:
        details.update(options["facts"]())
    if "clock" in options:
        details["clock"] = await options["clock"]()
    return details
