"""A device that does jobs with ujobs, over a real connection. Runs on MicroPython only.

Options: of connecting.py; journal, a folder; idle, whether to end when no job is left; keep_alives, how many the job
sends.
"""

import asyncio
import gc
import json
import os
import time

import connecting

from ujobs.agent import Agent
from ujobs.link import Link


def main() -> None:
    """Do jobs; in the end print how long it took, and how much heap is in use."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    thing = options["thing"]
    link = Link(thing, options["host"], options["port"], ssl=connecting.tls(options))
    agent = Agent(thing, link=link, directory=options["journal"])
    keep_alives = options.get("keep_alives", 0)

    @agent.on("measure")
    async def measure(job):
        if keep_alives:
            await _beat(agent.journal, job, keep_alives)
        return {"steps": str(len(job.document["steps"]))}

    began = time.ticks_us()
    asyncio.run(agent.run(until_idle=options["idle"]))
    took = time.ticks_diff(time.ticks_us(), began)
    gc.collect()
    print(json.dumps({"microseconds": took, "held": gc.mem_alloc()}))


async def _beat(journal, job, count):
    # One keep-alive as soon as the one before has been accepted and recorded.
    done = asyncio.Event()
    record = journal.set_version
    sent = 0

    def recorded(version):
        nonlocal sent
        record(version)
        sent += 1
        if sent < count:
            job.hurry()
        else:
            done.set()

    journal.set_version = recorded
    job.hurry()
    await done.wait()
    journal.set_version = record
