"""Program for MicroPython: a job whose handler takes all the memory and keeps it for half a minute; then another job.

Argument: bytes that it takes at a time. Prints how both jobs ended.
"""

import asyncio
import sys

from cloud import Cloud, run

STEP = int(sys.argv[1])
TURNS = 30  # seconds


def setup(agent):
    @agent.on("hoard", max_attempts=2)
    async def hoard(job):
        taken = None
        for _ in range(TURNS):
            try:
                while True:
                    taken = (taken, bytearray(STEP) if STEP else None)
            except MemoryError:
                await asyncio.sleep(1)
        taken = None
        return {"attempt": job.attempt}

    agent.on("quick")(lambda job: None)


async def scenario(agent, cloud):
    for _ in range(3600):
        try:
            if cloud.done() or cloud.task.done():
                break
        except MemoryError:
            pass  # this program has no more than the agent
        await asyncio.sleep(1)


cloud = Cloud()
cloud.queue("a", {"operation": "hoard"})
cloud.queue("b", {"operation": "quick"})
run(scenario, setup, cloud, update_interval=5, timeout=10)
print(cloud.statuses(), cloud.executions[0].get("statusDetails"))
