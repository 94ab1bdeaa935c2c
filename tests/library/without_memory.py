"""Program for MicroPython: at any moment of a job, nothing can be allocated for a while. Then the job and the next one
must end, and no handler may have run beside itself.

Arguments: milliseconds from one such moment to the next, and how long each lasts. Prints what went wrong, and the
number of runs.
"""

import asyncio
import sys

import micropython
import ujobs.link
from cloud import Cloud, run

STEP, LASTS = map(int, sys.argv[1:])
LONGEST = 1300  # milliseconds, of the first job

ujobs.link.print = lambda *words: None
locked = False


def lock():
    global locked
    locked = True
    micropython.heap_lock()


def unlock():
    global locked
    if locked:
        micropython.heap_unlock()
    locked = False


class Runs:
    """How often the handler runs now, and how often at most at the same time."""

    now = most = 0


def setup(agent):
    @agent.on("long")
    async def long(job):
        Runs.now += 1
        Runs.most = max(Runs.now, Runs.most)
        try:
            for done in range(10):
                await job.progress(done, 10)
                # sleep() would take memory for a fraction of a second.
                await asyncio.sleep_ms(100)
        finally:
            Runs.now -= 1

    agent.on("quick")(lambda job: None)


def attempt(moment):
    """Run both jobs; return what went wrong, if anything."""
    cloud = Cloud()
    cloud.queue("a", {"operation": "long"})
    cloud.queue("b", {"operation": "quick"})
    Runs.now = Runs.most = 0

    async def scenario(agent, cloud):
        await asyncio.sleep_ms(moment)
        lock()
        await asyncio.sleep_ms(LASTS)
        unlock()
        for _ in range(900):
            if cloud.done() or cloud.task.done():
                break
            await asyncio.sleep_ms(1000)

    try:
        run(scenario, setup, cloud, update_interval=0.3, timeout=10)
    except Exception as error:
        return f"{moment}: {error!r}"
    finally:
        unlock()
    # The first handler may have had no memory itself.
    first, second = cloud.statuses()
    if first not in ("SUCCEEDED", "FAILED") or second != "SUCCEEDED" or Runs.most > 1:
        return f"{moment}: {first}, {second}, {Runs.most} at once"


moments = range(0, LONGEST, STEP)
wrong = [found for found in map(attempt, moments) if found]
print(len(moments), "runs,", len(wrong), "wrong", wrong[:5])
