"""The program with ujobs, in steps between which its heap is measured. Runs on MicroPython only."""

import asyncio

from ujobs.agent import Agent
from ujobs.link import Link

_DIRECTORY = "/ujobs-journal"
hold = running = False
agent: Agent
task = None


def make() -> None:
    global agent
    agent = Agent("thing", link=Link(b"thing", "host"), directory=_DIRECTORY)
    agent.on("measure")(_measure)


async def _measure(job):
    global running
    running = True
    while hold:
        await asyncio.sleep_ms(10)
    running = False
    return {"steps": str(len(job.document["steps"]))}


def in_handler() -> bool:
    return running


def start() -> None:
    global task
    task = asyncio.create_task(agent.run())
