"""One session of an agent with all job types over a bad link, in fast time, and the checks afterwards.

Reads one JSON object per line from stdin: the arguments of Faults, a `seed` and a number of `resets`. Answers each with
a line "= " and a JSON object: `wrong` (list of strings, empty if all promises were kept), `up` and `down` (bytes of the
session), `log` (the board's output, if something is wrong). Runs on MicroPython as a program, and on both interpreters
as a module.
"""

import asyncio
import os
import random
import sys

from bad_link import BadBroker, Faults

import fast_time
import ujobs.agent
import ujobs.job
import ujobs.journal
import ujobs.link
import ujson
from cloud import Cloud, ended, remove
from jobs_service import TERMINAL
from ujobs.agent import Agent, Reject
from ujobs.link import Link

# Use a folder in memory if there is one, to avoid waiting for the disk: the journal is not tested here.
DIRECTORY = f"{'/dev/shm' if 'shm' in os.listdir('/dev') else '/tmp'}/ujobs-link-{os.urandom(4).hex()}"
# Seconds in which no job ends, after which a session counts as stuck; less than the hour after which the agent asks
# anyway. On the worst link all jobs together take longer.
LIMIT = 3000
JOBS = ("quick", "long", "steps", "broken", "unwilling", "unknown", "cancelled", "plain", "soon", "late")
EXPECTED = {
    "quick": "SUCCEEDED", "long": "SUCCEEDED", "steps": "SUCCEEDED", "broken": "FAILED", "unwilling": "REJECTED",
    "unknown": "REJECTED", "cancelled": "CANCELED", "plain": "SUCCEEDED", "soon": "SUCCEEDED",
    "late": "SUCCEEDED",
}
EFFECTS = [
    "quick", "long", "steps 0", "steps 1", "steps 2", "steps 3", "broken", "unwilling", "cancelled", "plain", "soon",
    "late",
]


class Judge(Cloud):
    """The cloud behind the bad link. ends, claims: (job id, status) of each end, and of each end the board reported."""

    def __init__(self, broker, clock):
        super().__init__()
        self.broker = broker
        self.broker.on_publish = self._arrive
        self.broker.send = self._leave
        self.ends = []
        self.claims = []
        self._clock = clock

    def end(self, execution, status="CANCELED"):
        self.ends.append((execution["jobId"], status))
        super().end(execution, status)

    def _arrive(self, topic, payload):
        self.broker.deliver(self._clock, topic, 0, lambda: self._published(topic, payload))

    def _leave(self, topic, payload, qos=0):
        self.broker.deliver(self._clock, topic, qos, lambda: self.broker.push(topic, payload, qos))

    def _update(self, execution, body):
        before = execution["status"]
        reply = super()._update(execution, body)
        if body["status"] in TERMINAL:
            self.claims.append((execution["jobId"], body["status"]))
        if before not in TERMINAL and execution["status"] in TERMINAL:
            self.ends.append((execution["jobId"], execution["status"]))
        return reply

    def _notify(self):
        super()._notify()
        if self.executions[-1]["jobId"] == JOBS[-3] and self.done():
            # The board is notified that the queue is empty, and at the same moment that it is not.
            self.queue(JOBS[-2], {"operation": "late"})


def add_handlers(agent, cloud, clock, effects, blocking):
    """Register handlers that record their effects in `effects`; a plain one is in `blocking` while it runs."""

    @agent.on("quick")
    async def quick(job):
        effects.append("quick")
        return {"answer": "42"}

    @agent.on("late")
    def late(job):
        effects.append(job.job_id)

    @agent.on("long", step_timeout=1)
    async def long(job):
        effects.append("long")
        for done in range(20):
            await job.progress(done, 20)
            await asyncio.sleep(3)

    @agent.on("plain", step_timeout=1)
    def plain(job):
        effects.append("plain")
        blocking.append(job)
        try:
            for done in range(10):
                job.tick(done, 10)
                clock.sleep(5)
        finally:
            blocking.pop()

    @agent.on("steps", on_restart="resume")
    async def steps(job):
        for step in range(job.checkpoint or 0, 4):
            effects.append(f"steps {step}")
            job.save(step + 1)
            await asyncio.sleep(8)

    @agent.on("broken")
    async def broken(job):
        effects.append("broken")
        raise OSError("no sensor answers")

    @agent.on("unwilling")
    async def unwilling(job):
        effects.append("unwilling")
        raise Reject("not on a Sunday")

    @agent.on("cancelled", step_timeout=1)
    async def cancelled(job):
        effects.append("cancelled")
        for execution in cloud.executions:
            if execution["jobId"] == "cancelled":
                cloud.end(execution)
        await asyncio.sleep(3600)


