"""A soak test in fast time: jobs of all types, messages of the application, broken links; on both interpreters.

As a program it simulates the number of days of its first argument, and prints a line of JSON for each month.
"""

import asyncio
import builtins
import gc
import random
import sys
import time

import fast_time
import ujson
from cloud import DIRECTORY, Cloud, beside, remove
from ujobs.agent import Agent, Reject
from ujobs.link import Link

ROUND = 3600  # seconds
KINDS = ("quick", "long", "fail", "reject", "unknown", "checkpoint")
ENDS = ["SUCCEEDED", "SUCCEEDED", "FAILED", "REJECTED", "REJECTED", "SUCCEEDED"]
_MESSAGES = 10  # of the application, with QoS 1, per round
_TOPIC = b"measured"
_MONTH = 730  # rounds
_collect = gc.collect  # which fast_time does without on CPython
_MICROPYTHON = sys.implementation.name == "micropython"


def held():
    """The memory in use: bytes of the heap on MicroPython, allocated blocks on CPython."""
    _collect()
    return gc.mem_alloc() if _MICROPYTHON else sys.getallocatedblocks()


class Life:
    """jobs, reconnects, progress_updates: their numbers; wraps: how often the packet id wrapped around."""

    def __init__(self, clock, first_packet_id=0):
        self.jobs = self.reconnects = self.progress_updates = self.wraps = 0
        self._clock = clock
        self._cloud = cloud = Cloud()
        cloud.broker.on_publish = lambda topic, payload: topic == _TOPIC or cloud._published(topic, payload)
        self._link = Link(b"thing", "host", keepalive=1200, timeout=30)
        self._link.pid = first_packet_id
        self._agent = Agent("thing", link=self._link, directory=DIRECTORY)
        self._register(self._agent)

    def _register(self, agent):
        @agent.on("quick")
        def quick(job):
            return {"answer": "42"}

        @agent.on("long", step_timeout=1)
        async def long(job):
            for done in range(3):
                await job.progress(done, 3)
                await asyncio.sleep(30)

        @agent.on("fail")
        async def fail(job):
            raise OSError("the sensor is gone")

        @agent.on("reject")
        def reject(job):
            raise Reject("not on a Sunday")

        @agent.on("checkpoint", on_restart="resume")
        async def checkpoint(job):
            job.save({"text": "x" * 200})
            return {"text": job.checkpoint["text"]}

    async def live(self, rounds, after_round):
        """Run so many rounds; after_round(number) is called after each."""

        async def scenario(task):
            for number in range(rounds):
                await self._round(number)
                after_round(number)

        try:
            await beside(self._agent, self._cloud.broker, scenario)
        finally:
            remove(DIRECTORY)

    async def _round(self, number):
        cloud, broker, end = self._cloud, self._cloud.broker, self._clock.seconds() + ROUND
        await self._until(self._link.up.is_set)
        for kind in KINDS:
            cloud.queue("%s-%d" % (kind, number), {"operation": kind}, queued_at=number)
        if number % 2:
            # In the middle of the jobs, or after them.
            await asyncio.sleep(random.random() * 60)
            broker.refuse = [OSError(111) for _ in range(number % 5)]
            broker.wires[-1].end()
        await self._until(lambda: cloud.done() and self._agent.journal.acknowledged)
        assert cloud.statuses() == ENDS, cloud.executions
        self.jobs += len(KINDS)
        self.progress_updates += len([body for body in cloud.updates() if body["status"] == "IN_PROGRESS"])
        self.reconnects += broker.count("connect")
        for _ in range(_MESSAGES):
            before = self._link.pid
            await self._link.publish(_TOPIC, b"21.5", qos=1)
            self.wraps += self._link.pid < before
        await asyncio.sleep(end - self._clock.seconds())
        await self._until(self._link.up.is_set)
        # The test's own records.
        for records in (cloud.executions, cloud.requests, broker.packets, broker.published):
            records.clear()
        del broker.wires[:-1]

    async def _until(self, condition):
        started = self._clock.seconds()
        while not condition():
            assert self._clock.seconds() - started < ROUND / 2, self._cloud.executions
            await asyncio.sleep(1)


def run(rounds, after_round, first_packet_id=0):
    """Run so many rounds, with the same random numbers every time; after_round(life, number) is called after each.
    Return the Life."""
    random.seed(1)
    remove(DIRECTORY)

    async def main(clock):
        # ticks_ms() wraps around after an hour, and then every 12.4 days.
        clock.first_ticks = (1 << 30) - ROUND * 1000
        life = Life(clock, first_packet_id)
        await life.live(rounds, lambda number: after_round(life, number))
        return life

    return fast_time.run(main)


def _results(life, number, rounds):
    # Results after the second round, every month and at the end; otherwise None.
    if number == 1 or number % _MONTH == _MONTH - 1 or number == rounds - 1:
        return {
            "days": (number + 1) * ROUND / 86400, "jobs": life.jobs, "progress_updates": life.progress_updates,
            "reconnects": life.reconnects, "wraps": life.wraps,
        }


def main(days):
    """Simulate so many days; print only a line of results after the second round and every month."""
    write = sys.stdout.write
    builtins.print = lambda *words: None
    rounds = days * 86400 // ROUND

    def after_round(life, number):
        results = _results(life, number, rounds)
        if results:
            results["held"] = held()
            write(ujson.dumps(results) + "\n")

    run(rounds, after_round)


class _SimulatedClock:
    # For an interpreter with simulated time.
    def __init__(self):
        self._start = time.time()

    def seconds(self):
        return time.time() - self._start


def begin(days):
    """Start the same on an interpreter with simulated time.

    Returns two functions: the next results as JSON, "" if there are none yet; and whether the run has ended.
    """
    builtins.print = lambda *words: None
    random.seed(1)
    asyncio.open_connection = None  # some interpreters do not have it
    rounds = days * 86400 // ROUND
    life = Life(_SimulatedClock())
    waiting = []

    def after_round(number):
        results = _results(life, number, rounds)
        if results:
            waiting.append(ujson.dumps(results))

    task = asyncio.create_task(life.live(rounds, after_round))
    return lambda: waiting.pop(0) if waiting else "", lambda: task.done()


if __name__ == "__main__":
    main(int(sys.argv[-1]))
