"""The application of the end-to-end tests (MicroPython). Every step timeout is one minute, because start-next requests
the longest one."""

import asyncio
import time

from ujobs import Reject

_turns = 0


def setup(agent):
    """Register the handlers; main.py calls this once."""
    agent.on("quick", step_timeout=1)(quick)
    agent.on("broken", step_timeout=1)(broken)
    agent.on("refuse", step_timeout=1)(refuse)
    agent.on("long", step_timeout=1)(long)
    agent.on("tick", step_timeout=1)(tick)
    agent.on("deaf", step_timeout=1)(deaf)
    agent.on("count", step_timeout=1, on_restart="resume")(count)


async def quick(job):
    """Returns its document, and the number of calls since the board booted."""
    global _turns
    _turns += 1
    return {"said": job.document["say"], "turn": str(_turns)}


def broken(job):
    """Fails."""
    raise OSError("no sensor answers on the bus")


def refuse(job):
    """Will not."""
    raise Reject("not on a Sunday")


async def long(job):
    """{"seconds": n}: works in small steps and reports progress."""
    steps = int(job.document["seconds"] * 10)
    for done in range(steps):
        await job.progress(done, steps)
        await asyncio.sleep(0.1)
    return {"steps": str(steps)}


def tick(job):
    """The same as a blocking function."""
    steps = int(job.document["seconds"] * 10)
    for done in range(steps):
        job.tick(done, steps)
        time.sleep(0.1)
    return {"steps": str(steps)}


def deaf(job):
    """The same, but never yields to other tasks."""
    time.sleep(job.document["seconds"])


async def count(job):
    """{"to": n}: never counts a number twice."""
    start = job.checkpoint or 0
    for number in range(start + 1, job.document["to"] + 1):
        await asyncio.sleep(0.1)
        job.save(number)
        await job.progress(number, job.document["to"])
    return {"resumed_after": str(start), "attempt": str(job.attempt)}
