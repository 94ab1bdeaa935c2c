"""An application with four kinds of job, as `make demo` runs it: quick, long, failing, and one that resumes."""

import asyncio

from ujobs import Reject

MOST_BLINKS = 100


def setup(agent):
    """Register the handlers; main.py calls this once."""
    agent.on("blink")(blink)
    agent.on("calibrate", step_timeout=1)(calibrate)
    agent.on("measure")(measure)
    agent.on("count", on_restart="resume")(count)


async def blink(job):
    """{"operation": "blink", "times": 3}"""
    times = job.document.get("times", 1)
    if times > MOST_BLINKS:
        raise Reject("at most %d blinks" % MOST_BLINKS)
    for done in range(times):
        await job.progress(done, times)
        await asyncio.sleep(0.05)
    return {"blinks": str(times)}


async def calibrate(job):
    """{"operation": "calibrate", "points": 50}: 0.2 s per point; in total longer than its step timeout."""
    points = job.document["points"]
    for done in range(points):
        await job.progress(done, points)
        await asyncio.sleep(0.2)
    return {"points": str(points)}


def measure(job):
    """{"operation": "measure"}: always fails."""
    raise OSError("no sensor answers on the bus")


async def count(job):
    """{"operation": "count", "to": 20}: never counts a number twice, even after a power loss."""
    to = job.document["to"]
    start = (job.checkpoint or {}).get("done", 0)
    for done in range(start + 1, to + 1):
        await asyncio.sleep(0.2)
        job.save({"done": done})
        await job.progress(done, to)
    return {"counted": str(to), "resumed_after": str(start), "attempt": str(job.attempt)}