async def session(current, cloud, clock):
    """Queue jobs for the current agent and wait until they have ended; return the errors."""
    for job_id in JOBS[:-2]:
        cloud.queue(job_id, {"operation": job_id})
    if not await goes_on(cloud, clock, cloud.done):
        return [f"stuck: {cloud.statuses()}"]
    await asyncio.sleep(60)
    # The agent is idle, so it needs a notification of this job.
    cloud.queue(JOBS[-1], {"operation": JOBS[-1]})
    if not await goes_on(cloud, clock, lambda: cloud.done() and current[0].journal.acknowledged):
        return [f"stuck at the end: {cloud.statuses()}"]
    return []


async def goes_on(cloud, clock, done):
    """Wait until done() is true; return whether jobs have ended on the way, one every LIMIT seconds at least."""
    ended, since = 0, clock.seconds()
    while not done():
        if len(cloud.ends) > ended:
            ended, since = len(cloud.ends), clock.seconds()
        if clock.seconds() - since > LIMIT:
            return False
        await asyncio.sleep(5)
    return True


def judge(cloud, effects, resets):
    """Return the broken promises in words: each job ends once, only resets cause repeated effects, and no two reports
    differ."""
    wrong = []
    ends = dict(cloud.ends)
    if ends != EXPECTED:
        wrong.append(f"ended as {ends}")
    if len(cloud.ends) != len(EXPECTED):
        wrong.append(f"more than one end: {cloud.ends}")
    for job_id in JOBS:
        claims = {status for name, status in cloud.claims if name == job_id}
        if len(claims) > 1:
            wrong.append(f"the board reported {job_id} as {claims}")
    done = effects
    if resets:
        # A handler may start once more for each reset, and then repeats its effects in the same order.
        done = [effect for at, effect in enumerate(effects) if effect not in effects[:at]]
    if done != EFFECTS or len(effects) > len(EFFECTS) + resets:
        wrong.append(f"handlers did {effects}")
    return wrong


async def board(make, resets, blocking):
    """Run agents one after the other: a reset ends all tasks and keeps the journal."""
    while True:
        agent = make()
        task = asyncio.create_task(agent.run())
        try:
            if not resets:
                await task
            await asyncio.sleep(random.random() * 150 / resets)
            while blocking:
                # This task runs the event loop, so it cannot be cancelled from inside.
                await asyncio.sleep(1)
        finally:
            task.cancel()
        # There is only one board: the next agent starts when the last one has ended.
        await ended(task)
        resets -= 1


def run(seed=0, resets=0, **faults):
    """Run one session with so many resets of the board. Return the result described above as a dict."""
    random.seed(seed)
    remove(DIRECTORY)
    log = []
    effects = []
    blocking = []
    broker = BadBroker(Faults(**faults))

    async def main(clock):
        asyncio.open_connection, real = broker.open_connection, asyncio.open_connection
        cloud = Judge(broker, clock)

        def make():
            current[:] = [Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)]
            add_handlers(current[0], cloud, clock, effects, blocking)
            return current[0]

        current = []
        tasks = [asyncio.create_task(board(make, resets, blocking)), asyncio.create_task(broker.misbehave())]
        try:
            return await session(current, cloud, clock) + judge(cloud, effects, resets)
        finally:
            broker.stop()
            for task in tasks:
                task.cancel()
            asyncio.open_connection = real
            await asyncio.sleep(0)
            remove(DIRECTORY)

    def note(*words):
        log.append(" ".join([str(word) for word in words]))

    modules = (ujobs.agent, ujobs.job, ujobs.journal, ujobs.link)
    real_log, real_sys = ujobs.link.log, ujobs.job.sys
    for module in modules:
        module.log = note
    ujobs.job.sys = Quiet
    try:
        wrong = fast_time.run(main)
    except Exception as error:
        wrong = [ujobs.link.explain(error)]
    finally:
        ujobs.job.sys = real_sys
        for module in modules:
            module.log = real_log
    return {"wrong": wrong, "up": broker.passed["up"], "down": broker.passed["down"], "log": log if wrong else []}


class Quiet:
    """A `sys` without tracebacks, because handlers fail on purpose."""

    modules = sys.modules

    @staticmethod
    def print_exception(error):
        pass


def main():
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        print("= " + ujson.dumps(run(**ujson.loads(line))))


if __name__ == "__main__":
    main()
