"""What a sleeping node does when it is awake: a measurement that may take longer than one time awake.

The reading is the board's free memory, so that it runs anywhere: put your sensor into read().
"""

import asyncio
import gc

from ujobs import Reject

MOST = 20  # samples; as many fit into a checkpoint that stays cheap


def setup(agent):
    """Register the handler; main.py calls this after each sleep."""
    # Going to sleep in the middle costs an attempt, as a reset does.
    agent.on("measure", on_restart="resume", max_attempts=100)(measure)


def read():
    """Return what is measured."""
    return gc.mem_free() // 1024


async def measure(job):
    """{"operation": "measure", "samples": 5}: one every half second, none of them lost by sleeping."""
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
