"""The work of a sleeping node: a measurement that may take longer than one wake-up.

The reading is the board's free memory, so that it runs anywhere: put your sensor into read().
"""

import asyncio
import gc

from ujobs import Reject

MOST = 20  # samples; more would not fit into a cheap checkpoint


def setup(agent):
    """Register the handler; main.py calls this after each sleep."""
    # Going to sleep half-way uses up an attempt, like a reset.
    agent.on("measure", on_restart="resume", max_attempts=100)(measure)


def read():
    """Return one reading."""
    return gc.mem_free() // 1024


async def measure(job):
    """{"operation": "measure", "samples": 5}: one sample every half second; sleep loses none."""
    count = job.document.get("samples", 1)
    if not isinstance(count, int) or not 1 <= count <= MOST:
        raise Reject("samples must be 1 to %d" % MOST)
    samples = job.checkpoint or []
    while len(samples) < count:
        await job.progress(len(samples), count)
        await asyncio.sleep(0.5)
        samples.append(read())
        job.save(samples)
    print("measured", count, "samples")
    return {"samples": str(count), "mean": str(sum(samples) // count), "starts": str(job.attempt)}
