"""An agent on real sockets, behind a proxy that injects faults. Runs on MicroPython only.

Arguments: thing name, host, port, its folder, and the thing's folder of certificates or "" for a connection without
TLS. Handlers append their effects to `effects` in its folder.
"""

import asyncio
import sys

import ujobs.agent
import ujobs.link
from ujobs.agent import Agent
from ujobs.certificates import tls_context
from ujobs.link import Link

TIMEOUT = 1  # seconds; short, to keep the tests short
ATTEMPTS = 50  # of a handler; more than the number of kills


class Hasty:
    """Removes the random part of the pauses between connections, to keep the tests short."""

    @staticmethod
    def random():
        return 0


def main(thing, host, port, folder, certificates):
    """Run jobs until killed."""
    context = None
    if certificates:
        context = tls_context(*[certificates + "/" + name for name in ("ca.der", "cert.der", "key.der")])
    ujobs.link.random = Hasty
    ujobs.agent._RETRY = TIMEOUT
    link = Link(thing.encode(), host, int(port), keepalive=4, ssl=context, timeout=TIMEOUT)
    agent = Agent(thing, link=link, directory=folder + "/journal", update_interval=0.2)

    def effect(text):
        with open(folder + "/effects", "a") as file:
            file.write(text + "\n")

    @agent.on("quick", max_attempts=ATTEMPTS)
    def quick(job):
        effect(job.job_id)
        return {"answer": "42"}

    @agent.on("long", max_attempts=ATTEMPTS)
    async def long(job):
        effect(job.job_id)
        for done in range(15):
            await job.progress(done, 15)
            await asyncio.sleep(0.1)

    @agent.on("steps", on_restart="resume", max_attempts=ATTEMPTS)
    async def steps(job):
        for step in range(job.checkpoint or 0, 5):
            effect(f"{job.job_id} {step}")
            job.save(step + 1)
            await asyncio.sleep(0.1)

    @agent.on("broken", max_attempts=ATTEMPTS)
    async def broken(job):
        effect(job.job_id)
        raise OSError("no sensor answers")

    asyncio.run(agent.run())


main(*sys.argv[1:])
