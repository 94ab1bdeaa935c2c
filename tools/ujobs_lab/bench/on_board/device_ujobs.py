"""A device that does jobs with ujobs, over a real connection. Runs on MicroPython only.

Options: those of connecting.py; journal, a folder; idle, whether to end when no job is left; progress_updates, number
of progress updates that the job sends.
"""

import asyncio
import json
import os

import connecting

from ujobs.agent import Agent
from ujobs.link import Link


def main() -> None:
    """Do jobs, and print the time."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    thing = options["thing"]
    link = Link(thing, options["host"], options["port"], ssl=connecting.tls(options))
    agent = Agent(thing, link=link, directory=options["journal"])
    watch = connecting.Watch()
    progress_updates = options.get("progress_updates", 0)

    @agent.on("measure")
    async def measure(job):
        watch.job()
        if progress_updates:
            await _beat(agent.journal, job, progress_updates)
            watch.progress_updates(progress_updates)
        return {"steps": str(len(job.document["steps"]))}

    asyncio.run(agent.run(until_idle=options["idle"]))
    watch.show()


async def _beat(journal, job, count):
    # Send each progress update once the previous one is accepted and recorded, without the pause of one second.
    import ujobs.job

    ujobs.job._PAUSE = 0
    done = asyncio.Event()
    record = journal.set_version
    sent = 0

    def recorded(version):
        nonlocal sent
        record(version)
        sent += 1
        if sent < count:
            job.client._wake.set()
        else:
            done.set()

    journal.set_version = recorded
    job.client._wake.set()
    await done.wait()
    journal.set_version = record
