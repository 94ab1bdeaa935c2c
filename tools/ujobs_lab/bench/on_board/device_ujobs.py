"""A device that does jobs with ujobs, over a real connection. Runs on MicroPython only.

Options: those of connecting.py; journal, a folder; idle, whether to end when no job is left; progress_updates, number
of progress updates that the job sends; files, whether the agent is given the names of the certificates.
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
    host, port = options["host"], options["port"]
    if options.get("files"):
        folder = options["certificates"]
        files = (folder + "/cert.der", folder + "/key.der", folder + "/ca.der")
        agent = Agent(thing, host, *files, port=port, directory=options["journal"])
    else:
        agent = Agent(thing, link=Link(thing, host, port, ssl=connecting.tls(options)), directory=options["journal"])
    watch = connecting.Watch()
    progress_updates = options.get("progress_updates", 0)

    @agent.on("measure")
    async def measure(job):
        watch.job()
        if progress_updates:
            # Not in memory for what measures the smallest heap.
            from progress_updates import send

            await send(agent.journal, job, progress_updates)
            watch.progress_updates(progress_updates)
        return {"steps": str(len(job.document["steps"]))}

    asyncio.run(agent.run(until_idle=options["idle"]))
    watch.show()
